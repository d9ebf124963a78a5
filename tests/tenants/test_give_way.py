"""A step begins when nobody else has anything to do, or when it has waited for long enough."""

import asyncio
import contextlib

from tenants.give_way import GiveWay

NOTHING, WORK, PATIENCE = 0.000_001, 0.000_1, 0.001


class Loop:
    """What each turn of the event loop is said to have taken: ``work`` is done in as many turns as are asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self.busy_turns = 0
        self.turns = 0
        self.way = GiveWay(lambda: self.now)

    async def run(self) -> None:
        while True:
            self.turns += 1
            self.now += WORK if self.busy_turns > 0 else NOTHING
            self.busy_turns -= 1
            await asyncio.sleep(0)

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()


async def test_in_an_idle_loop_a_step_follows_after_a_turn_or_two() -> None:
    loop = Loop()
    async with loop.running():
        before = loop.turns
        await loop.way.turn()

        assert loop.turns - before <= 3


async def test_others_finish_what_they_are_at_first() -> None:
    loop = Loop()
    async with loop.running():
        loop.busy_turns = 5
        await loop.way.turn()

        assert loop.busy_turns <= 0
        assert loop.now < PATIENCE


async def test_a_loop_that_is_never_idle_lets_everybody_go_on_in_time() -> None:
    loop = Loop()
    async with loop.running():
        loop.busy_turns = 1_000_000
        await asyncio.gather(*(loop.way.turn() for _ in range(10)))

        assert PATIENCE <= loop.now < 2 * PATIENCE


async def test_in_one_turn_one_step_begins() -> None:
    loop = Loop()
    began: list[int] = []

    async def step() -> None:
        await loop.way.turn()
        began.append(loop.turns)

    async with loop.running():
        await asyncio.gather(*(step() for _ in range(10)))

    assert len(set(began)) == 10
    assert began == sorted(began)


async def test_who_has_gone_keeps_nobody_waiting() -> None:
    loop = Loop()
    async with loop.running():
        gone = asyncio.create_task(loop.way.turn())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait_for(loop.way.turn(), 5)

        assert gone.cancelled()


def test_another_event_loop_begins_anew() -> None:
    way = GiveWay()

    async def left_waiting() -> None:
        task = asyncio.create_task(way.turn())
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(left_waiting())
    asyncio.run(asyncio.wait_for(way.turn(), 5))
