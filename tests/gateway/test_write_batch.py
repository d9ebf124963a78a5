"""Writes of one turn of the event loop leave at its end, once, and before whatever comes after."""

import asyncio

from gateway.write_batch import WriteBatch


class Noted:
    """Notes when it is flushed, and what it then does further."""

    def __init__(self, name: str, notes: list[str], further: "tuple[WriteBatch, Noted] | None" = None) -> None:
        self.name, self.notes, self.further = name, notes, further

    def flush(self) -> None:
        self.notes.append(self.name)
        if self.further is not None:
            batch, other = self.further
            batch.add(other, asyncio.get_running_loop())


async def turn() -> None:
    await asyncio.sleep(0)


async def test_nothing_leaves_before_the_turn_ends() -> None:
    notes: list[str] = []
    batch, loop = WriteBatch(), asyncio.get_running_loop()
    batch.add(Noted("one", notes), loop)
    batch.add(Noted("two", notes), loop)
    assert notes == []
    await turn()
    assert notes == ["one", "two"]


async def test_it_leaves_before_what_is_scheduled_later() -> None:
    notes: list[str] = []
    batch, loop = WriteBatch(), asyncio.get_running_loop()
    batch.add(Noted("first", notes), loop)
    loop.call_soon(notes.append, "scheduled")
    batch.add(Noted("second", notes), loop)
    await turn()
    await turn()
    assert notes == ["first", "second", "scheduled"]


async def test_it_leaves_once() -> None:
    notes: list[str] = []
    batch = WriteBatch()
    batch.add(Noted("one", notes), asyncio.get_running_loop())
    for _ in range(3):
        await turn()
    assert notes == ["one"]


async def test_what_is_added_by_a_flush_leaves_in_the_next_turn() -> None:
    notes: list[str] = []
    batch = WriteBatch()
    batch.add(Noted("one", notes, (batch, Noted("later", notes))), asyncio.get_running_loop())
    await turn()
    assert notes == ["one"]
    await turn()
    assert notes == ["one", "later"]


def test_a_loop_that_ended_with_something_to_write_does_not_hold_up_the_next() -> None:
    notes: list[str] = []
    batch = WriteBatch()
    ended = asyncio.new_event_loop()
    batch.add(Noted("lost", notes), ended)
    ended.close()

    async def of_the_next() -> None:
        batch.add(Noted("written", notes), asyncio.get_running_loop())
        await turn()

    asyncio.run(of_the_next())
    assert notes == ["written"]
