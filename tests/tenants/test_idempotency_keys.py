"""Kept answers: with the change that they tell of or not at all, nobody else's, for a day, at most so many."""

import asyncio

import pytest
from sqlalchemy import func, select, text

from tenants.admin_tables import idempotency_keys
from tenants.database import Database
from tenants.idempotency_keys import KEPT, MOST, IdempotencyKey, KeptAnswer, prune
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock

ALICE = IdempotencyKey(b"a" * 32, "once", b"r" * 32)
ANSWER = KeptAnswer(b"r" * 32, 201, b'{"secret":"ycs_x"}')


async def keep(store: Store, tenant: Tenant, key: IdempotencyKey = ALICE, body: bytes = ANSWER.body) -> None:
    async with store.for_tenant(tenant.id) as mine:
        assert await mine.idempotency_keys.enter(key)
        await mine.idempotency_keys.keep(key, status=201, body=body)


async def find(store: Store, tenant: Tenant, key: IdempotencyKey = ALICE) -> KeptAnswer | None:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return await mine.idempotency_keys.find(key)


async def test_an_answer_is_found_by_its_key(store: Store, acme: Tenant) -> None:
    assert await find(store, acme) is None
    await keep(store, acme)
    assert await find(store, acme) == ANSWER


@pytest.mark.parametrize("other", [IdempotencyKey(b"b" * 32, "once", b"r" * 32), IdempotencyKey(b"a" * 32, "two", b"")])
async def test_a_key_is_its_principals_own(store: Store, acme: Tenant, other: IdempotencyKey) -> None:
    await keep(store, acme)
    assert await find(store, acme, other) is None


async def test_a_key_is_its_tenants_own(store: Store, acme: Tenant, globex: Tenant) -> None:
    await keep(store, acme)
    assert await find(store, globex) is None


async def test_an_answer_goes_with_the_change_that_was_rolled_back(store: Store, acme: Tenant) -> None:
    async def fail() -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.idempotency_keys.keep(ALICE, status=201, body=b"{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await find(store, acme) is None


async def test_after_a_day_a_key_is_new_again(store: Store, database: Database, acme: Tenant, clock: Clock) -> None:
    await keep(store, acme)
    clock.advance(seconds=KEPT.total_seconds())
    assert await find(store, acme) is None
    await keep(store, acme, body=b"{}")
    found = await find(store, acme)
    assert found is not None
    assert found.body == b"{}"
    clock.advance(seconds=KEPT.total_seconds())
    async with database.system_step() as connection:
        assert not await prune(connection, clock())
        assert (await connection.execute(select(func.count(idempotency_keys.c.expires_at)))).scalar_one() == 0


async def test_the_oldest_of_a_principal_make_room(store: Store, acme: Tenant, clock: Clock) -> None:
    async with store.for_tenant(acme.id) as mine:
        for number in range(MOST):
            await mine.idempotency_keys.keep(IdempotencyKey(b"a" * 32, str(number), b""), status=200, body=b"")
        await mine.idempotency_keys.keep(IdempotencyKey(b"b" * 32, "another's", b""), status=200, body=b"")
    clock.advance(seconds=1)
    await keep(store, acme, IdempotencyKey(b"a" * 32, "newest", b""))
    async with store.for_tenant(acme.id) as mine:
        query = select(func.count()).select_from(idempotency_keys).where(idempotency_keys.c.principal == b"a" * 32)
        assert (await mine.idempotency_keys._connection.execute(query)).scalar_one() == MOST
    assert await find(store, acme, IdempotencyKey(b"a" * 32, "newest", b"")) is not None
    assert await find(store, acme, IdempotencyKey(b"b" * 32, "another's", b"")) is not None


async def test_what_is_kept_is_sealed(store: Store, database: Database, acme: Tenant) -> None:
    await keep(store, acme)
    async with store.for_tenant(acme.id) as mine:
        query = text("SELECT sealed_answer FROM idempotency_keys")
        sealed = (await mine.idempotency_keys._connection.execute(query)).scalar_one()
    assert b"ycs_" not in bytes(sealed)


@pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)  # on SQLite one transaction writes at a time
async def test_one_request_of_a_key_runs_at_a_time(store: Store, acme: Tenant) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with store.for_tenant(acme.id) as mine:
            assert await mine.idempotency_keys.enter(ALICE)
            entered.set()
            await leave.wait()

    running = asyncio.create_task(first())
    await entered.wait()
    async with store.for_tenant(acme.id) as mine:
        assert not await mine.idempotency_keys.enter(ALICE)
        assert await mine.idempotency_keys.enter(IdempotencyKey(b"b" * 32, "once", b""))
    leave.set()
    await running
    async with store.for_tenant(acme.id) as mine:
        assert await mine.idempotency_keys.enter(ALICE)
