"""Notices of logouts are taken by one process at a time; no client waits behind another one, and no tenant."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import logout_notices, sessions
from tenants.database import Database
from tenants.store import Store
from tenants.tables import metadata
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump
from tests.tenants.ended_sessions import HOUR, LEASE, add_client, due, end, start, take, taken


async def test_of_twenty_who_take_a_notice_at_once_one_has_it(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    await add_client(store, household.tenant)
    await end(store, household, await start(store, household, clock, "told"))
    (notice,) = await due(database, clock)

    found = await asyncio.gather(*(take(store, notice) for _ in range(20)))

    assert [notice.attempts for notice in found if notice is not None] == [1]


async def test_a_taken_notice_is_not_due_until_its_lease_is_over(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    await add_client(store, household.tenant)
    await end(store, household, await start(store, household, clock, "told"))
    await taken(store, database, clock)
    clock.advance(seconds=59)
    assert await due(database, clock) == []

    clock.advance(seconds=1)

    assert (await taken(store, database, clock)).attempts == 2


async def test_a_client_that_does_not_answer_has_all_of_its_notices_wait_and_no_other_client(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    for client_id in ("away", "told"):
        await add_client(store, household.tenant, client_id)
    for _ in range(3):
        await end(store, household, await start(store, household, clock, "away"))
        clock.advance(seconds=1)
    notice = await taken(store, database, clock)
    await end(store, household, await start(store, household, clock, "told"))
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.logout_notices.retry(notice, clock() + HOUR)

    assert [notice.client_id for notice in await due(database, clock)] == ["told"]
    clock.advance(hours=1)
    found = {notice.client_id: notice for notice in await due(database, clock)}
    assert found["away"].id == notice.id, "the oldest first"


async def test_a_notice_that_nobody_looked_at_has_its_first_attempt_before_it(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    await add_client(store, household.tenant)
    await end(store, household, await start(store, household, clock, "told"))
    (found,) = await due(database, clock)
    async with store.for_tenant(household.tenant.id) as mine:
        notice = await mine.logout_notices.take(found.id, lease=LEASE)
        assert notice is not None
        await mine.logout_notices.retry(notice, clock() + LEASE, counted=False)
    clock.advance(minutes=1)

    assert (await taken(store, database, clock)).attempts == 1


async def test_who_lost_the_lease_cannot_give_the_notice_back(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    await add_client(store, household.tenant)
    await end(store, household, await start(store, household, clock, "told"))
    slow = await taken(store, database, clock)
    clock.advance(minutes=2)
    await taken(store, database, clock)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.logout_notices.retry(slow, clock())

    assert await due(database, clock) == [], "the other process has it still"


async def test_a_notice_is_done_once(store: Store, household: Household, database: Database, clock: Clock) -> None:
    await add_client(store, household.tenant)
    await end(store, household, await start(store, household, clock, "told"))
    notice = await taken(store, database, clock)
    answers = []
    for _ in range(2):
        async with store.for_tenant(household.tenant.id) as mine:
            answers.append(await mine.logout_notices.done(notice))
    clock.advance(days=1)

    assert answers == [True, False]
    assert await due(database, clock) == []


async def test_of_each_client_one_notice_is_due_and_every_tenant_has_its_turn(
    store: Store, household: Household, globex: Tenant, database: Database, clock: Clock
) -> None:
    for client_id in ("one", "two", "three"):
        await add_client(store, household.tenant, client_id)
    for _ in range(4):
        await end(store, household, await start(store, household, clock, "one", "two", "three"))
    clock.advance(seconds=1)
    await add_client(store, globex)
    async with store.for_tenant(globex.id) as theirs:
        carol = await theirs.users.create("carol")
        session = await theirs.sessions.start(carol.id, acr="a", amr=["pwd"], expires_at=clock() + HOUR)
        await theirs.logout_notices.used_by(session.id, "told")
        await theirs.sessions.end(session.id)

    assert {notice.tenant_id for notice in await due(database, clock, limit=2)} == {household.tenant.id, globex.id}
    found = await due(database, clock)
    assert [notice.tenant_id for notice in found][1:] == [globex.id] + [household.tenant.id] * 2
    assert sorted(notice.client_id for notice in found) == ["one", "three", "told", "two"]


@pytest.mark.parametrize("database_urls", ["sqlite"], indirect=True)  # the one that counts its steps
async def test_what_is_read_does_not_grow_with_what_waits(
    store: Store, household: Household, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    for client_id in ("away", "told"):
        await add_client(store, household.tenant, client_id)

    async def wait(number: int) -> None:
        row = {"tenant_id": household.tenant.id, "client_id": "away", "session_id": uuid4(), "subject": "s"}
        times = {"created_at": clock(), "next_at": clock(), "attempts": 0}
        async with superuser.begin() as connection:
            rows = [{**row, **times, "id": uuid4()} for _ in range(number)]
            await connection.execute(insert(metadata.tables["logout_notices"]), rows)

    async def steps() -> int:
        made = []
        async with database.system_snapshot() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            driver.set_progress_handler(lambda: made.append(1), 10)
            try:
                found = await logout_notices.due(connection, clock(), limit=10)
            finally:
                driver.set_progress_handler(None, 0)
        assert [notice.client_id for notice in found] == ["away", "told"]
        return len(made)

    await wait(20)
    clock.advance(seconds=1)
    await end(store, household, await start(store, household, clock, "told"))
    few = await steps()
    await wait(5000)

    assert await steps() <= few + 10


async def test_notices_that_nobody_delivered_are_forgotten_and_clients_go_with_their_session(
    store: Store, household: Household, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    await add_client(store, household.tenant)
    for _ in range(2):
        await end(store, household, await start(store, household, clock, "told"))
        clock.advance(hours=1)
    before = clock() - HOUR
    async with database.system_step() as connection:
        await logout_notices.prune(connection, before)
        await sessions.prune(connection, before + HOUR)

    rows = await dump(superuser)
    assert (len(rows["logout_notices"]), len(rows["session_clients"])) == (1, 1)
