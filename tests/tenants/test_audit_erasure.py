"""Who is erased from a log is in it no more, and the log is as provable as before."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.merkle import root_of
from tenants import audit_erasure
from tenants.audit_erasure import ERASED, EVENTS_ERASED, AuditErasure
from tenants.audit_event import Event
from tenants.audit_log import AuditLog, Entry
from tenants.audit_retention import keep_events, retention_of
from tenants.audit_selection import Selection
from tenants.audit_tree import AuditTree
from tenants.database import Database
from tenants.errors import InvalidValue
from tenants.store import Store
from tenants.tables import tenants
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump, of_tenant
from tests.tenants.mortal import Died, Mortal

DAY = timedelta(days=1)


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def erasure(database: Database, clock: Clock) -> AuditErasure:
    return AuditErasure(database, clock)


async def tell(log: AuditLog, clock: Clock, tenant: Tenant, *events: Event) -> None:
    await log.observe([(tenant.id, clock(), event) for event in events])
    while await log.sequence():
        pass


async def entries(log: AuditLog, tenant: Tenant) -> list[Entry]:
    return [entry async for entry in log.export(tenant.id)]


def kept(found: list[Entry]) -> list[str]:
    return [json.loads(entry.event)["type"] for entry in found if entry.event is not None]


def of(subject: UUID, type_: str = "login.succeeded") -> Event:
    return Event(type=type_, outcome="success", subject=str(subject), user_name="alice", address="192.0.2.7")


def invited(name: str) -> Event:
    return Event(type="user.invited", outcome="success", user_name=name)


async def test_nothing_of_a_person_is_left_but_the_leaves(
    log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, acme: Tenant, globex: Tenant, clock: Clock,
    superuser: AsyncEngine,
) -> None:  # fmt: skip
    alice, bob = uuid4(), uuid4()
    told = (of(alice), invited("Alice@example.com"), of(bob, "logout"), of(alice), invited("bob@example.com"))
    await tell(log, clock, acme, *told, of(alice, ERASED))
    await tell(log, clock, globex, of(alice))  # somebody else, who has the id by a chance that there is not
    before = await entries(log, acme)
    signed = await audit_tree.bring_up(acme.id, acme.slug)
    theirs = of_tenant(await dump(superuser), globex.id)
    assert await erasure.erase_subject(acme.id, str(alice), actor="test") == 2
    assert await erasure.erase_named(acme.id, {"alice@example.com"}, actor="test") == 1
    after = await entries(log, acme)
    assert [entry.leaf for entry in after] == [entry.leaf for entry in before]
    assert kept(after) == ["tenant.created", "logout", "user.invited", ERASED]
    assert [entry.salt is None for entry in after] == [entry.event is None for entry in after]
    rows = (await dump(superuser))["audit_events"]
    mine = [row for row in rows if row[0] == acme.id]
    assert sum(str(alice) in map(str, row) for row in mine) == 1  # what tells of the erasure
    assert not any(b"alice@example.com" in bytes(row[-1] or b"").lower() for row in mine)
    assert of_tenant(await dump(superuser), globex.id) == theirs
    key = await audit_tree.verifier(acme.id)
    assert key is not None
    assert key.opened(signed.note).root == root_of([entry.leaf for entry in after])
    await tell(log, clock, acme)
    told = [json.loads(entry.event or b"") for entry in (await entries(log, acme))[len(after) :]]
    assert [(event["type"], event.get("subject"), event["count"], event["actor"]) for event in told] == [
        (EVENTS_ERASED, str(alice), 2, "test"),
        (EVENTS_ERASED, None, 1, "test"),
    ]
    assert await erasure.erase_subject(acme.id, str(alice), actor="test") == 0
    assert await erasure.erase_named(acme.id, {"alice@example.com"}, actor="test") == 0
    assert not await log.sequence()  # nothing was done, so nothing is told


async def test_whoever_is_broken_off_has_told_of_what_he_did_and_another_one_goes_on(
    database: Database, log: AuditLog, erasure: AuditErasure, acme: Tenant, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(audit_erasure, "AT_ONCE", 2)
    alice = uuid4()
    await tell(log, clock, acme, *[of(alice)] * 7)
    with pytest.raises(Died):
        await AuditErasure(Mortal(database, 2), clock).erase_subject(acme.id, str(alice), actor="test")
    assert len(kept(await entries(log, acme))) == 1 + 7 - 4
    assert await erasure.erase_subject(acme.id, str(alice), actor="test") == 3
    await tell(log, clock, acme)
    assert kept(await entries(log, acme)) == ["tenant.created", *[EVENTS_ERASED] * 4]
    assert await counted(log, acme) == [2, 2, 2, 1]


async def counted(log: AuditLog, tenant: Tenant) -> list[int]:
    """What the log says of how many events were erased."""
    found = [json.loads(entry.event) for entry in await entries(log, tenant) if entry.event is not None]
    return [event["count"] for event in found if event["type"] == EVENTS_ERASED]


async def keep(database: Database, tenant: Tenant, clock: Clock, kept: timedelta | None) -> None:
    """The order itself is not told of, so that logs are easier to read here."""
    told = Event(type="tenant.configured", outcome="success")
    await keep_events(database, tenant.id, kept, told=told, now=clock())


async def test_events_are_kept_for_as_long_as_the_tenant_says_to_the_day(
    database: Database, log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, acme: Tenant, globex: Tenant,
    clock: Clock,
) -> None:  # fmt: skip
    for day in range(4):
        await tell(log, clock, acme, *[Event(type=f"day.d{day}", outcome="notice")] * 2)
        await tell(log, clock, globex, Event(type=f"day.d{day}", outcome="notice"))
        clock.advance(days=1)
    assert await erasure.erase_old() == []
    await keep(database, acme, clock, 2 * DAY)
    assert await erasure.erase_old() == []  # what has no checkpoint yet is not erased
    await audit_tree.grow()
    (done,) = await erasure.erase_old()
    midnight = clock().replace(hour=0)
    assert done == (acme.id, 5, midnight - 2 * DAY)
    await tell(log, clock, acme)
    before, rest = ["day.d2", "day.d2", "day.d3", "day.d3"], ["tenant.configured", EVENTS_ERASED]
    assert kept(await entries(log, acme)) == before + rest
    (told,) = [json.loads(entry.event or b"") for entry in (await entries(log, acme))[-1:]]
    assert (told["actor"], told["count"]) == ("schedule", 5)
    assert told["details"] == {"before": (midnight - 2 * DAY).isoformat()}
    assert len(kept(await entries(log, globex))) == 5
    assert await erasure.erase_old() == []
    clock.advance(days=1)
    assert [done.events for done in await erasure.erase_old()] == [2]
    clock.advance(days=1)
    assert [done.events for done in await erasure.erase_old()] == [2]
    await tell(log, clock, acme)
    assert await counted(log, acme) == [5, 2, 2]
    await keep(database, acme, clock, None)
    clock.advance(days=9)
    await audit_tree.grow()
    assert await erasure.erase_old() == []


async def test_an_old_log_is_erased_in_portions_each_of_which_tells_of_itself(
    database: Database, log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, acme: Tenant, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(audit_erasure, "AT_ONCE", 2)
    await tell(log, clock, acme, *[Event(type="test", outcome="notice")] * 6)
    await keep(database, acme, clock, DAY)
    await audit_tree.bring_up(acme.id, acme.slug)
    clock.advance(days=3)
    with pytest.raises(ExceptionGroup):
        await AuditErasure(Mortal(database, 1), clock).erase_old()
    assert [done.events for done in await erasure.erase_old()] == [5]
    await tell(log, clock, acme)
    assert await counted(log, acme) == [2, 2, 2, 1]


async def test_two_processes_at_once_erase_each_event_once(
    database: Database, log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, acme: Tenant, clock: Clock
) -> None:
    await tell(log, clock, acme, *[Event(type="test", outcome="notice")] * 6)
    await keep(database, acme, clock, DAY)
    await audit_tree.bring_up(acme.id, acme.slug)
    clock.advance(days=3)
    both = await asyncio.gather(erasure.erase_old(), erasure.erase_old())
    assert sum(done.events for part in both for done in part) == 7
    await tell(log, clock, acme)
    assert sum(await counted(log, acme)) == 7


async def test_nothing_is_written_where_nothing_is_due(
    database: Database, log: AuditLog, audit_tree: AuditTree, acme: Tenant, clock: Clock
) -> None:
    await tell(log, clock, acme, Event(type="test", outcome="notice"))
    await keep(database, acme, clock, DAY)
    await audit_tree.bring_up(acme.id, acme.slug)
    assert await AuditErasure(Mortal(database, 0), clock).erase_old() == []


@pytest.mark.parametrize("stored", [0, -1, 1, 86_399, 10**12, True, "1", "86400", 86_400.5, None])
def test_what_is_stored_and_is_no_retention_erases_nothing(stored: object) -> None:
    with pytest.raises(InvalidValue):
        retention_of(stored)


async def test_the_database_takes_none_that_is_shorter_than_a_day(superuser: AsyncEngine, acme: Tenant) -> None:
    with pytest.raises(IntegrityError):
        async with superuser.begin() as connection:
            await connection.execute(update(tenants).values(audit_retention=86_399))


@pytest.mark.parametrize("database_urls", ["sqlite"], indirect=True)  # whose checks can be put aside
async def test_a_damaged_retention_keeps_no_other_log_from_its_turn(
    database: Database, log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, acme: Tenant, globex: Tenant,
    clock: Clock,
) -> None:  # fmt: skip
    for tenant in (acme, globex):
        await tell(log, clock, tenant, Event(type="test", outcome="notice"))
        await keep(database, tenant, clock, DAY)
        await audit_tree.bring_up(tenant.id, tenant.slug)
    async with database.app.begin() as connection:
        await connection.execute(text("PRAGMA ignore_check_constraints=ON"))
        await connection.execute(update(tenants).where(tenants.c.id == acme.id).values(audit_retention=1))
        await connection.execute(text("PRAGMA ignore_check_constraints=OFF"))
    clock.advance(days=3)
    with pytest.raises(ExceptionGroup) as failed:
        await erasure.erase_old()
    assert [type(error) for error in failed.value.exceptions] == [InvalidValue]
    assert kept(await entries(log, acme)) == ["tenant.created", "test", "tenant.configured"]
    assert kept(await entries(log, globex)) == []


async def test_a_retention_is_the_operators_to_order(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    for kept in (timedelta(seconds=86_399), timedelta(days=4000)):
        with pytest.raises(InvalidValue):
            await keep(database, acme, clock, kept)
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue, match="not a tenant's own"):
            await mine.settings.set_lifetimes({"audit_events": 86_400})
    await keep(database, acme, clock, 30 * DAY)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_lifetimes({"access_token": 60})
        found = await mine.settings.get()
    assert found is not None
    assert (found.lifetimes.audit_events, found.lifetimes.access_token) == (30 * DAY, timedelta(minutes=1))


# --- selections


async def test_a_selection_takes_what_all_of_it_is_true_of(log: AuditLog, acme: Tenant, clock: Clock) -> None:
    alice, begun = uuid4(), clock()
    await tell(log, clock, acme, of(alice, "login.succeeded"), of(uuid4(), "login.refused"))
    clock.advance(hours=1)
    await tell(log, clock, acme, of(alice, "loginx.other"), of(alice, "logout"))

    async def taken(**wanted: object) -> list[str]:
        selection = Selection(**wanted)  # type: ignore[arg-type]
        return kept([entry async for entry in log.export(acme.id, selection=selection)])

    assert await taken(types=("login.*",)) == ["login.succeeded", "login.refused"]
    assert await taken(types=("logout", "login.refused")) == ["login.refused", "logout"]
    assert await taken(subject=str(alice)) == ["login.succeeded", "loginx.other", "logout"]
    assert await taken(since=clock()) == ["loginx.other", "logout"]
    assert await taken(until=clock(), subject=str(alice), types=("login.*",)) == ["login.succeeded"]
    assert await taken(since=begun, until=begun) == []


@pytest.mark.parametrize("type_", ["", "login%", "login.", "*", "login.*.x", "Login", "login.* "])
def test_what_is_no_type_is_refused(type_: str) -> None:
    with pytest.raises(InvalidValue, match="is no type of event"):
        Selection(types=(type_,))
