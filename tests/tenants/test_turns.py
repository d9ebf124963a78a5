"""Whose turn it is: one process does a job for all, and a dead one keeps nobody from it."""

import asyncio
from datetime import timedelta

from tenants.database import Database
from tenants.turns import Turns
from tests.conftest import Clock

HALF_A_MINUTE = timedelta(seconds=30)


async def test_of_many_who_ask_at_once_one_gets_the_turn(database: Database, clock: Clock) -> None:
    processes = [Turns(database, clock) for _ in range(10)]
    taken = await asyncio.gather(*(each.take("keys", HALF_A_MINUTE) for each in processes))
    assert taken.count(True) == 1


async def test_the_next_turn_is_anybodys_whatever_became_of_the_last(database: Database, clock: Clock) -> None:
    first, second = Turns(database, clock), Turns(database, clock)
    assert await first.take("keys", HALF_A_MINUTE)
    clock.advance(seconds=29)
    assert not await second.take("keys", HALF_A_MINUTE)
    assert await second.take("pruning", HALF_A_MINUTE)  # another job has turns of its own
    clock.advance(seconds=1)
    assert await second.take("keys", HALF_A_MINUTE)
    assert not await first.take("keys", HALF_A_MINUTE)


async def test_a_clock_that_was_wrong_holds_a_job_up_for_no_longer_than_a_turn(
    database: Database, clock: Clock
) -> None:
    ahead = Clock()
    ahead.advance(days=365)
    assert await Turns(database, ahead).take("keys", HALF_A_MINUTE)
    assert await Turns(database, clock).take("keys", HALF_A_MINUTE)
    assert not await Turns(database, clock).take("keys", HALF_A_MINUTE)
