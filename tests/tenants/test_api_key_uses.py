"""When a key was used last: written apart from the requests, once in ten minutes at most, and lost by no failure."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.api_key_uses import ApiKeyUses
from tenants.database import Database
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import API


async def make(store: Store, tenant: Tenant) -> UUID:
    async with store.for_tenant(tenant.id) as mine:
        made, _ = await mine.api_keys.create("n", scopes=["a"], audiences=[API], lifetime=None)
    return made.id


async def last(store: Store, tenant: Tenant, key_id: UUID) -> datetime | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        found = await mine.api_keys.get(key_id)
    assert found is not None
    return found.last_used_at


async def test_the_last_of_many_uses_is_written(
    database: Database, store: Store, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    used, unused, theirs = await make(store, acme), await make(store, acme), await make(store, globex)
    uses = ApiKeyUses(database)
    for _ in range(3):
        clock.advance(seconds=1)
        uses.note(acme.id, used, clock().timestamp())
    uses.note(globex.id, theirs, clock().timestamp())
    assert await last(store, acme, used) is None
    await uses.write()
    assert await last(store, acme, used) == await last(store, globex, theirs) == clock()
    assert await last(store, acme, unused) is None


async def test_a_key_is_written_once_in_ten_minutes_at_most_by_all_processes_together(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    key = await make(store, acme)
    first = clock()
    processes = ApiKeyUses(database), ApiKeyUses(database)
    for seconds, written in ((0, first), (599, first), (1, first + timedelta(minutes=10)), (0, None), (601, None)):
        clock.advance(seconds=seconds)
        for uses in processes:
            uses.note(acme.id, key, clock().timestamp())
            await uses.write()
        if written is not None:
            assert await last(store, acme, key) == written
    assert await last(store, acme, key) == first + timedelta(seconds=1201)


async def test_a_use_that_is_older_than_what_is_written_changes_nothing(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    key, uses = await make(store, acme), ApiKeyUses(database)
    uses.note(acme.id, key, clock().timestamp())
    await uses.write()
    uses.note(acme.id, key, clock().timestamp() - 3600)
    await uses.write()
    assert await last(store, acme, key) == clock()


async def test_more_than_one_transaction_holds_are_all_written(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    keys = [await make(store, acme) for _ in range(3)]
    uses = ApiKeyUses(database)
    for number in range(1200):
        uses.note(acme.id, UUID(int=number), clock().timestamp())
    for key in keys:
        uses.note(acme.id, key, clock().timestamp())
    await uses.write()
    assert [await last(store, acme, key) for key in keys] == [clock()] * 3


async def test_what_could_not_be_written_is_written_later(
    database: Database, store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    key, uses = await make(store, acme), ApiKeyUses(database)
    uses.note(acme.id, key, clock().timestamp())
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO gone")
    with pytest.raises(Exception, match="api_keys"):
        await uses.write()
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE gone RENAME TO api_keys")
    await uses.write()
    assert await last(store, acme, key) == clock()


async def test_a_use_is_nothing_that_others_have_to_hear_of(
    database: Database, store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    key, uses = await make(store, acme), ApiKeyUses(database)
    await snapshot.load()
    uses.note(acme.id, key, clock().timestamp())
    await uses.write()
    assert await snapshot.poll() == 0
