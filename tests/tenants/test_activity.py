"""A user's activity is their own part of their tenant's log: newest first, of the types that were asked for."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.activity import Happening
from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.store import Store
from tenants.tables import audit_events
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household

LOGGED_IN, REFUSED = "login.succeeded", "login.refused"


async def tell(store: Store, tenant: Tenant, *events: Event) -> None:
    async with store.for_tenant(tenant.id) as mine:
        for event in events:
            await mine.audit.add(event)


async def sequenced(database: Database) -> None:
    while await AuditLog(database).sequence():
        pass


async def of(store: Store, household: Household, *types: str, limit: int = 50) -> Sequence[Happening]:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.activity.of(household.user_id, types=types, limit=limit)


def login(household: Household, **more: object) -> Event:
    return Event(type=LOGGED_IN, outcome="success", subject=str(household.user_id), **more)  # type: ignore[arg-type]


async def test_an_event_is_told_with_its_facts(
    store: Store, database: Database, household: Household, clock: Clock
) -> None:
    event = Event(
        type=REFUSED,
        outcome="refused",
        reason="wrong_password",
        subject=str(household.user_id),
        client_id="app",
        session_id="a session",
        actor="cli:root",
        address="203.0.113.7",
        details={"way": "page"},
    )
    await tell(store, household.tenant, event)
    await sequenced(database)
    assert await of(store, household, REFUSED) == [
        Happening(
            clock(),
            REFUSED,
            "refused",
            "wrong_password",
            "cli:root",
            "app",
            "a session",
            "203.0.113.7",
            {"way": "page"},
        )
    ]


async def test_what_an_event_does_not_say_is_empty(store: Store, database: Database, household: Household) -> None:
    await tell(store, household.tenant, login(household))
    await sequenced(database)
    (happening,) = await of(store, household, LOGGED_IN)
    assert (happening.reason, happening.actor, happening.client_id, happening.session_id) == (None,) * 4
    assert (happening.address, happening.details) == ("", {})


async def test_the_newest_come_first_and_no_more_than_asked_for(
    store: Store, database: Database, household: Household, clock: Clock
) -> None:
    for _ in range(5):
        clock.advance(minutes=1)
        await tell(store, household.tenant, login(household))
    await sequenced(database)
    assert [happening.at for happening in await of(store, household, LOGGED_IN, limit=3)] == [
        clock() - timedelta(minutes=minutes) for minutes in range(3)
    ]


async def test_other_types_take_no_place(store: Store, database: Database, household: Household) -> None:
    subject = str(household.user_id)
    noise = [Event(type="token.refreshed", outcome="success", subject=subject) for _ in range(20)]
    await tell(store, household.tenant, login(household), *noise)
    await sequenced(database)
    assert [happening.type for happening in await of(store, household, LOGGED_IN, REFUSED, limit=5)] == [LOGGED_IN]
    assert await of(store, household) == []


async def test_a_page_reads_no_more_than_the_newest_events(
    store: Store, database: Database, household: Household
) -> None:
    subject = str(household.user_id)
    noise = [Event(type="token.refreshed", outcome="success", subject=subject) for _ in range(2)]
    await tell(store, household.tenant, login(household), *noise)
    await sequenced(database)
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        found = [
            await mine.activity.of(household.user_id, types=[LOGGED_IN], limit=50, among=among) for among in (3, 2)
        ]
    assert [len(happenings) for happenings in found] == [1, 0]


async def test_nobody_sees_what_is_anothers(
    store: Store, database: Database, household: Household, globex: Tenant
) -> None:
    """Neither another user's events, nor another tenant's about a subject of the same id, nor those about nobody."""
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
    await tell(store, globex, login(household))
    await tell(store, household.tenant, Event(type=LOGGED_IN, outcome="success", subject=str(bob.id)))
    await tell(store, household.tenant, Event(type=LOGGED_IN, outcome="success"))
    await sequenced(database)
    assert await of(store, household, LOGGED_IN) == []


async def test_an_erased_event_is_left_out(
    store: Store, database: Database, household: Household, superuser: AsyncEngine
) -> None:
    await tell(store, household.tenant, login(household), login(household, reason="kept"))
    await sequenced(database)
    async with superuser.begin() as connection:
        of_alice = audit_events.c.subject == str(household.user_id)
        first = select(func.min(audit_events.c.position)).where(of_alice).scalar_subquery()
        erased = update(audit_events).where(of_alice, audit_events.c.position == first)
        await connection.execute(erased.values(event=None, salt=None))
    assert [happening.reason for happening in await of(store, household, LOGGED_IN)] == ["kept"]
