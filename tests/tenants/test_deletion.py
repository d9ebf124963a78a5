"""The end of a tenant, on both databases: nothing of it stays, nothing of others goes, and it can be taken back."""

import json
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import deletion
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import InvalidValue
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tables import metadata
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump, of_tenant
from tests.tenants.test_isolation import settle

DAY = timedelta(days=1)


@pytest.fixture
async def platform(directory: Directory) -> Tenant:
    return await directory.create(
        slug="platform", name="Platform", issuer="https://auth.example.com/t/platform", actor=""
    )


async def order(store: Store, tenant: Tenant, clock: Clock, after: timedelta) -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.settings.schedule_deletion(clock() + after)


async def drain(log: AuditLog) -> None:
    while await log.sequence():
        pass


async def test_nothing_of_it_stays_and_nothing_of_others_goes(
    database: Database, directory: Directory, store: Store, clock: Clock, superuser: AsyncEngine, platform: Tenant
) -> None:
    leaving = await settle(directory, store, clock, 0)
    staying = await settle(directory, store, clock, 1)
    log = AuditLog(database)
    await drain(log)
    doomed = deletion.Doomed(leaving.tenant_id, leaving.slug, leaving.issuer)
    async with store.for_tenant(leaving.tenant_id) as mine:
        await mine.settings.schedule_deletion(clock())
    before = await dump(superuser)
    its, theirs = of_tenant(before, leaving.tenant_id), of_tenant(before, staying.tenant_id)
    assert sum(bool(rows) for rows in its.values()) > 25  # the test is worth something

    assert await deletion.carry_out(database, store, doomed, platform=platform.id, now=clock(), actor="test")

    after = await dump(superuser)
    left = {name: rows for name, rows in of_tenant(after, leaving.tenant_id).items() if rows}
    assert left.keys() == {"changes"}
    assert of_tenant(after, staying.tenant_id) == theirs
    assert not await deletion.carry_out(database, store, doomed, platform=platform.id, now=clock(), actor="test")

    await drain(log)
    (told,) = [entry async for entry in log.export(platform.id) if b"tenant.deleted" in (entry.event or b"")]
    event = json.loads(told.event or b"")
    assert (event["outcome"], event["actor"]) == ("success", "test")
    assert event["details"]["slug"] == leaving.slug
    assert event["details"]["tenant"] == str(leaving.tenant_id)
    assert event["details"]["events"] > 0


async def test_more_rows_than_a_portion_has_all_go(
    database: Database,
    store: Store,
    acme: Tenant,
    clock: Clock,
    superuser: AsyncEngine,
    platform: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deletion, "_PORTION", 2)
    async with store.for_tenant(acme.id) as mine:
        for number in range(5):
            await mine.users.create(f"user-{number}")
        await mine.settings.schedule_deletion(clock())
    (doomed,) = await deletion.due(database, clock())
    assert await deletion.carry_out(database, store, doomed, platform=platform.id, now=clock(), actor="test")
    assert not (await dump(superuser))["users"]


async def test_it_is_due_when_its_time_has_come_and_not_before(
    database: Database,
    store: Store,
    acme: Tenant,
    globex: Tenant,
    clock: Clock,
    platform: Tenant,
    superuser: AsyncEngine,
) -> None:
    await order(store, acme, clock, DAY)
    await order(store, globex, clock, 2 * DAY)
    assert await deletion.due(database, clock()) == []
    early, before = deletion.Doomed(acme.id, acme.slug, acme.issuer), await dump(superuser)
    assert not await deletion.carry_out(database, store, early, platform=platform.id, now=clock(), actor="test")
    assert await dump(superuser) == before
    clock.advance(days=1)
    assert [doomed.slug for doomed in await deletion.due(database, clock())] == ["acme"]
    clock.advance(days=1)
    assert [doomed.slug for doomed in await deletion.due(database, clock())] == ["acme", "globex"]


async def test_until_then_it_is_suspended_and_can_be_resumed(store: Store, acme: Tenant, clock: Clock) -> None:
    await order(store, acme, clock, DAY)
    async with store.for_tenant(acme.id) as mine:
        ordered = await mine.settings.get()
        assert ordered is not None
        assert (ordered.active, ordered.delete_at) == (False, clock() + DAY)
        await mine.settings.set_active(True)
        resumed = await mine.settings.get()
    assert resumed is not None
    assert (resumed.active, resumed.delete_at) == (True, None)


async def test_suspending_it_takes_no_order_back(store: Store, acme: Tenant, clock: Clock) -> None:
    await order(store, acme, clock, DAY)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
        found = await mine.settings.get()
    assert found is not None
    assert found.delete_at == clock() + DAY


async def test_when_its_time_has_come_nothing_brings_it_back(store: Store, acme: Tenant, clock: Clock) -> None:
    await order(store, acme, clock, timedelta())
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue, match="cannot be resumed"):
            await mine.settings.set_active(True)
        with pytest.raises(InvalidValue, match="has come"):
            await mine.settings.schedule_deletion(clock() + DAY)


async def test_every_process_hears_of_it_and_its_slug_is_free_again(
    database: Database,
    directory: Directory,
    store: Store,
    acme: Tenant,
    clock: Clock,
    snapshot: Snapshot,
    platform: Tenant,
) -> None:
    await snapshot.load()
    await order(store, acme, clock, timedelta())
    await snapshot.poll()
    known = snapshot.by_slug("acme")
    assert known is not None
    assert not known.active
    (doomed,) = await deletion.due(database, clock())
    await deletion.carry_out(database, store, doomed, platform=platform.id, now=clock(), actor="test")
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
