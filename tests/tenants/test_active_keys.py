"""Signing keys in memory: read once for each tenant, never another's, and a revoked one is gone when that is heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, update
from structlog.testing import capture_logs

from tenants.active_keys import ActiveKeys
from tenants.database import DATABASE_ERRORS, Database
from tenants.jose import DEFAULT_ALGORITHM
from tenants.keys import NoActiveKey
from tenants.snapshot import Snapshot
from tenants.store import Store, TenantStore
from tenants.tables import signing_keys
from tenants.tenant import Tenant
from tests.conftest import Clock


class Reads:
    """How many transactions were begun, and whether the next ones fail."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        self.failing = False
        event.listen(database.app.sync_engine, "begin", self._one_more)

    def _one_more(self, _: object) -> None:
        self.count += 1
        if self.failing:
            raise DATABASE_ERRORS[0]("BEGIN", {}, OSError("the database is away"))


@pytest.fixture
async def snapshot(database: Database, clock: Clock, acme: Tenant, globex: Tenant) -> Snapshot:
    """What was heard when both tenants were there."""
    made = Snapshot(database, clock=clock, monotonic=clock.monotonic)
    await made.load()
    return made


@pytest.fixture
def keys(store: Store, snapshot: Snapshot, clock: Clock) -> ActiveKeys:
    return ActiveKeys(store, snapshot, monotonic=clock.monotonic)


async def settled(keys: ActiveKeys) -> None:
    """What is read beside the others has been read."""
    await asyncio.wait([*keys._reading.values()])


async def active(store: Store, tenant: Tenant) -> str:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return (await mine.keys.signing()).kid


async def test_a_key_is_read_once_by_all_who_want_it(
    database: Database, store: Store, keys: ActiveKeys, acme: Tenant, globex: Tenant
) -> None:
    reads = Reads(database)
    assert keys.known(acme.id) is None
    found = await asyncio.gather(*(keys.get(acme.id) for _ in range(20)))
    assert reads.count == 1
    assert {key.kid for key in found} == {await active(store, acme)}
    assert keys.known(acme.id) is found[0]
    assert (await keys.get(globex.id)).kid == await active(store, globex)


async def test_a_rotated_key_is_followed_without_anybody_waiting(
    store: Store, snapshot: Snapshot, keys: ActiveKeys, acme: Tenant
) -> None:
    old = await keys.get(acme.id)
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.rotate(DEFAULT_ALGORITHM, force=True)
    await snapshot.poll()
    assert keys.known(acme.id) is old
    await settled(keys)
    now = keys.known(acme.id)
    assert now is not None
    assert now.kid == await active(store, acme) != old.kid


async def test_a_revoked_key_signs_nothing_once_that_is_heard(
    store: Store, snapshot: Snapshot, keys: ActiveKeys, acme: Tenant
) -> None:
    old = await keys.get(acme.id)
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.revoke(old.kid, DEFAULT_ALGORITHM)
    await snapshot.poll()
    assert keys.known(acme.id) is None
    assert (await keys.get(acme.id)).kid == await active(store, acme) != old.kid


class Overtaken(Store):
    """A store whose first reading has an end that waits."""

    def __init__(self, store: Store) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self._read = store.for_tenant

    @asynccontextmanager
    async def for_tenant(self, tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
        async with self._read(tenant_id, read_only=read_only) as mine:
            yield mine
        if not self.began.is_set():
            self.began.set()
            await self.go_on.wait()


async def test_a_key_revoked_while_it_is_read_is_not_kept(store: Store, snapshot: Snapshot, acme: Tenant) -> None:
    old = await active(store, acme)
    slow = Overtaken(store)
    keys = ActiveKeys(slow, snapshot)
    reading = asyncio.create_task(keys.get(acme.id))
    await slow.began.wait()
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.revoke(old, DEFAULT_ALGORITHM)
    await snapshot.poll()
    slow.go_on.set()
    assert (await reading).kid == await active(store, acme) != old


async def test_there_is_no_key_of_a_tenant_that_is_not_there(keys: ActiveKeys) -> None:
    with pytest.raises(NoActiveKey):
        await keys.get(uuid4())


async def test_a_key_that_cannot_be_opened_is_asked_for_once_a_second(
    store: Store, keys: ActiveKeys, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.keys._connection.execute(
            update(signing_keys).where(signing_keys.c.tenant_id == acme.id).values(sealed_private=b"nothing")
        )
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(NoActiveKey):
                await keys.get(acme.id)
        assert [entry["event"] for entry in logs] == ["key_unusable", "active_key_not_read"]
        clock.advance(seconds=2)
        with pytest.raises(NoActiveKey):
            await keys.get(acme.id)
    assert len(logs) == 4


async def test_the_key_at_hand_is_used_while_the_database_is_away_which_is_asked_once_a_second(
    database: Database, store: Store, snapshot: Snapshot, keys: ActiveKeys, acme: Tenant, clock: Clock
) -> None:
    old = await keys.get(acme.id)
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.rotate(DEFAULT_ALGORITHM, force=True)
    await snapshot.poll()
    reads = Reads(database)
    reads.failing = True
    for _ in range(3):
        assert keys.known(acme.id) is old
        if keys._reading:
            await settled(keys)
    assert reads.count == 1
    clock.advance(seconds=2)
    reads.failing = False
    assert keys.known(acme.id) is old
    await settled(keys)
    now = keys.known(acme.id)
    assert now is not None
    assert now.kid != old.kid


async def test_the_key_not_asked_for_longest_is_forgotten(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant
) -> None:
    keys = ActiveKeys(store, snapshot, most=1)
    await keys.get(acme.id)
    await keys.get(globex.id)
    assert keys.known(acme.id) is None
    assert keys.known(globex.id) is not None
