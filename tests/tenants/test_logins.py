"""Pending logins: used up once, over after five wrong codes or their time, and never another kind's."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.login import MAX_CODES
from tenants import logins
from tenants.database import Database
from tenants.logins import Kind, PendingLogin
from tenants.store import Store
from tests.conftest import Clock
from tests.tenants.conftest import Household, dump

LIFETIME = timedelta(minutes=5)
PREFIXES: dict[Kind, str] = {"page": "ylg_", "token": "ymt_"}


async def begin(store: Store, household: Household, kind: Kind = "page", **facts: Any) -> str:
    async with store.for_tenant(household.tenant.id) as mine:
        values: dict[str, Any] = {"amr": ["pwd"], "lifetime": LIFETIME, "request": {}} | facts
        return await mine.logins.begin(kind, household.user_id, **values)


async def find(store: Store, household: Household, secret: str, kind: Kind = "page") -> PendingLogin | None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        return await mine.logins.find(kind, secret)


async def found(store: Store, household: Household, secret: str, kind: Kind = "page") -> PendingLogin:
    login = await find(store, household, secret, kind)
    assert login is not None
    return login


async def consume(store: Store, household: Household, login: PendingLogin) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.logins.consume(login)


async def fail(store: Store, household: Household, login: PendingLogin) -> bool:
    async with store.for_tenant(household.tenant.id) as mine:
        return await mine.logins.count_failure(login)


@pytest.mark.parametrize("kind", PREFIXES)
async def test_a_pending_login_is_found_as_it_began(
    store: Store, household: Household, clock: Clock, kind: Kind
) -> None:
    session_id = uuid4()
    request = {"return_to": "/account", "scopes": ["orders:read"], "n": 1, "none": None, "sign": "🔑"}
    secret = await begin(
        store,
        household,
        kind,
        amr=["recovery", "pwd"],
        request=request,
        password_version=7,
        session_id=session_id,
        client_id="app",
    )
    assert secret.startswith(PREFIXES[kind])
    login = await found(store, household, secret, kind)
    assert login == PendingLogin(
        login.id,
        kind,
        household.user_id,
        session_id,
        "app",
        7,
        frozenset({"pwd", "recovery"}),
        request,
        clock() + LIFETIME,
    )
    assert "/account" not in repr(login)


@pytest.mark.parametrize("kind", PREFIXES)
async def test_a_secret_of_one_kind_is_not_the_others(store: Store, household: Household, kind: Kind) -> None:
    other: Kind = "token" if kind == "page" else "page"
    secret = await begin(store, household, kind)
    for unverified in (secret, PREFIXES[other] + secret[4:]):
        assert await find(store, household, unverified, other) is None
    assert await find(store, household, PREFIXES[other] + secret[4:], kind) is None
    assert await find(store, household, secret, kind) is not None


async def test_only_the_whole_string_is_the_secret(store: Store, household: Household) -> None:
    secret = await begin(store, household)
    for unverified in (secret[:-1], secret + "=", secret.upper(), secret + "\0", "", "\ud800", "x" * 10_000_000):
        assert await find(store, household, unverified) is None


async def test_a_secret_is_stored_as_a_hash_only(store: Store, household: Household, superuser: AsyncEngine) -> None:
    secret = await begin(store, household)
    assert secret.removeprefix("ylg_") not in str(await dump(superuser))


async def test_of_twenty_parallel_completions_one_wins(store: Store, household: Household) -> None:
    login = await found(store, household, await begin(store, household))
    outcomes = await asyncio.gather(*(consume(store, household, login) for _ in range(20)))
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_what_was_used_up_is_found_no_more_and_counts_no_codes(store: Store, household: Household) -> None:
    secret = await begin(store, household)
    login = await found(store, household, secret)
    assert await consume(store, household, login)
    assert await find(store, household, secret) is None
    assert not await fail(store, household, login)
    assert not await consume(store, household, login)


async def test_five_wrong_codes_end_it(store: Store, household: Household) -> None:
    secret = await begin(store, household)
    login = await found(store, household, secret)
    for _ in range(MAX_CODES):
        assert await find(store, household, secret) == login
        assert await fail(store, household, login)
    assert await find(store, household, secret) is None
    assert not await fail(store, household, login)
    assert not await consume(store, household, login)


async def test_of_twenty_parallel_wrong_codes_five_are_counted(store: Store, household: Household) -> None:
    login = await found(store, household, await begin(store, household))
    outcomes = await asyncio.gather(*(fail(store, household, login) for _ in range(20)))
    assert sorted(outcomes) == [False] * 15 + [True] * 5
    assert not await consume(store, household, login)


async def test_wrong_codes_of_one_login_leave_another_alone(store: Store, household: Household) -> None:
    first, second = [await found(store, household, await begin(store, household)) for _ in range(2)]
    for _ in range(MAX_CODES):
        await fail(store, household, first)
    assert await consume(store, household, second)


async def test_its_time_ends_it(store: Store, household: Household, clock: Clock) -> None:
    secret = await begin(store, household)
    login = await found(store, household, secret)
    clock.advance(minutes=5, seconds=-1)
    assert await find(store, household, secret) == login
    clock.advance(seconds=1)
    assert await find(store, household, secret) is None
    assert not await fail(store, household, login)
    assert not await consume(store, household, login)


async def test_all_of_a_users_are_ended_and_nobody_elses(store: Store, household: Household) -> None:
    secrets: dict[Kind, str] = {kind: await begin(store, household, kind) for kind in PREFIXES}
    pending = [await found(store, household, secret, kind) for kind, secret in secrets.items()]
    async with store.for_tenant(household.tenant.id) as mine:
        bob = await mine.users.create("bob")
        theirs = await mine.logins.begin("page", bob.id, amr=["pwd"], lifetime=LIFETIME, request={})
        await mine.logins.end_all(household.user_id)
    for login, (kind, secret) in zip(pending, secrets.items(), strict=True):
        assert await find(store, household, secret, kind) is None
        assert not await consume(store, household, login)
    assert await find(store, household, theirs) is not None


async def test_a_login_is_somebodys(store: Store, household: Household) -> None:
    with pytest.raises(IntegrityError):
        await begin(store, replace(household, user_id=uuid4()))


async def test_what_is_over_is_forgotten(
    database: Database, store: Store, household: Household, clock: Clock, superuser: AsyncEngine
) -> None:
    await begin(store, household)
    await begin(store, household, lifetime=2 * LIFETIME)
    clock.advance(minutes=5, seconds=1)
    async with database.system_step() as connection:
        await logins.prune(connection, clock())
    assert len((await dump(superuser))["logins"]) == 1
