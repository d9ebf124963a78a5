"""Answers that leave at a moment from which nobody learns anything. Only the earliest time is asserted."""

import pytest

from gateway import pace
from gateway.errors import TooManyLogins
from tests.gateway.browser import Browser
from tests.gateway.world import World


async def test_an_answer_waits_for_its_time_and_not_beyond_one_that_is_over() -> None:
    came_at = pace.now()
    await pace.no_sooner(came_at, 0.01)
    assert pace.now() >= came_at + 0.01
    await pace.no_sooner(came_at - 3600, 10)  # returns, or the test's own limit ends it


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_a_throttled_login_is_refused_no_sooner_than_its_time_whoever_it_is_for(world: World, name: str) -> None:
    async with Browser(world, address="198.51.100.9") as attacker:
        for number in range(6):
            came_at = pace.now()
            await attacker.log_in(name, f"wrong {number}")
        assert attacker.page.status_code == 429
        assert pace.now() >= came_at + TooManyLogins.no_sooner

    came_at = pace.now()
    answer = await world.post(world.acme.form(username=name, password="wrong"), address="198.51.100.10")
    assert answer.status_code == 429
    assert pace.now() >= came_at + TooManyLogins.no_sooner
