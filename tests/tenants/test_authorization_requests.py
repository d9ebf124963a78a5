"""Pushed authorization requests: used once, over after their time, and nothing else is one (RFC 9126)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import authorization_requests, opaque
from tenants.authorization_requests import REQUEST_URI, PushedRequest
from tenants.database import Database
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

LIFETIME = timedelta(seconds=90)
PARAMETERS = {"state": ["🔑 & ="], "resource": ["https://a.example", "https://b.example"], "nonce": [""]}


async def push(store: Store, household: Household, lifetime: timedelta = LIFETIME) -> str:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.authorization_requests.push(household.client_id, PARAMETERS, lifetime)


async def find(store: Store, household: Household, request_uri: str) -> PushedRequest | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.authorization_requests.find(request_uri)


async def found(store: Store, household: Household, request_uri: str) -> PushedRequest:
    request = await find(store, household, request_uri)
    assert request is not None
    return request


async def consume(store: Store, household: Household, request: PushedRequest) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.authorization_requests.consume(request)


async def test_a_request_is_found_as_it_was_pushed(store: Store, household: Household, clock: Clock) -> None:
    request_uri = await push(store, household)
    assert request_uri.startswith(REQUEST_URI + "yar_")
    handle = request_uri.removeprefix(REQUEST_URI)
    request = await found(store, household, request_uri)
    assert request == PushedRequest(opaque.digest(handle), household.client_id, PARAMETERS, clock() + LIFETIME)
    assert "state" not in repr(request)


async def test_two_pushes_of_the_same_request_are_two(store: Store, household: Household) -> None:
    first, second = await push(store, household), await push(store, household)
    assert first != second
    assert await consume(store, household, await found(store, household, first))
    assert await find(store, household, second) is not None


async def test_of_twenty_parallel_uses_one_wins(store: Store, household: Household) -> None:
    request = await found(store, household, await push(store, household))
    outcomes = await asyncio.gather(*(consume(store, household, request) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_what_was_used_is_found_no_more(store: Store, household: Household) -> None:
    request_uri = await push(store, household)
    request = await found(store, household, request_uri)
    assert await consume(store, household, request)
    assert await find(store, household, request_uri) is None
    assert not await consume(store, household, request)


async def test_its_time_ends_it(store: Store, household: Household, clock: Clock) -> None:
    request_uri = await push(store, household)
    request = await found(store, household, request_uri)
    clock.advance(seconds=89)
    assert await find(store, household, request_uri) == request
    clock.advance(seconds=1)
    assert await find(store, household, request_uri) is None
    assert not await consume(store, household, request)


async def test_only_the_whole_string_is_the_request_k01(store: Store, household: Household) -> None:
    request_uri = await push(store, household)
    handle = request_uri.removeprefix(REQUEST_URI)
    others = [
        *(request_uri[:-1], request_uri + "=", request_uri + "\0", request_uri.upper(), " " + request_uri, handle),
        *(REQUEST_URI.upper() + handle, REQUEST_URI + REQUEST_URI + handle, REQUEST_URI + handle.swapcase()),
        *(REQUEST_URI + "yac_" + handle[4:], REQUEST_URI, "", "\ud800", REQUEST_URI + "x" * 1_000_000),
        *("https://app.example.com/request.jwt", "urn:ietf:params:oauth:request_uri", REQUEST_URI[:-1] + handle),
    ]
    for other in others:
        assert await find(store, household, other) is None
    assert await consume(store, household, await found(store, household, request_uri))


async def test_the_handle_is_stored_as_a_hash_only(store: Store, household: Household, superuser: AsyncEngine) -> None:
    handle = (await push(store, household)).removeprefix(REQUEST_URI + "yar_")
    assert handle not in str(await dump(superuser))


async def test_a_request_is_some_clients(store: Store, household: Household) -> None:
    with pytest.raises(IntegrityError):
        await push(store, replace(household, client_id="nobody"))


async def test_it_goes_with_its_client(store: Store, household: Household) -> None:
    request_uri = await push(store, household)
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.clients.delete(household.client_id)
    assert await find(store, household, request_uri) is None


async def test_what_is_over_is_forgotten(
    database: Database, store: Store, household: Household, clock: Clock, superuser: AsyncEngine
) -> None:
    await push(store, household)
    await push(store, household, 2 * LIFETIME)
    clock.advance(seconds=91)
    async with database.system_step() as connection:
        await authorization_requests.prune(connection, clock())
    assert len((await dump(superuser))["authorization_requests"]) == 1
