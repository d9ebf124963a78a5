"""Initial access tokens (RFC 7591 section 3): each use counts once, and none counts after the last or the end."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import opaque, registration_tokens
from tenants.database import Database
from tenants.errors import InvalidValue
from tenants.registration_tokens import LONGEST_LIFETIME, MOST_USES, RegistrationToken
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump

HOUR = timedelta(hours=1)


async def issue(store: Store, tenant: Tenant, name: str = "Partner", *, uses: int = 1) -> str:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.registration_tokens.issue(name, uses=uses, lifetime=HOUR)


async def find(store: Store, tenant: Tenant, token: str) -> RegistrationToken | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return await mine.registration_tokens.find(token)


async def spend(store: Store, tenant: Tenant, found: RegistrationToken) -> bool:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.registration_tokens.spend(found)


async def test_a_token_is_found_as_it_was_issued_and_only_its_hash_is_stored(
    store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    token = await issue(store, acme, "A partner's build", uses=3)
    assert token.startswith("yia_")
    assert await find(store, acme, token) == RegistrationToken(
        opaque.digest(token), "A partner's build", 3, clock(), clock() + HOUR
    )
    assert token not in str(await dump(superuser))


@pytest.mark.parametrize("change", [str.upper, lambda it: it[:-1], lambda it: it + "A", lambda it: "yrg_" + it[4:]])
async def test_another_spelling_is_another_token(store: Store, acme: Tenant, change: object) -> None:
    token = await issue(store, acme)
    assert callable(change)
    assert await find(store, acme, change(token)) is None


async def test_another_tenants_token_is_none(store: Store, acme: Tenant, globex: Tenant) -> None:
    token = await issue(store, acme)
    found = await find(store, acme, token)
    assert found is not None
    assert await find(store, globex, token) is None
    assert not await spend(store, globex, found)
    assert await spend(store, acme, found)


async def test_uses_are_counted_down_to_nothing(store: Store, acme: Tenant) -> None:
    token = await issue(store, acme, uses=2)
    found = await find(store, acme, token)
    assert found is not None
    assert await spend(store, acme, found)
    again = await find(store, acme, token)
    assert again is not None
    assert again.uses_left == 1
    assert await spend(store, acme, again)
    assert await find(store, acme, token) is None
    assert not await spend(store, acme, again)


async def test_a_token_is_over_at_its_end(store: Store, acme: Tenant, clock: Clock) -> None:
    token = await issue(store, acme)
    found = await find(store, acme, token)
    assert found is not None
    clock.advance(hours=1)
    assert await find(store, acme, token) is None
    assert not await spend(store, acme, found)


async def test_of_20_parallel_uses_of_a_one_use_token_one_counts(store: Store, acme: Tenant) -> None:
    found = await find(store, acme, await issue(store, acme))
    assert found is not None
    counted = await asyncio.gather(*(spend(store, acme, found) for _ in range(20)))
    assert sum(counted) == 1


async def test_of_20_parallel_uses_of_a_token_with_seven_seven_count(store: Store, acme: Tenant) -> None:
    found = await find(store, acme, await issue(store, acme, uses=7))
    assert found is not None
    counted = await asyncio.gather(*(spend(store, acme, found) for _ in range(20)))
    assert sum(counted) == 7


async def test_all_of_a_name_are_listed_and_taken_back(store: Store, acme: Tenant, globex: Tenant) -> None:
    tokens = [await issue(store, acme, name) for name in ("b", "a", "b")]
    await issue(store, globex, "b")
    async with store.for_tenant(acme.id) as mine:
        assert [each.name for each in await mine.registration_tokens.list()] == ["a", "b", "b"]
        assert await mine.registration_tokens.delete("b") == 2
        assert await mine.registration_tokens.delete("b") == 0
    assert [await find(store, acme, token) is not None for token in tokens] == [False, True, False]
    async with store.for_tenant(globex.id, read_only=True) as theirs:
        assert len(await theirs.registration_tokens.list()) == 1


@pytest.mark.parametrize(
    ("name", "uses", "lifetime"),
    [
        ("", 1, HOUR),
        ("two\nlines", 1, HOUR),
        ("n", 0, HOUR),
        ("n", MOST_USES + 1, HOUR),
        ("n", 1, timedelta(0)),
        ("n", 1, LONGEST_LIFETIME + timedelta(seconds=1)),
    ],
)
async def test_what_cannot_be_issued(store: Store, acme: Tenant, name: str, uses: int, lifetime: timedelta) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.registration_tokens.issue(name, uses=uses, lifetime=lifetime)


async def test_those_whose_time_is_over_are_forgotten(
    database: Database, store: Store, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await issue(store, acme, "early")
    clock.advance(minutes=30)
    await issue(store, acme, "late")
    async with database.system_step() as connection:
        await registration_tokens.prune(connection, clock() + timedelta(minutes=45))
    assert [row[2] for row in (await dump(superuser))["registration_tokens"]] == ["late"]
