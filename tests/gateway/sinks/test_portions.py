"""A batch is made ready in portions."""

import asyncio

from gateway.sinks.portions import in_portions


async def test_the_loop_runs_between_portions() -> None:
    loop, turns = asyncio.get_running_loop(), [0]

    def turn() -> None:
        turns.append(0)
        beside[0] = loop.call_soon(turn)

    def work(item: int) -> int:
        turns[-1] += 1
        return item * 2

    beside = [loop.call_soon(turn)]
    done = await in_portions(work, range(100))
    beside[0].cancel()
    assert done == list(range(0, 200, 2))
    assert max(turns) == 8
