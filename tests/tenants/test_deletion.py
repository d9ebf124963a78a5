"""The end of a tenant, on both databases: nothing of it stays, nothing of others goes, and it can be taken back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import deletion
from tenants.audit_event import Event
from tenants.audit_log import AuditLog, hold_sequencer
from tenants.audit_tree import AuditTree
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import InvalidValue
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tables import audit_heads, metadata
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import LogAndTrees, dump, of_tenant
from tests.tenants.mortal import Died, Mortal
from tests.tenants.test_isolation import settle

DAY = timedelta(days=1)
Order = Callable[[Tenant, timedelta], Awaitable[None]]


@pytest.fixture
async def platform(directory: Directory) -> Tenant:
    return await directory.create(
        slug="platform", name="Platform", issuer="https://auth.example.com/t/platform", actor=""
    )


def the_end_of(tenant: Tenant) -> deletion.Doomed:
    return deletion.Doomed(tenant.id, tenant.slug, tenant.issuer)


@pytest.fixture
def order(database: Database, platform: Tenant, clock: Clock) -> Order:
    async def ordered(tenant: Tenant, after: timedelta) -> None:
        at = clock() + after
        await deletion.order(database, the_end_of(tenant), at, platform=platform.id, now=clock(), actor="test")

    return ordered


async def take_back(database: Database, tenant_id: UUID, clock: Clock, ordered: datetime) -> None:
    told = {tenant_id: Event(type="tenant.resumed", outcome="success")}
    await deletion.take_back(database, tenant_id, ordered, active=True, told=told, now=clock())


async def told_in(log: AuditLog, tenant: Tenant) -> AsyncIterator[dict[str, Any]]:
    async for entry in log.export(tenant.id):
        yield json.loads(entry.event or b"{}")


async def drain(log: AuditLog) -> None:
    while await log.sequence():
        pass


async def test_nothing_of_it_stays_and_nothing_of_others_goes_wherever_it_is_broken_off(
    database: Database, directory: Directory, store: Store, clock: Clock, superuser: AsyncEngine, platform: Tenant,
    audit_tree: AuditTree, log_and_trees: LogAndTrees, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(deletion, "_PORTION", 3)
    leaving = await settle(directory, store, clock, 0)
    staying = await settle(directory, store, clock, 1)
    doomed = deletion.Doomed(leaving.tenant_id, leaving.slug, leaving.issuer)
    log, who = AuditLog(database), {"platform": platform.id, "now": clock(), "actor": "test"}
    await log.observe([(leaving.tenant_id, clock(), Event(type="test", outcome="notice"))] * 7)
    await log_and_trees()
    await deletion.order(database, doomed, clock(), **who)
    before = await dump(superuser)
    its, theirs = of_tenant(before, leaving.tenant_id), of_tenant(before, staying.tenant_id)
    assert sum(bool(rows) for rows in its.values()) > 30  # the test is worth something

    done, commits, told = False, 0, 0
    while not done:
        try:
            done = await deletion.carry_out(Mortal(database, commits), doomed, **who)
        except Died:
            if commits == 0:
                assert of_tenant(await dump(superuser), leaving.tenant_id) == its  # whole
            else:
                assert await directory.find(leaving.slug) is None
                assert await deletion.begun(database, leaving.slug) == doomed
                with pytest.raises(InvalidValue, match="cannot be resumed"):
                    await take_back(database, leaving.tenant_id, clock, clock())
            observed = (staying.tenant_id, leaving.tenant_id) if commits else (staying.tenant_id,)
            await log.observe([(of, clock(), Event(type="test", outcome="notice")) for of in observed])
            told += 1
            while await log.sequence():  # others' events are numbered meanwhile, and stand in their trees
                pass
            assert not await audit_tree.grow()
        commits = commits * 3 or 1
    assert told > 4

    after = await dump(superuser)
    assert {name for name, rows in of_tenant(after, leaving.tenant_id).items() if rows} == {"changes"}
    left = of_tenant(after, staying.tenant_id)
    assert {name for name in left if left[name] != theirs[name]} == {"audit_heads", "audit_events", "audit_trees"}
    checkpoint = await audit_tree.newest_checkpoint(staying.tenant_id)
    assert checkpoint is not None
    assert checkpoint.size == len(theirs["audit_events"]) + told
    assert not await deletion.carry_out(database, doomed, **who)

    await drain(log)
    (event,) = [event async for event in told_in(log, platform) if event["type"] == "tenant.deleted"]
    assert (event["outcome"], event["actor"]) == ("success", "test")
    assert event["details"]["slug"] == leaving.slug
    assert event["details"]["tenant"] == str(leaving.tenant_id)
    assert event["details"]["events"] == its["audit_heads"][0][1] + 1  # the order's, and none since it began


async def test_two_processes_at_once_delete_it_once(
    database: Database, order: Order, acme: Tenant, clock: Clock, platform: Tenant
) -> None:
    await order(acme, timedelta())
    who = {"platform": platform.id, "now": clock(), "actor": "test"}
    both = [deletion.carry_out(database, the_end_of(acme), **who) for _ in range(2)]
    assert sorted(await asyncio.gather(*both)) == [False, True]


@pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)  # SQLite has one writer at a time
async def test_it_goes_between_two_batches_of_the_sequencer(
    database: Database, order: Order, acme: Tenant, clock: Clock, platform: Tenant, superuser: AsyncEngine
) -> None:
    await order(acme, timedelta())
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    who = {"platform": platform.id, "now": clock(), "actor": "test"}
    async with database.system_step() as connection:
        await hold_sequencer(connection)
        going = asyncio.create_task(deletion.carry_out(database, the_end_of(acme), **who))
        async with asyncio.timeout(30), superuser.connect() as looking:
            while not (await looking.execute(waits)).scalar_one():  # noqa: ASYNC110 - the lock is the database's
                await asyncio.sleep(0.01)
        await connection.execute(insert(audit_heads), {"tenant_id": acme.id, "size": 0})  # as its first event would
    assert await going


async def test_an_order_is_told_in_both_logs_or_in_none(
    database: Database, acme: Tenant, clock: Clock, platform: Tenant, order: Order
) -> None:
    mortal = Mortal(database, 0)
    with pytest.raises(Died):
        await deletion.order(mortal, the_end_of(acme), clock(), platform=platform.id, now=clock(), actor="test")
    assert await deletion.due(database, clock()) == []
    await order(acme, DAY)
    log = AuditLog(database)
    await drain(log)
    at = (clock() + DAY).isoformat()
    for tenant, more in ((acme, {}), (platform, {"slug": "acme", "tenant": str(acme.id)})):
        (event,) = [event async for event in told_in(log, tenant) if event["type"] == "tenant.deletion_scheduled"]
        assert event["details"] == {"at": at} | more


async def test_it_is_due_when_its_time_has_come_and_not_before(
    database: Database,
    order: Order,
    acme: Tenant,
    globex: Tenant,
    clock: Clock,
    platform: Tenant,
    superuser: AsyncEngine,
) -> None:
    await order(acme, DAY)
    await order(globex, 2 * DAY)
    assert await deletion.due(database, clock()) == []
    before = await dump(superuser)
    assert not await deletion.carry_out(database, the_end_of(acme), platform=platform.id, now=clock(), actor="test")
    assert await dump(superuser) == before
    clock.advance(days=1)
    assert [doomed.slug for doomed in await deletion.due(database, clock())] == ["acme"]
    clock.advance(days=1)
    assert [doomed.slug for doomed in await deletion.due(database, clock())] == ["acme", "globex"]


async def test_until_then_it_is_suspended_and_the_order_can_be_taken_back(
    database: Database, store: Store, order: Order, acme: Tenant, clock: Clock
) -> None:
    await order(acme, DAY)
    async with store.for_tenant(acme.id) as mine:
        ordered = await mine.settings.get()
        assert ordered is not None
        assert (ordered.active, ordered.delete_at) == (False, clock() + DAY)
        with pytest.raises(InvalidValue, match="taken back"):
            await mine.settings.set_active(True)
    with pytest.raises(InvalidValue, match="has changed"):
        await take_back(database, acme.id, clock, clock() + 2 * DAY)
    await take_back(database, acme.id, clock, clock() + DAY)
    async with store.for_tenant(acme.id) as mine:
        resumed = await mine.settings.get()
    assert resumed is not None
    assert (resumed.active, resumed.delete_at) == (True, None)
    log = AuditLog(database)
    await drain(log)
    assert [event["type"] async for event in told_in(log, acme)][-1] == "tenant.resumed"


async def test_what_was_not_ordered_is_not_taken_back(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    with pytest.raises(InvalidValue):
        await take_back(database, acme.id, clock, clock() + DAY)
    async with store.for_tenant(acme.id) as mine:
        found = await mine.settings.get()
    assert found is not None
    assert not found.active


async def test_suspending_it_takes_no_order_back(store: Store, order: Order, acme: Tenant, clock: Clock) -> None:
    await order(acme, DAY)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
        found = await mine.settings.get()
    assert found is not None
    assert found.delete_at == clock() + DAY


async def test_when_its_time_has_come_nothing_brings_it_back(
    database: Database, order: Order, acme: Tenant, clock: Clock
) -> None:
    await order(acme, timedelta())
    with pytest.raises(InvalidValue, match="cannot be resumed"):
        await take_back(database, acme.id, clock, clock())
    with pytest.raises(InvalidValue, match="has come"):
        await order(acme, DAY)


async def test_every_process_hears_of_it_and_its_slug_is_free_again(
    database: Database,
    directory: Directory,
    order: Order,
    acme: Tenant,
    clock: Clock,
    snapshot: Snapshot,
    platform: Tenant,
) -> None:
    await snapshot.load()
    await order(acme, timedelta())
    await snapshot.poll()
    known = snapshot.by_slug("acme")
    assert known is not None
    assert not known.active
    (doomed,) = await deletion.due(database, clock())
    await deletion.carry_out(database, doomed, platform=platform.id, now=clock(), actor="test")
    await snapshot.poll()
    assert snapshot.by_slug("acme") is None
    assert snapshot.by_issuer(acme.issuer) is None
    assert snapshot.by_id(acme.id) is None
    again = await directory.create(slug="acme", name="Acme", issuer=acme.issuer, actor="test")
    await snapshot.poll()
    found = snapshot.by_issuer(acme.issuer)
    assert found is not None
    assert found.id == again.id


def test_all_that_a_tenant_owns_goes_with_it() -> None:
    """What carries a tenant's id hangs on the tenant, so that PostgreSQL deletes it with the one row; but for the feed,
    and for budgets, which are over in a minute.
    """
    for table in metadata.sorted_tables:
        if "tenant_id" in table.c and table.name not in ("changes", "budgets"):
            hangs = [key for key in table.c.tenant_id.foreign_keys if key.column.table.name == "tenants"]
            assert [key.ondelete for key in hangs] == ["CASCADE"], table.name
