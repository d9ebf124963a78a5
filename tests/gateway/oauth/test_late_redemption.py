"""Codes that are over while they are redeemed: the decision is of one moment, whatever the clock says after it."""

from datetime import datetime

import pytest

from tests.conftest import Clock
from tests.gateway.oauth.authorizing import code_of, first_party, redeem
from tests.gateway.oauth.devices import approved
from tests.gateway.world import World


class PassingClock(Clock):
    """A clock that goes on by itself once ``step`` is set: by that many seconds at each look."""

    step = 0.0

    def __call__(self) -> datetime:
        found = self.now
        self.advance(seconds=self.step)
        return found


@pytest.fixture
def clock() -> Clock:
    return PassingClock()


def passes(world: World, step: float) -> None:
    assert isinstance(world.clock, PassingClock)
    world.clock.step = step


@pytest.mark.parametrize("left", [0.2, 0.5, 1.5, 2.5, 3.5])
async def test_a_code_that_ends_while_it_is_redeemed_is_redeemed_or_refused(world: World, left: float) -> None:
    await first_party(world)
    code = await code_of(world, scope="orders:read")
    world.clock.advance(seconds=60 - left)
    passes(world, 1)
    answer = await redeem(world, code)
    passes(world, 0)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["error"] == "invalid_grant"
    assert (await redeem(world, code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("left", [0.2, 0.5, 1.5, 2.5, 3.5])
async def test_a_device_code_that_ends_while_it_is_redeemed_is_redeemed_or_over(world: World, left: float) -> None:
    device = await approved(world)
    world.clock.advance(seconds=600 - left)
    passes(world, 1)
    answer = await device.poll()
    passes(world, 0)
    assert answer.status_code == 200 or answer.json()["error"] == "expired_token", answer.text
