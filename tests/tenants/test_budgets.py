"""What callers spent in all processes together, and who those processes are. On PostgreSQL, whose clock it is."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from tenants import budgets
from tenants.budgets import Budgets, Charge
from tenants.cluster_tables import budgets as rows
from tenants.cluster_tables import serving as serving_rows
from tenants.database import Database
from tenants.serving import Serving, rings

pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)

MINUTE = 60 * 10**9
ACME, GLOBEX, NOBODY = UUID(int=1), UUID(int=2), UUID(int=0)


def charge(cost: int = MINUTE, *, tenant: UUID = ACME, digest: bytes = b"a" * 32, age: int = 0) -> Charge:
    """All of it spent at once, so many nanoseconds ago."""
    return Charge(tenant, digest, cost - age, cost)


def about(found: int, expected: int) -> bool:
    """Real time goes by in between: less than a minute."""
    return expected - MINUTE < found <= expected


async def test_what_is_charged_adds_up_and_each_key_has_its_own(database: Database) -> None:
    shared = Budgets(database)
    hour = 60 * MINUTE
    (first,) = await shared.charge([charge(hour)])
    assert about(first, hour)
    again, theirs, other = await shared.charge(
        [charge(hour), charge(hour, tenant=GLOBEX), charge(2 * hour, digest=b"b" * 32)]
    )
    assert about(again, 2 * hour)
    assert about(theirs, hour)
    assert about(other, 2 * hour)


async def test_it_counts_from_when_it_was_spent(database: Database) -> None:
    shared = Budgets(database)
    (long_ago,) = await shared.charge([charge(10 * MINUTE, age=60 * MINUTE)])
    assert about(long_ago, -50 * MINUTE)
    (late,) = await shared.charge([charge(60 * MINUTE, age=20 * MINUTE)])  # and what is over does not count with it
    assert about(late, 40 * MINUTE)
    (later,) = await shared.charge([charge(60 * MINUTE, age=50 * MINUTE)])  # what is not over does
    assert about(later, 100 * MINUTE)


async def test_what_many_charge_at_once_is_all_there(database: Database) -> None:
    processes = [Budgets(database) for _ in range(4)]
    digests = [bytes([number]) * 32 for number in range(50)]
    async with asyncio.timeout(60):
        await asyncio.gather(
            *(
                each.charge([charge(60 * MINUTE, digest=digest) for digest in (digests if odd else digests[::-1])])
                for _ in range(5)
                for odd, each in enumerate(processes)
            )
        )
    found = await Budgets(database).charge([charge(0, digest=digest) for digest in digests])
    assert all(about(ahead, 20 * 60 * MINUTE) for ahead in found)


async def test_no_charge_is_too_large_for_its_column(database: Database) -> None:
    for _ in range(10):
        (ahead,) = await Budgets(database).charge([charge(10**30)])
    assert 0 < ahead <= 10**18


async def test_what_says_nothing_any_more_is_pruned_by_the_clock_that_it_was_written_by(database: Database) -> None:
    await Budgets(database).charge([charge(60 * MINUTE), charge(1, tenant=NOBODY, age=MINUTE)])
    async with database.system_step() as connection:
        assert not await budgets.prune(connection, datetime(1970, 1, 1, tzinfo=UTC))
        assert (await connection.execute(select(rows.c.tenant_id))).scalars().all() == [ACME]


async def test_pruning_never_waits_for_a_charge(database: Database) -> None:
    """It meets rows in another order than a charge does: whoever waited there could wait in a circle."""
    await Budgets(database).charge([charge(1, digest=digest, age=MINUTE) for digest in (b"a" * 32, b"b" * 32)])
    over = select(rows.c.digest).order_by(rows.c.digest)
    async with database.system_step() as charging:
        await charging.execute(update(rows).where(rows.c.digest == b"a" * 32).values(cost=2))
        async with asyncio.timeout(5), database.system_step() as pruning:
            assert not await budgets.prune(pruning, datetime(1970, 1, 1, tzinfo=UTC))
        assert (await charging.execute(over)).scalars().all() == [b"a" * 32]
    async with database.system_step() as connection:
        await budgets.prune(connection, datetime(1970, 1, 1, tzinfo=UTC))
        assert (await connection.execute(over)).scalars().all() == []


async def test_each_process_that_serves_is_counted_until_it_leaves_or_is_silent(database: Database) -> None:
    first, second, third = (Serving(database, lambda: ("mk",)) for _ in range(3))
    assert [await one.count() for one in (first, second, third, first)] == [1, 2, 3, 3]
    await third.leave()
    assert await first.count() == 2
    async with database.system_step() as connection:
        await connection.execute(update(serving_rows).values(seen_at=text("now() - interval '11 seconds'")))
    assert await first.count() == 1


async def test_each_process_that_serves_says_which_master_keys_it_has(database: Database) -> None:
    ring = ["old"]
    one, other = Serving(database, lambda: ring), Serving(database, lambda: ("old", "new"))
    await one.count()
    await other.count()
    assert sorted(await rings(database)) == [["old"], ["old", "new"]]
    ring.insert(0, "new")
    await one.count()
    assert sorted(await rings(database)) == [["new", "old"], ["old", "new"]]
    async with database.system_step() as connection:  # as a release of before says it
        await connection.execute(update(serving_rows).values(master_keys=None))
    assert await rings(database) == [[], []]
    async with database.system_step() as connection:
        await connection.execute(update(serving_rows).values(seen_at=text("now() - interval '11 seconds'")))
    assert await rings(database) == []
