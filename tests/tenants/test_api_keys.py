"""API keys as rows: made once, never changed, revoked for good; bounded in number, and forgotten when long ended."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import api_keys
from tenants.api_key import digest
from tenants.api_keys import KEPT, LONGEST_LIFETIME, MOST_LIVING, ApiKey
from tenants.database import Database
from tenants.errors import InvalidValue, NotFound
from tenants.provider_tables import api_keys as table
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tables import changes as feed
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import API, dump

DAY = timedelta(days=1)


async def create(store: Store, tenant: Tenant, name: str = "Scanner", **changes: Any) -> tuple[ApiKey, str]:
    asked: dict[str, Any] = {"scopes": ["orders:read"], "audiences": [API], "lifetime": DAY}
    async with store.for_tenant(tenant.id) as mine:
        return await mine.api_keys.create(name, **asked | changes)


async def get(store: Store, tenant: Tenant, key_id: UUID) -> ApiKey | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return await mine.api_keys.get(key_id)


async def revoke(store: Store, tenant: Tenant, key_id: UUID) -> bool:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.api_keys.revoke(key_id)


async def test_a_key_is_kept_as_it_was_made_and_only_its_hash_is_stored(
    store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    made, text = await create(store, acme, "Scanner at gate 3", scopes=["b", "a", "b"], audiences=[API, "urn:x:y"])
    assert made == ApiKey(made.id, "Scanner at gate 3", frozenset("ab"), (API, "urn:x:y"), clock(), clock() + DAY)
    assert await get(store, acme, made.id) == made
    rows = await dump(superuser)
    assert text not in str(rows)
    assert [row[2] for row in rows["api_keys"]] == [digest(text.encode())]


async def test_without_a_lifetime_a_key_does_not_expire(store: Store, acme: Tenant, clock: Clock) -> None:
    made, _ = await create(store, acme, lifetime=None)
    assert made.expires_at is None
    assert made.state(clock() + timedelta(days=100_000)) == "active"


async def test_several_of_one_name_live_at_a_time_and_end_one_by_one(store: Store, acme: Tenant, clock: Clock) -> None:
    first, _ = await create(store, acme)
    clock.advance(seconds=1)
    second, _ = await create(store, acme)
    assert await revoke(store, acme, first.id)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.api_keys.list() == [replace(first, revoked_at=clock()), second]


async def test_a_key_is_revoked_once_and_for_good(store: Store, acme: Tenant, clock: Clock) -> None:
    made, _ = await create(store, acme)
    assert await revoke(store, acme, made.id)
    at = clock()
    clock.advance(hours=1)
    assert not await revoke(store, acme, made.id)
    found = await get(store, acme, made.id)
    assert found is not None
    assert (found.revoked_at, found.state(clock())) == (at, "revoked")
    clock.advance(days=2)
    assert found.state(clock()) == "revoked"


async def test_of_20_parallel_revocations_one_counts(store: Store, acme: Tenant) -> None:
    made, _ = await create(store, acme)
    assert sum(await asyncio.gather(*(revoke(store, acme, made.id) for _ in range(20)))) == 1


async def test_another_tenants_key_is_not_there(store: Store, acme: Tenant, globex: Tenant) -> None:
    made, _ = await create(store, globex)
    assert await get(store, acme, made.id) is None
    with pytest.raises(NotFound):
        await revoke(store, acme, made.id)
    with pytest.raises(NotFound):
        await revoke(store, acme, uuid4())
    found = await get(store, globex, made.id)
    assert found is not None
    assert found.revoked_at is None


def test_a_key_is_over_at_its_end(clock: Clock) -> None:
    key = ApiKey(uuid4(), "n", frozenset("a"), (API,), clock(), clock() + DAY)
    assert key.state(clock() + DAY - timedelta(microseconds=1)) == "active"
    assert key.state(clock() + DAY) == "expired"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "n" * 201},
        {"scopes": []},
        {"scopes": ["with space"]},
        {"scopes": [f"s{number}" for number in range(101)]},
        {"audiences": []},
        {"audiences": ["orders"]},
        {"audiences": [API + "#part"]},
        {"audiences": [f"{API}/{number}" for number in range(21)]},
        {"lifetime": timedelta(0)},
        {"lifetime": LONGEST_LIFETIME + timedelta(seconds=1)},
    ],
)
async def test_what_cannot_be_made(store: Store, acme: Tenant, superuser: AsyncEngine, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        await create(store, acme, **changes)
    assert (await dump(superuser))["api_keys"] == []


async def test_the_feed_names_the_key_that_changed(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    made, _ = await create(store, acme)
    await revoke(store, acme, made.id)
    async with superuser.connect() as connection:
        rows = await connection.execute(select(feed.c.tenant_id, feed.c.ref).where(feed.c.kind == "api_key"))
        assert list(rows) == [(acme.id, str(made.id))] * 2


# --- how many


async def fill(superuser: AsyncEngine, tenant: Tenant, clock: Clock, number: int, **ended: Any) -> None:
    rows = [
        {
            "tenant_id": tenant.id,
            "id": uuid4(),
            "digest": digest(uuid4().bytes),
            "name": "one of many",
            "scopes": ["a"],
            "audiences": [API],
            "created_at": clock(),
            **ended,
        }
        for _ in range(number)
    ]
    async with superuser.begin() as connection:
        await connection.execute(table.insert(), rows)


async def test_living_keys_are_bounded_per_tenant(
    store: Store, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await fill(superuser, acme, clock, MOST_LIVING - 2)
    await fill(superuser, acme, clock, 5, revoked_at=clock())
    await fill(superuser, acme, clock, 5, expires_at=clock())
    made = await asyncio.gather(*(create(store, acme) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, InvalidValue) for one in made) == 4
    assert sum(isinstance(one, tuple) for one in made) == 2
    await create(store, globex)


async def test_those_that_ended_are_bounded_too_and_the_oldest_make_room(
    store: Store,
    snapshot: Snapshot,
    acme: Tenant,
    globex: Tenant,
    superuser: AsyncEngine,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_keys, "MOST", 7)
    for tenant in (globex, acme):
        await create(store, tenant, "lasts", lifetime=None)
        await create(store, tenant, "expires later", lifetime=3 * DAY)
        for name in ("revoked first", "revoked later"):
            key, _ = await create(store, tenant, name, lifetime=None)
            await revoke(store, tenant, key.id)
            clock.advance(hours=1)
        await create(store, tenant, "expires first", lifetime=timedelta(minutes=1))
        await create(store, tenant, "expires last", lifetime=timedelta(minutes=5))
        await create(store, tenant, "lives", lifetime=DAY)
        clock.advance(hours=1)

    async def names(tenant: Tenant) -> set[str]:
        async with store.for_tenant(tenant.id, read_only=True) as mine:
            return {key.name for key in await mine.api_keys.list()}

    theirs, all_ = await names(globex), await names(acme)
    await snapshot.load()
    for gone in ("revoked first", "revoked later", "expires first", "expires last"):
        await create(store, acme, f"new beside {gone}", lifetime=None)
        left = await names(acme)
        all_ = all_ - {gone} | {f"new beside {gone}"}
        assert left == all_
    assert await names(globex) == theirs
    await snapshot.poll()
    async with superuser.connect() as connection:
        stored = list(await connection.execute(select(table.c.tenant_id, table.c.digest)))
    assert all(snapshot.api_key(*row) is not None for row in stored)
    assert sum(map(len, snapshot._api_keys._keys.values())) == len(stored) == 14


async def test_after_an_emergency_all_of_a_tenants_keys_can_be_made_anew(
    store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await fill(superuser, acme, clock, api_keys.MOST, revoked_at=clock())
    made, _ = await create(store, acme)
    assert (await get(store, acme, made.id)) == made
    assert len((await dump(superuser))["api_keys"]) == api_keys.MOST


async def test_no_key_that_lives_makes_room(
    store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MOST_LIVING", 3)
    monkeypatch.setattr(api_keys, "MOST", 3)
    await fill(superuser, acme, clock, 3)
    before = (await dump(superuser))["api_keys"]
    with pytest.raises(InvalidValue, match="at most 3 API keys; revoke"):
        await create(store, acme)
    assert (await dump(superuser))["api_keys"] == before


# --- forgetting


async def test_what_ended_is_kept_for_a_time_and_then_forgotten(
    database: Database, store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await create(store, acme, "expires", lifetime=DAY)
    revoked, _ = await create(store, acme, "revoked", lifetime=None)
    await create(store, acme, "lasts", lifetime=None)
    clock.advance(days=1)
    await revoke(store, acme, revoked.id)

    async def left() -> list[str]:
        async with database.system_step() as connection:
            await api_keys.prune_revoked(connection, clock() - KEPT)
            await api_keys.prune_expired(connection, clock() - KEPT)
        return sorted(row[3] for row in (await dump(superuser))["api_keys"])

    clock.advance(days=30)
    assert await left() == ["expires", "lasts", "revoked"]
    clock.advance(seconds=1)
    assert await left() == ["lasts"]
