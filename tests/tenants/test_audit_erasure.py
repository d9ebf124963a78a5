"""Who is erased from a log is in it no more, and the log is as provable as before."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.merkle import root_of
from tenants.audit_erasure import AT_ONCE, ERASED, AuditErasure
from tenants.audit_event import Event
from tenants.audit_log import AuditLog, Entry
from tenants.audit_selection import Selection
from tenants.audit_tree import AuditTree
from tenants.database import Database
from tenants.errors import InvalidValue
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump, of_tenant


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
    assert await erasure.erase_subject(acme.id, str(alice), {"alice@example.com"}) == 3
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
    assert await erasure.erase_subject(acme.id, str(alice), {"alice@example.com"}) == 0


async def test_however_many_they_are(log: AuditLog, erasure: AuditErasure, acme: Tenant, clock: Clock) -> None:
    alice = uuid4()
    await tell(log, clock, acme, *[of(alice)] * (AT_ONCE + 1))
    assert await erasure.erase_subject(acme.id, str(alice)) == AT_ONCE + 1
    assert kept(await entries(log, acme)) == ["tenant.created"]


async def test_events_are_kept_for_as_long_as_the_tenant_says_to_the_day(
    log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, store: Store, acme: Tenant, globex: Tenant,
    clock: Clock,
) -> None:  # fmt: skip
    for day in range(4):
        await tell(log, clock, acme, *[Event(type=f"day.d{day}", outcome="notice")] * 2)
        await tell(log, clock, globex, Event(type=f"day.d{day}", outcome="notice"))
        clock.advance(days=1)
    assert await erasure.erase_old() == []
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_lifetimes({"audit_events": int(timedelta(days=2).total_seconds())})
    assert await erasure.erase_old() == []  # what has no checkpoint yet is not erased
    await audit_tree.grow()
    (done,) = await erasure.erase_old()
    midnight = clock().replace(hour=0)
    assert done == (acme.id, 5, midnight - timedelta(days=2))
    assert kept(await entries(log, acme)) == ["day.d2", "day.d2", "day.d3", "day.d3"]
    assert len(kept(await entries(log, globex))) == 5
    assert await erasure.erase_old() == []
    clock.advance(days=1)
    assert [done.events for done in await erasure.erase_old()] == [2]
    clock.advance(days=9)
    assert [done.events for done in await erasure.erase_old()] == [2]
    assert kept(await entries(log, acme)) == []


async def test_an_old_log_is_erased_in_portions(
    log: AuditLog, erasure: AuditErasure, audit_tree: AuditTree, store: Store, acme: Tenant, clock: Clock
) -> None:
    await tell(log, clock, acme, *[Event(type="test", outcome="notice")] * AT_ONCE)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_lifetimes({"audit_events": 86_400})
    await audit_tree.bring_up(acme.id, acme.slug)
    clock.advance(days=3)
    assert [done.events for done in await erasure.erase_old()] == [AT_ONCE + 1]


async def test_events_are_kept_for_a_day_at_least(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue, match="at least a day"):
            await mine.settings.set_lifetimes({"audit_events": 86_399})


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
