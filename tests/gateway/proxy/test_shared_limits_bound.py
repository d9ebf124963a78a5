"""How far off limits can be that several processes share: whatever callers do, and however late a process tells."""

import asyncio
import random
from collections.abc import Sequence
from fractions import Fraction
from uuid import UUID

import pytest

from gateway.proxy.quota_scope import Scope
from gateway.proxy.quota_table import Refused
from gateway.proxy.route_limits import RouteLimits
from gateway.proxy.shared_limits import SharedLimits
from policies.quota import Quota
from tenants.budgets import Budgets, Charge
from tenants.serving import Serving

ACME: Scope = (UUID(int=1), "orders", "subject-minute")


def most(burst: int, count: int) -> Fraction:
    """What docs/routes.md says."""
    return burst + Fraction((count - 1) * (burst + count - 1), count)


class Counter(Budgets):
    """The shared counts on the clock of the test."""

    def __init__(self) -> None:
        self.now = 0
        self.until = 0

    async def charge(self, charges: Sequence[Charge]) -> Sequence[int]:
        (one,) = charges
        self.until = max(self.until + one.cost, self.now + one.ahead)
        return [self.until - self.now]


class Alike(Serving):
    """As many processes as the test says."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def count(self) -> int:
        return self._count


@pytest.mark.parametrize("seed", range(10))
def test_whatever_callers_do_it_is_never_more_than_the_bound_beyond_the_rate(seed: int) -> None:
    """Over any time that is: what was too much is paid back."""
    asyncio.run(_some_hundred_steps(random.Random(seed)))


async def _some_hundred_steps(chance: random.Random) -> None:
    count, burst = chance.randint(2, 5), chance.randint(1, 30)
    quota = Quota("subject", 60, "minute", burst)
    counter = Counter()
    made = []
    for _ in range(count):
        limits = RouteLimits(1000, lambda: counter.now)
        made.append((limits, SharedLimits(limits, counter, Alike(count))))
        await made[-1][1].settle()
    through = 0
    for _ in range(600):
        limits, shared = chance.choice(made[: chance.randint(1, count)])
        for _ in range(chance.randint(0, burst)):
            through += not isinstance(limits.table.spend([(ACME, "alice", quota)]), Refused)
        if chance.random() < 0.5:
            await shared.settle()
        if chance.random() < 0.5:
            for _, each in made:  # time goes by, and nobody is later than that
                await each.settle()
            counter.now += chance.choice([quota.interval // 3, chance.randint(0, burst) * quota.interval])
        assert through <= most(burst, count) + Fraction(counter.now, quota.interval)
