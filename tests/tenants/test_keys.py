"""Signing keys: next, active, retiring, retired, or revoked; one signs at a time and none comes back."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.key_rotation import PUBLISH_FOR, KeyState, PromoteNow, Schedule
from tenants import key_schedule
from tenants.database import Database
from tenants.errors import InvalidValue, NotFound
from tenants.jose import ALGORITHMS, Algorithm, SigningKey, VerifyingKey
from tenants.keys import KeyRecord, NoActiveKey
from tenants.revocations import LONGEST_ACCESS_TOKEN
from tenants.sealing import MasterKeys, Unsealable
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import dump

ACTIVE, NEXT, RETIRING, RETIRED, REVOKED = (
    KeyState.ACTIVE,
    KeyState.NEXT,
    KeyState.RETIRING,
    KeyState.RETIRED,
    KeyState.REVOKED,
)


async def keys_of(store: Store, tenant: Tenant) -> dict[str, KeyRecord]:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return {key.kid: key for key in await mine.keys.list()}


async def kid_of(store: Store, tenant: Tenant, state: KeyState) -> str:
    (kid,) = [key.kid for key in (await keys_of(store, tenant)).values() if key.state is state]
    return kid


async def signing_kid(store: Store, tenant: Tenant) -> str:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return (await mine.keys.signing()).kid


async def rotate(store: Store, tenant: Tenant, *, force: bool = False) -> object:
    async with store.for_tenant(tenant.id) as mine:
        return await mine.keys.rotate("ES256", force=force)


async def advance(store: Store, tenant: Tenant) -> list[str]:
    async with store.for_tenant(tenant.id) as mine:
        return list(await mine.keys.advance("ES256"))


async def revoke(store: Store, tenant: Tenant, kid: str) -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.keys.revoke(kid, "ES256")


async def due(database: Database, clock: Clock) -> list[UUID]:
    async with database.system_snapshot() as connection:
        return list(await key_schedule.due_tenants(connection, clock()))


async def sealed_kids(superuser: AsyncEngine, tenant: Tenant) -> set[str]:
    async with superuser.connect() as connection:
        rows = await connection.exec_driver_sql("SELECT kid FROM signing_keys WHERE sealed_private IS NOT NULL")
        return set(rows.scalars())


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_token_of_the_signing_key_verifies_with_its_public_half(
    store: Store, acme: Tenant, alg: Algorithm
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.rotate(alg, force=True)
        await mine.keys.rotate(alg, force=True)
        signing = await mine.keys.signing()
        records = {key.kid: key for key in await mine.keys.list()}
    assert records[signing.kid].alg == alg
    assert VerifyingKey(records[signing.kid].public_jwk).kid == signing.kid
    assert not {"d", "p", "q", "k"} & records[signing.kid].public_jwk.keys()


async def test_a_rotation_waits_until_the_next_key_was_published_for_a_day(
    database: Database, store: Store, acme: Tenant, clock: Clock
) -> None:
    old, following = await kid_of(store, acme, ACTIVE), await kid_of(store, acme, NEXT)
    clock.advance(hours=23)
    assert await rotate(store, acme) == Schedule(following, at=acme.created_at + timedelta(hours=24))
    assert await due(database, clock) == []
    assert await advance(store, acme) == []
    clock.advance(hours=1)
    assert await due(database, clock) == [acme.id]
    assert await advance(store, acme) == [f"{following}:active"]
    assert await due(database, clock) == []
    assert await advance(store, acme) == []
    found = await keys_of(store, acme)
    assert (found[old].state, found[old].retiring_at) == (RETIRING, clock())
    assert (found[following].state, found[following].activated_at, found[following].promote_at) == (
        ACTIVE,
        clock(),
        None,
    )
    assert [key.state for key in found.values() if key.kid not in (old, following)] == [NEXT]
    assert await signing_kid(store, acme) == following


async def test_a_rotation_happens_at_once_when_the_next_key_is_old_enough(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    old, following = await kid_of(store, acme, ACTIVE), await kid_of(store, acme, NEXT)
    clock.advance(hours=24)
    assert await rotate(store, acme) == PromoteNow(following, retires=old, early=False)
    assert await signing_kid(store, acme) == following


async def test_a_forced_rotation_says_that_it_was_early(store: Store, acme: Tenant) -> None:
    old, following = await kid_of(store, acme, ACTIVE), await kid_of(store, acme, NEXT)
    assert await rotate(store, acme, force=True) == PromoteNow(following, retires=old, early=True)


async def test_a_retiring_key_is_kept_until_its_last_token_has_expired_and_then_erased(
    database: Database, store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    old = await kid_of(store, acme, ACTIVE)
    await rotate(store, acme, force=True)
    clock.advance(seconds=LONGEST_ACCESS_TOKEN.total_seconds() + 119)
    assert await due(database, clock) == []
    assert await advance(store, acme) == []
    assert old in await sealed_kids(superuser, acme)
    clock.advance(seconds=1)
    assert await due(database, clock) == [acme.id]
    assert await advance(store, acme) == [f"{old}:retired"]
    assert old not in await sealed_kids(superuser, acme)
    retired = (await keys_of(store, acme))[old]
    assert (retired.state, retired.ended_at) == (RETIRED, clock())


async def test_when_the_signing_key_is_revoked_the_next_takes_over_at_once(
    store: Store, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    old, following = await kid_of(store, acme, ACTIVE), await kid_of(store, acme, NEXT)
    await revoke(store, acme, old)
    found = await keys_of(store, acme)
    assert (found[old].state, found[old].ended_at) == (REVOKED, clock())
    assert await signing_kid(store, acme) == following
    assert sorted(key.state for key in found.values()) == [ACTIVE, NEXT, REVOKED]
    assert old not in await sealed_kids(superuser, acme)


async def test_when_both_keys_are_revoked_a_new_one_signs(store: Store, acme: Tenant) -> None:
    for state in (NEXT, ACTIVE, ACTIVE):
        await revoke(store, acme, await kid_of(store, acme, state))
    found = await keys_of(store, acme)
    assert sorted(key.state for key in found.values()) == [ACTIVE, NEXT, REVOKED, REVOKED, REVOKED]


async def test_a_revoked_key_stays_revoked(store: Store, acme: Tenant) -> None:
    old = await kid_of(store, acme, ACTIVE)
    await revoke(store, acme, old)
    with pytest.raises(InvalidValue, match="revoked"):
        await revoke(store, acme, old)
    with pytest.raises(NotFound):
        await revoke(store, acme, "no such key")


async def test_a_scheduled_rotation_goes_on_when_the_next_key_is_revoked(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    async def following() -> KeyRecord:
        async with store.for_tenant(acme.id, read_only=True) as mine:
            (found,) = [key for key in await mine.keys.list() if key.state is KeyState.NEXT]
        return found

    before = await kid_of(store, acme, KeyState.ACTIVE)
    await rotate(store, acme)
    clock.advance(hours=1)
    await revoke(store, acme, (await following()).kid)
    made = await following()
    assert made.promote_at == clock() + PUBLISH_FOR
    clock.now += PUBLISH_FOR
    await advance(store, acme)
    assert await kid_of(store, acme, KeyState.ACTIVE) == made.kid != before
    await revoke(store, acme, (await following()).kid)
    assert (await following()).promote_at is None  # nothing was scheduled


async def test_a_spare_key_is_the_one_that_follows(store: Store, acme: Tenant, clock: Clock) -> None:
    await rotate(store, acme)
    clock.now += PUBLISH_FOR
    spare, other = SigningKey.generate("ES256"), SigningKey.generate("EdDSA")
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.advance("ES256", spare=spare)
    assert await kid_of(store, acme, KeyState.NEXT) == spare.kid
    await rotate(store, acme)
    clock.now += PUBLISH_FOR
    async with store.for_tenant(acme.id) as mine:
        await mine.keys.advance("ES256", spare=other)
    assert await kid_of(store, acme, KeyState.NEXT) != other.kid


async def test_a_retired_and_a_retiring_key_can_be_revoked(store: Store, acme: Tenant, clock: Clock) -> None:
    first = await kid_of(store, acme, ACTIVE)
    await rotate(store, acme, force=True)
    clock.advance(days=2)
    await advance(store, acme)
    second = await kid_of(store, acme, ACTIVE)
    await rotate(store, acme, force=True)
    for kid, state in ((first, RETIRED), (second, RETIRING)):
        assert (await keys_of(store, acme))[kid].state is state
        await revoke(store, acme, kid)
        assert (await keys_of(store, acme))[kid].state is REVOKED


async def test_changes_at_once_leave_one_signing_key_and_bring_no_revoked_one_back(store: Store, acme: Tenant) -> None:
    for _ in range(5):
        old = await kid_of(store, acme, ACTIVE)
        await asyncio.gather(
            *(rotate(store, acme, force=True) for _ in range(3)), revoke(store, acme, old), advance(store, acme)
        )
        found = await keys_of(store, acme)
        assert found[old].state is REVOKED
        assert [key.state for key in found.values()].count(ACTIVE) == 1
        assert [key.state for key in found.values()].count(NEXT) == 1


async def test_a_scheduled_promotion_happens_once_though_every_process_tries(
    store: Store, acme: Tenant, clock: Clock
) -> None:
    await rotate(store, acme)
    clock.advance(hours=24)
    moves = await asyncio.gather(*(advance(store, acme) for _ in range(6)))
    assert sum(len(found) for found in moves) == 1


async def test_a_tenant_without_a_key_signs_nothing(store: Store, acme: Tenant, superuser: AsyncEngine) -> None:
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("UPDATE signing_keys SET state = 'retired' WHERE state = 'active'")
    async with store.for_tenant(acme.id, read_only=True) as mine:
        with pytest.raises(NoActiveKey):
            await mine.keys.signing()


async def test_another_master_key_opens_nothing(
    database: Database, acme: Tenant, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = MasterKeys.create(tmp_path_factory.mktemp("other") / "master.key")
    async with Store(database, other, clock).for_tenant(acme.id, read_only=True) as mine:
        with pytest.raises(Unsealable):
            await mine.keys.signing()


async def test_no_private_half_is_stored_unsealed(
    store: Store, acme: Tenant, superuser: AsyncEngine, master_keys: MasterKeys
) -> None:
    async with store.for_tenant(acme.id, read_only=True) as mine:
        private = (await mine.keys.signing()).private_der()
    sealed = (await dump(superuser))["signing_keys"]
    assert all(private[-32:] not in value for row in sealed for value in row if isinstance(value, bytes))
    assert all('"d"' not in str(row) for row in sealed)
