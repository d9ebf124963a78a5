"""Identifiers that count once, on both databases."""

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import seen_ids
from tenants.database import Database
from tenants.seen_ids import Kind
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump

FIVE_MINUTES = timedelta(minutes=5)


async def first_time(store: Store, tenant: Tenant, clock: Clock, identifier: str, kind: Kind = "assertion") -> bool:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.seen_ids.first_time(kind, identifier, clock() + FIVE_MINUTES)


async def test_an_identifier_is_new_once(store: Store, acme: Tenant, clock: Clock) -> None:
    outcomes = [await first_time(store, acme, clock, "web\nj-1") for _ in range(3)]
    assert outcomes == [True, False, False]
    assert await first_time(store, acme, clock, "web\nj-2")


async def test_twice_in_one_transaction_is_seen_too(store: Store, acme: Tenant, clock: Clock) -> None:
    async with store.for_tenant(acme.id) as mine:
        outcomes = [await mine.seen_ids.first_time("dpop", "j-1", clock() + FIVE_MINUTES) for _ in range(2)]
    assert outcomes == [True, False]


async def test_of_twenty_parallel_uses_one_is_the_first(store: Store, acme: Tenant, clock: Clock) -> None:
    outcomes = await asyncio.gather(*(first_time(store, acme, clock, "web\nj-1") for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_each_kind_has_a_namespace_of_its_own(store: Store, acme: Tenant, clock: Clock) -> None:
    kinds: list[Kind] = ["assertion", "dpop", "request_object"]
    assert all([await first_time(store, acme, clock, "j-1", kind) for kind in kinds])


async def test_each_tenant_has_a_namespace_of_its_own(store: Store, acme: Tenant, globex: Tenant, clock: Clock) -> None:
    assert await first_time(store, acme, clock, "web\nj-1")
    assert await first_time(store, globex, clock, "web\nj-1")


async def test_an_identifier_is_any_text_and_is_stored_as_a_hash_only(
    store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    for identifier in ("", "x" * 100_000, "\ud800", "\0", "🔑", "secret-looking"):
        assert await first_time(store, acme, clock, identifier)
        assert not await first_time(store, acme, clock, identifier)
    assert "secret-looking" not in str((await dump(superuser))["seen_ids"])


async def test_what_is_over_is_forgotten_and_not_before(
    database: Database, store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    await first_time(store, acme, clock, "web\nj-1")
    left = []
    for _ in range(2):
        clock.now += FIVE_MINUTES
        async with database.system_step() as connection:
            await seen_ids.prune(connection, clock())
        left.append(len((await dump(superuser))["seen_ids"]))
    assert left == [1, 0]
