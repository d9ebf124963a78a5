"""Whoever ends a session leaves a notice for each client that it was used for and that wants to know."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database
from tenants.logout_notices import LogoutNotice
from tenants.sessions import MOST_SESSIONS, Session
from tenants.store import Store, TenantStore
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump
from tests.tenants.ended_sessions import add_client, due, end, start, take, taken


async def test_the_end_of_a_session_is_told_to_the_clients_that_it_was_used_for(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    for client_id in ("told", "told-too", "never-used"):
        await add_client(store, household.tenant, client_id)
    session = await start(store, household, clock, "told", "told-too", "app", "told")
    assert await due(database, clock) == []
    ended_at = clock()
    await end(store, household, session)
    clock.advance(seconds=3)

    found = await due(database, clock)

    assert [notice.client_id for notice in found] == ["told", "told-too"]
    notice = await take(store, found[0])
    assert notice == LogoutNotice(found[0].id, "told", session.id, str(household.user_id), ended_at, 1)


async def test_a_session_that_ends_twice_is_told_of_once(
    store: Store, household: Household, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    await add_client(store, household.tenant)
    session = await start(store, household, clock, "told")
    await end(store, household, session)
    async with store.for_tenant(household.tenant.id) as mine:
        assert not await mine.sessions.end(session.id)
        assert await mine.sessions.end_all(household.user_id) == 0
        await mine.users.set_active(household.user_id, False)

    assert len((await dump(superuser))["logout_notices"]) == 1


async def test_an_end_that_is_rolled_back_is_told_to_nobody(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    await add_client(store, household.tenant)
    session = await start(store, household, clock, "told")

    async def change() -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.sessions.end(session.id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change()

    assert await due(database, clock) == []


DEVICE = uuid4()
OTHER = UUID(int=0)


async def surplus(mine: TenantStore, household: Household, session: Session) -> None:
    for _ in range(MOST_SESSIONS):
        await mine.sessions.start(household.user_id, acr="a", amr=["pwd"], expires_at=session.expires_at)


@pytest.mark.parametrize(
    "ends",
    [
        lambda mine, _, session: mine.sessions.end(session.id),
        lambda mine, household, _: mine.sessions.end_all(household.user_id),
        lambda mine, household, _: mine.sessions.end_others(household.user_id, OTHER),
        lambda mine, household, _: mine.sessions.end_of_device(household.user_id, DEVICE),
        lambda mine, household, _: mine.users.set_active(household.user_id, False),
        surplus,
    ],
    ids=["end", "end_all", "end_others", "end_of_device", "user disabled", "surplus"],
)
async def test_no_way_to_end_a_session_forgets_its_clients(
    ends: Callable[[TenantStore, Household, Session], Awaitable[object]],
    store: Store,
    household: Household,
    database: Database,
    clock: Clock,
) -> None:
    await add_client(store, household.tenant)
    session = await start(store, household, clock, "told", device_id=DEVICE)
    clock.advance(seconds=1)
    async with store.for_tenant(household.tenant.id) as mine:
        await ends(mine, household, session)

    notice = await taken(store, database, clock)
    assert (notice.client_id, notice.session_id) == ("told", session.id)


async def test_where_no_client_wants_to_know_the_end_costs_one_look_up(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    session = await start(store, household, clock, "app")
    statements: list[str] = []

    def note(*args: object) -> None:
        statements.append(str(args[2]))

    async with store.for_tenant(household.tenant.id) as mine:
        event.listen(database.app.sync_engine, "before_cursor_execute", note)
        try:
            await mine.sessions.end(session.id)
            await mine.sessions.end_all(household.user_id)  # ends nothing: not even that
        finally:
            event.remove(database.app.sync_engine, "before_cursor_execute", note)

    assert sum("session_clients" in statement for statement in statements) == 1
    assert not any("logout_notices" in statement for statement in statements)


async def test_a_client_that_gets_tokens_of_a_session_that_has_just_ended_is_told(
    store: Store, household: Household, database: Database, clock: Clock
) -> None:
    for client_id in ("told", "late"):
        await add_client(store, household.tenant, client_id)
    session = await start(store, household, clock, "told")
    await end(store, household, session)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.logout_notices.used_by(session.id, "late")

    assert [notice.client_id for notice in await due(database, clock)] == ["late", "told"]


async def test_use_and_end_at_once_leave_no_client_untold(
    store: Store, household: Household, database: Database, clock: Clock, superuser: AsyncEngine
) -> None:
    names = [f"told-{number}" for number in range(10)]
    for name in names:
        await add_client(store, household.tenant, name)
    session = await start(store, household, clock)

    async def use(client_id: str) -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.logout_notices.used_by(session.id, client_id)

    await asyncio.gather(*(use(name) for name in names[:5]), end(store, household, session), *map(use, names[5:]))

    assert [notice.client_id for notice in await due(database, clock)] == names
    assert len((await dump(superuser))["logout_notices"]) == len(names)


async def test_a_session_of_another_tenant_cannot_be_used(
    store: Store, household: Household, globex: Tenant, clock: Clock
) -> None:
    session = await start(store, household, clock)
    await add_client(store, globex)
    with pytest.raises(IntegrityError):
        async with store.for_tenant(globex.id) as theirs:
            await theirs.logout_notices.used_by(session.id, "told")
