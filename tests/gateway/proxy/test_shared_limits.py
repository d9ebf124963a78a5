"""Limits of routes that several processes share: what they let through together, and each of them alone.

The processes are instances in this one, on one PostgreSQL, with a clock of their own that tests move. The server's goes
on meanwhile, so limits are by the day: what a test takes is no more than it gives back in that time.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from sqlalchemy import delete

from gateway.proxy.quota_scope import OPERATOR, Scope
from gateway.proxy.quota_table import Refused
from gateway.proxy.route_limits import RouteLimits
from gateway.proxy.shared_limits import SharedLimits, address
from policies.quota import Quota
from tenants.budgets import Budgets, Charge
from tenants.cluster_tables import serving
from tenants.database import Database
from tenants.serving import Serving

pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)

LIMIT = Quota("subject", 60, "day", 60)
ACME: Scope = (UUID(int=1), "orders", LIMIT.name)


class Process:
    """One of several."""

    def __init__(self, database: Database) -> None:
        self.now = 10**12
        self.limits = RouteLimits(1000, lambda: self.now)
        self.serving = Serving(database, lambda: ("mk",))
        self.shared = SharedLimits(self.limits, Budgets(database), self.serving)

    def ask(self, times: int = 1, *, who: str = "alice", scope: Scope = ACME, quota: Quota = LIMIT) -> int:
        """How many of so many requests are let through."""
        outcomes = [self.limits.table.spend([(scope, who, quota)]) for _ in range(times)]
        return sum(not isinstance(outcome, Refused) for outcome in outcomes)


def most(burst: int, count: int) -> float:
    """What docs/routes.md says."""
    return burst + (count - 1) * (burst + count - 1) / count


async def processes(database: Database, count: int) -> list[Process]:
    """They know of each other."""
    made = [Process(database) for _ in range(count)]
    for _ in range(2):
        for each in made:
            each.now += 2_000_000_000
            await each.shared.settle()
    assert {each.limits.ledger.alike for each in made} == {count}
    return made


async def settle(made: Sequence[Process]) -> None:
    for each in made:
        while await each.shared.settle():
            pass


async def test_one_process_is_exact_and_asks_the_database_nothing(database: Database) -> None:
    (only,) = await processes(database, 1)
    assert only.ask(100) == 60
    assert only.limits.ledger.take(10) == {}


@pytest.mark.parametrize("count", [2, 3, 4])
async def test_who_asks_all_at_once_gets_the_limit_and_no_more_than_is_lost_by_rounding(
    database: Database, count: int
) -> None:
    made = await processes(database, count)
    through = sum(each.ask(4 * 60 // count) for each in made)
    assert 60 <= through <= 60 + count - 1
    for _ in range(3):  # who told first has not heard of the others
        await settle(made)
        through += sum(each.ask(4 * 60 // count) for each in made)
    assert through <= most(60, count)
    await settle(made)
    assert sum(each.ask(10) for each in made) == 0


async def test_who_asks_one_process_only_gets_the_whole_limit_within_a_few_rounds(database: Database) -> None:
    made = await processes(database, 4)
    through = []
    for _ in range(20):
        through.append(made[0].ask(60))
        await settle(made)
    assert through[0] == 15
    assert sum(through) == 60
    assert sum(through[:12]) == 60


async def test_who_goes_from_one_to_the_next_gets_less_than_twice_the_limit(database: Database) -> None:
    made = await processes(database, 4)
    through = 0
    for each in made:
        for _ in range(20):
            through += each.ask(60)
            await settle([each])
    assert through == 105 <= most(60, 4)


async def test_a_burst_of_one_is_for_each_process_and_no_less(database: Database) -> None:
    made = await processes(database, 3)
    strict = Quota("subject", 1, "day", 1)
    assert [each.ask(5, quota=strict) for each in made] == [1, 1, 1]
    await settle(made)
    assert [each.ask(5, quota=strict) for each in made] == [0, 0, 0]


async def test_others_are_not_charged(database: Database) -> None:
    made = await processes(database, 2)
    assert sum(each.ask(60) for each in made) == 60
    await settle(made)
    assert made[0].ask(who="bob") == 1
    assert made[0].ask(scope=(UUID(int=2), "orders", LIMIT.name)) == 1
    assert made[0].ask(scope=(UUID(int=1), "invoices", LIMIT.name)) == 1


async def test_without_the_database_each_goes_on_with_its_share_and_tells_afterwards(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await processes(database, 3)
    up = Budgets.charge

    async def away(_: Budgets, __: Sequence[Charge]) -> Sequence[int]:
        raise ConnectionError("away")

    monkeypatch.setattr(Budgets, "charge", away)
    for each in made:
        assert each.ask(60) == 20
        with pytest.raises(ConnectionError):
            await each.shared.settle()
        each.now += 30 * LIMIT.interval
        assert each.ask(60) == 10  # a third of what time gave back
        with pytest.raises(ConnectionError):
            await each.shared.settle()
    monkeypatch.setattr(Budgets, "charge", up)
    through = 3 * 30
    for _ in range(4):  # who told first has not heard of the others
        await settle(made)
        through += sum(each.ask(60) for each in made)
    assert through <= most(60, 3) + 30  # time gave thirty back
    await settle(made)
    assert sum(each.ask(60) for each in made) == 0


async def test_what_is_spent_while_the_others_are_asked_is_not_lost(database: Database) -> None:
    made = await processes(database, 2)
    first, second = made
    assert first.ask(10) == 10
    telling = asyncio.create_task(first.shared.settle())
    await asyncio.sleep(0)  # it is on its way
    assert not first.limits.ledger.noted((ACME, "alice"))
    assert first.ask(10) == 10
    await telling
    assert first.limits.ledger.noted((ACME, "alice")) == 10
    await settle(made)
    assert second.ask() == 1
    await settle(made)
    assert second.ask(100) <= 20  # half of the 39 that are left


async def test_a_process_that_leaves_has_told_everything(database: Database) -> None:
    first, second = await processes(database, 2)
    assert first.ask(25) == 25
    await first.shared.leave()
    second.ask()
    await look_again(second)
    assert second.ask(100) == 17  # half of what is left
    second.now += 10_000_000_000
    await look_again(second)
    assert second.limits.ledger.alike == 1
    assert second.ask(100) == 17


async def look_again(process: Process) -> None:
    """Its time has come to count who serves."""
    process.now += 2_000_000_000
    await process.shared.settle()


async def test_who_is_back_first_after_an_outage_does_not_take_itself_for_alone(database: Database) -> None:
    """The rows of the others are too old by then, or gone with a crash."""
    first, *others = await processes(database, 3)
    async with database.system_step() as connection:
        await connection.execute(delete(serving))
    first.now += 60_000_000_000
    await first.shared.settle()
    assert first.limits.ledger.alike == 3
    assert first.ask(60) == 20
    await others[0].shared.settle()
    for _ in range(4):
        await look_again(first)
        assert first.limits.ledger.alike == 3
    await look_again(first)
    assert first.limits.ledger.alike == 1  # nobody came back


async def test_processes_with_other_numbers_have_other_counts(database: Database) -> None:
    """A configuration reaches one after the other: what counts by one rate would count wrongly by another."""
    first, second = await processes(database, 2)
    assert first.ask(60) == 30
    await settle([first])
    loose = Quota("subject", 600, "day", 60)
    assert second.ask(quota=loose) == 1
    await settle([second])
    assert second.ask(60, quota=loose) == 30  # half of 59


def test_a_limits_count_stands_with_the_tenant_that_it_belongs_to(database_urls: object) -> None:
    tenant = UUID(int=7)
    assert address(((tenant, "orders", "subject-day"), "alice"), LIMIT)[0] == tenant
    assert address(((OPERATOR, "orders", "tenant-day"), tenant), LIMIT)[0] == tenant
    assert address(((OPERATOR, "orders", "route-day"), ""), LIMIT)[0] == UUID(int=0)
    assert address(((None, "orders", "address-day"), b"\x01\x02\x03\x04"), LIMIT)[0] == UUID(int=0)
    keys = [
        ((None, "a", "bc"), ""),
        ((None, "ab", "c"), ""),
        ((None, "ab", "c"), "x"),
        ((None, "ab", "c"), b"x"),
        ((OPERATOR, "ab", "c"), ""),
    ]
    limits = LIMIT, Quota("subject", 61, "day", 60), Quota("subject", 60, "day", 61)
    assert len({address(key, limit)[1] for key in keys for limit in limits}) == len(keys) * len(limits)


async def test_what_cannot_be_told_is_kept_no_longer_than_it_counts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await processes(database, 2)

    async def away(_: Serving) -> int:
        raise ConnectionError("away")

    monkeypatch.setattr(Serving, "count", away)
    for number in range(50):  # strangers, one after the other
        made[0].ask(who=f"stranger-{number}")
        made[0].now += 2 * LIMIT.interval
        with pytest.raises(ConnectionError):
            await made[0].shared.settle()
    assert len(made[0].limits.ledger.take(100)) == 0
