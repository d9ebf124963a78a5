"""Clients that registered themselves (RFC 7591, 7592): counted exactly, changed by the newest token's holder only."""

import asyncio
from dataclasses import replace

import pytest

from tenants import opaque
from tenants.clients import Client
from tenants.errors import InvalidValue
from tenants.store import Store
from tenants.tenant import Tenant
from tests.tenants.conftest import an_app

FIRST, SECOND = opaque.digest("yrg_first"), opaque.digest("yrg_second")


async def register(store: Store, tenant: Tenant, client_id: str, *, at_most: int = 100) -> bool:
    async with store.for_tenant(tenant.id) as mine:
        if await mine.clients.registered_themselves() >= at_most:
            return False
        await mine.clients.create(an_app(client_id, registration_digest=FIRST))
        return True


async def change(store: Store, tenant: Tenant, client: Client, *, digest: bytes = FIRST) -> bool:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.clients.replace_registered(client, digest=digest)


async def test_only_those_that_registered_themselves_are_counted(store: Store, acme: Tenant, globex: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    for name in ("one", "two"):
        await register(store, acme, name)
    await register(store, globex, "one")
    async with store.for_tenant(acme.id) as mine:
        assert await mine.clients.registered_themselves() == 2
        await mine.clients.delete("one")
        assert await mine.clients.registered_themselves() == 1


async def test_20_that_register_at_once_are_no_more_than_may(store: Store, acme: Tenant) -> None:
    made = await asyncio.gather(*(register(store, acme, f"c{number}", at_most=3) for number in range(20)))
    assert sum(made) == 3


async def test_the_holder_of_the_token_changes_everything_but_whether_it_is_active(store: Store, acme: Tenant) -> None:
    await register(store, acme, "one")
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.set_active("one", False)
        before = await mine.clients.get("one")
    assert before is not None
    assert await change(store, acme, replace(before, name="New", active=True, registration_digest=SECOND))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        after = await mine.clients.get("one")
    assert after == replace(before, name="New", active=False, registration_digest=SECOND)


async def test_of_20_changes_with_one_token_one_is_made(store: Store, acme: Tenant) -> None:
    await register(store, acme, "one")
    changed = an_app("one", registration_digest=SECOND)
    assert sum(await asyncio.gather(*(change(store, acme, changed) for _ in range(20)))) == 1


async def test_neither_another_token_nor_another_tenant_changes_it(store: Store, acme: Tenant, globex: Tenant) -> None:
    await register(store, acme, "one")
    changed = an_app("one", name="Mine now", registration_digest=SECOND)
    assert not await change(store, acme, changed, digest=SECOND)
    assert not await change(store, globex, changed)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        found = await mine.clients.get("one")
    assert found is not None
    assert (found.name, found.registration_digest) == ("The app", FIRST)


async def test_what_may_not_be_stored_changes_nothing(store: Store, acme: Tenant) -> None:
    await register(store, acme, "one")
    with pytest.raises(InvalidValue):
        await change(store, acme, an_app("one", confidential=False))
