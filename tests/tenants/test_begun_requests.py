"""Requests that wait for a person: kept as they came, answered once, over after their time."""

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import begun_requests, opaque
from tenants.begun_requests import BegunRequest
from tenants.database import Database
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

HOUR = timedelta(hours=1)
CALLBACK = "https://app.example.com/callback"
PARAMETERS = {"state": ["🔑 & ="], "resource": ["https://a.example", "https://b.example"]}


async def begin(store: Store, household: Household) -> str:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.begun_requests.begin(household.client_id, CALLBACK, PARAMETERS, lifetime=HOUR)


async def find(store: Store, household: Household, secret: str) -> BegunRequest | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.begun_requests.find(secret)


async def found(store: Store, household: Household, secret: str) -> BegunRequest:
    request = await find(store, household, secret)
    assert request is not None
    return request


async def consume(store: Store, household: Household, request: BegunRequest) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.begun_requests.consume(request)


async def test_a_request_is_found_as_it_came_and_when(store: Store, household: Household, clock: Clock) -> None:
    secret, at = await begin(store, household), clock()
    clock.advance(minutes=10)
    assert await found(store, household, secret) == BegunRequest(
        opaque.digest(secret), household.client_id, CALLBACK, PARAMETERS, at
    )


async def test_of_twenty_answers_at_once_one_counts(store: Store, household: Household) -> None:
    secret = await begin(store, household)
    request = await found(store, household, secret)
    outcomes = await asyncio.gather(*(consume(store, household, request) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]
    assert await find(store, household, secret) is None


async def test_its_time_ends_it(store: Store, household: Household, clock: Clock) -> None:
    secret = await begin(store, household)
    request = await found(store, household, secret)
    clock.advance(minutes=60)
    assert await find(store, household, secret) is None
    assert not await consume(store, household, request)


async def test_a_changed_secret_is_another(store: Store, household: Household) -> None:
    secret = await begin(store, household)
    for other in ("", secret[:-1], f"{secret}x", secret.swapcase(), secret.replace("ybg_", "yar_")):
        assert await find(store, household, other) is None


async def test_only_the_hash_of_its_secret_is_stored(
    store: Store, household: Household, superuser: AsyncEngine
) -> None:
    secret = await begin(store, household)
    assert secret.removeprefix("ybg_") not in str(await dump(superuser))


async def test_those_that_are_over_are_pruned(
    store: Store, database: Database, household: Household, superuser: AsyncEngine, clock: Clock
) -> None:
    await begin(store, household)
    clock.advance(minutes=30)
    secret = await begin(store, household)
    clock.advance(minutes=31)
    async with database.system_step() as connection:
        await begun_requests.prune(connection, clock())
    assert len((await dump(superuser))["begun_requests"]) == 1
    await found(store, household, secret)
