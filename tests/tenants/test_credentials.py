"""Passwords: the version tells a login whether the password is still the one that it verified."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import argon2_hash, foreign_hash
from tenants.argon2_hash import Cost
from tenants.credentials import Credentials
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import NotFound
from tenants.installation import check_master_key
from tenants.sealing import MasterKeys
from tenants.stand_ins import Shares, StandIns
from tenants.store import Store
from tenants.tables import passwords
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household

OURS = argon2_hash.unmatchable(Cost())
BCRYPT = "$2b$04$E8sRRr.uiY9EjWLV3/l5T.mmRhTJD9o8z/HUOM6Z.s2Hyt7DTeklC"
PBKDF2 = "$pbkdf2-sha256$i=80000$TmFDbA$" + "A" * 86
SCRYPT = "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0$" + "A" * 43


async def test_a_user_has_no_password_at_first(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        assert await mine.credentials.password(household.user_id) is None
        assert await mine.credentials.password(uuid4()) is None


async def test_the_version_rises_with_each_new_password(store: Store, household: Household) -> None:
    for version in (1, 2, 3):
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.credentials.set_password(household.user_id, f"hash {version}")
            password = await mine.credentials.password(household.user_id)
        assert password is not None
        assert (password.hash, password.version) == (f"hash {version}", version)


async def test_a_rehash_keeps_the_version(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.credentials.set_password(household.user_id, "weak hash")
        read = await mine.credentials.password(household.user_id)
        assert read is not None
        await mine.credentials.rehash(read, "strong hash")
        assert await mine.credentials.password(household.user_id) == replace(read, hash="strong hash")


async def test_a_rehash_does_not_bring_an_old_password_back(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.credentials.set_password(household.user_id, "old, weak")
        read = await mine.credentials.password(household.user_id)
        await mine.credentials.set_password(household.user_id, "new")
    assert read is not None
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.credentials.rehash(read, "old, strong")
        current = await mine.credentials.password(household.user_id)
    assert current is not None
    assert (current.hash, current.version) == ("new", 2)


async def test_twenty_changes_at_once_are_twenty_versions(store: Store, household: Household) -> None:
    async def change(number: int) -> None:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.credentials.set_password(household.user_id, f"hash {number}")

    await asyncio.gather(*(change(number) for number in range(20)))
    async with store.for_tenant(household.tenant.id, read_only=True) as mine:
        password = await mine.credentials.password(household.user_id)
    assert password is not None
    assert password.version == 20


async def test_nobodys_password_cannot_be_set(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(NotFound):
            await mine.credentials.set_password(uuid4(), "hash")
        assert await mine.users.get(household.user_id) is not None  # the transaction goes on


async def test_a_password_keeps_its_hash_to_itself(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.credentials.set_password(household.user_id, "$argon2id$secret")
        password = await mine.credentials.password(household.user_id)
    assert "argon2id" not in f"{password!r} {password}"


async def test_a_login_and_a_new_password_meet_in_one_order_or_the_other(directory: Directory, store: Store) -> None:
    """A login that holds the old password keeps the new one waiting, and its session is there to be ended after it."""
    tenant = await directory.create(slug="acme", name="Acme", issuer="https://auth.test/t/acme", actor="test")
    async with store.for_tenant(tenant.id) as mine:
        alice = await mine.users.create("alice")
        await mine.credentials.set_password(alice.id, "old")

    async def change() -> int:
        async with store.for_tenant(tenant.id) as mine:
            await mine.credentials.set_password(alice.id, "new")
            return await mine.sessions.end_all(alice.id)

    async with store.for_tenant(tenant.id) as mine:
        await mine.users.get(alice.id, hold=True)
        held = await mine.credentials.password(alice.id, hold=True)
        assert held is not None
        assert held.hash == "old"
        changing = asyncio.create_task(change())
        done, _ = await asyncio.wait({changing}, timeout=0.1)
        assert not done  # it waits for this transaction
        await mine.sessions.start(alice.id, acr="a", amr=["pwd"], expires_at=datetime(2026, 12, 25, tzinfo=UTC))
    assert await changing == 1


# --- schemes, and who stands in for users who do not exist


async def schemes_of(superuser: AsyncEngine, tenant_id: UUID) -> list[str]:
    async with superuser.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        query = select(passwords.c.scheme).where(passwords.c.tenant_id == tenant_id).order_by(passwords.c.scheme)
        return list((await connection.execute(query)).scalars())


async def inhabited(store: Store, tenant: Tenant, hashes: dict[str, str]) -> None:
    """Users of these names with these hashes."""
    async with store.for_tenant(tenant.id) as mine:
        for name, stored in hashes.items():
            user = await mine.users.create(name)
            await mine.credentials.set_password(user.id, stored)


async def stand_in(store: Store, tenant: Tenant, name: str) -> str:
    """The scheme of who stands in."""
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        found = await mine.credentials.stand_in(name)
    assert found == foreign_hash.NOBODY or foreign_hash.stored_hash(found, Cost())
    return foreign_hash.scheme(found)


async def test_the_scheme_follows_the_hash(store: Store, household: Household, superuser: AsyncEngine) -> None:
    for stored, scheme in [
        (BCRYPT, "bcrypt:4"),
        (PBKDF2, "pbkdf2-sha256:80000x2"),
        ("malformed", ""),
        (BCRYPT, "bcrypt:4"),
    ]:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.credentials.set_password(household.user_id, stored)
        assert await schemes_of(superuser, household.tenant.id) == [scheme]
    async with store.for_tenant(household.tenant.id) as mine:
        read = await mine.credentials.password(household.user_id)
        assert read is not None
        await mine.credentials.rehash(read, OURS)
    assert await schemes_of(superuser, household.tenant.id) == ["argon2id:m=19456,t=2,p=1"]


async def test_without_users_a_stand_in_costs_what_ours_do_today(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.credentials.stand_in("alice") == foreign_hash.NOBODY


async def test_in_a_tenant_of_one_scheme_every_stand_in_has_it(store: Store, acme: Tenant, globex: Tenant) -> None:
    await inhabited(store, acme, {"alice": BCRYPT})
    await inhabited(store, globex, {"alice": OURS})
    for name in ("bob", "", "carol@example.com", "\ud800", "x" * 10_000):
        assert await stand_in(store, acme, name) == "bcrypt:4"
        assert await stand_in(store, globex, name) == "argon2id:m=19456,t=2,p=1"


async def test_stand_ins_have_the_proportions_of_the_tenants_users(store: Store, acme: Tenant) -> None:
    await inhabited(store, acme, {f"user{number}": (BCRYPT, OURS, OURS, PBKDF2)[number % 4] for number in range(8)})
    async with store.for_tenant(acme.id, read_only=True) as mine:
        names = [f"nobody{number}" for number in range(2000)]
        drawn = Counter([foreign_hash.scheme(await mine.credentials.stand_in(name)) for name in names])
    assert set(drawn) == {"bcrypt:4", "argon2id:m=19456,t=2,p=1", "pbkdf2-sha256:80000x2"}
    assert 400 < drawn["bcrypt:4"] < 600
    assert 900 < drawn["argon2id:m=19456,t=2,p=1"] < 1100


async def test_the_schemes_of_most_users_stand_in_and_not_any_number(
    store: Store, database: Database, clock: Clock, acme: Tenant
) -> None:
    rare = {f"rare{number}": PBKDF2.replace("80000", str(1000 + number)) for number in range(40)}
    await inhabited(store, acme, rare | {"alice": SCRYPT, "bob": SCRYPT, "carol": BCRYPT, "dave": BCRYPT})
    remembered = StandIns()
    async with database.app_step(read_only=False) as connection:
        if not database.is_sqlite:
            await connection.exec_driver_sql(f"SELECT set_config('yett.tenant', '{acme.id}', true)")
        await Credentials(connection, acme.id, clock(), remembered).stand_in("nobody")
    shares = remembered.find(acme.id, clock())
    assert shares is not None
    assert len(shares.counts) == 32
    assert shares.counts[:2] == [("bcrypt:4", 2), ("scrypt:ln=4,r=8,p=1", 2)]


async def test_a_name_has_the_same_stand_in_in_every_process_and_differs_between_installations(
    store: Store, database: Database, master_keys: MasterKeys, clock: Clock, acme: Tenant, globex: Tenant
) -> None:
    half = {f"user{number}": (BCRYPT, OURS)[number % 2] for number in range(4)}
    await inhabited(store, acme, half)
    await inhabited(store, globex, half)
    await check_master_key(database, master_keys)  # as every process does when it starts
    names = [f"nobody{number}" for number in range(40)]
    other = Store(database, master_keys, clock)
    first = [await stand_in(store, acme, name) for name in names]
    clock.advance(hours=1)
    assert [await stand_in(other, acme, name) for name in names] == first
    assert [await stand_in(store, acme, name) for name in names] == first
    assert [await stand_in(store, acme, name.upper()) for name in names] == first
    assert [await stand_in(store, globex, name) for name in names] != first
    tags = []
    for tenant in (acme, globex):
        async with store.for_tenant(tenant.id) as mine:
            tags.append([await mine.credentials.tag(name) for name in (*names, "NOBODY0")])
    assert tags[0][-1] == tags[0][0]
    assert len({*tags[0], *tags[1]}) == 80
    async with other.for_tenant(acme.id) as mine:
        assert await mine.credentials.tag("Nobody7") == tags[0][7]
    shares = Shares(b"another installation", [("argon2id:m=19456,t=2,p=1", 2), ("bcrypt:4", 2)])
    assert [shares.drawn(name) for name in names] != first


def test_what_grows_takes_names_from_the_others_and_no_other_name_moves() -> None:
    names = [f"nobody{number}" for number in range(500)]
    before = Shares(b"key", [("a", 50), ("b", 30), ("c", 20)])
    after = Shares(b"key", [("a", 70), ("b", 18), ("c", 12)])
    moved = {(before.drawn(name), after.drawn(name)) for name in names if before.drawn(name) != after.drawn(name)}
    assert moved == {("b", "a"), ("c", "a")}


async def test_the_proportions_are_counted_once_in_ten_minutes_and_by_one_attempt(
    store: Store, database: Database, clock: Clock, acme: Tenant
) -> None:
    remembered = StandIns()

    async def ask() -> str:
        async with database.app_step(read_only=False) as connection:
            if not database.is_sqlite:
                await connection.exec_driver_sql(f"SELECT set_config('yett.tenant', '{acme.id}', true)")
            credentials = Credentials(connection, acme.id, clock(), remembered)
            return foreign_hash.scheme(await credentials.stand_in("nobody"))

    await inhabited(store, acme, {"alice": BCRYPT})
    assert await ask() == "bcrypt:4"
    async with store.for_tenant(acme.id) as mine:
        alice = await mine.users.by_name("alice")
        assert alice is not None
        await mine.credentials.set_password(alice.id, OURS)
    clock.advance(minutes=9)
    assert await ask() == "bcrypt:4"
    clock.advance(minutes=2)
    assert remembered.find(acme.id, clock()) is None  # somebody has begun to ask
    assert await ask() == "bcrypt:4"
    clock.advance(minutes=1)  # and got no answer
    assert await ask() == "argon2id:m=19456,t=2,p=1"


def test_the_memory_of_proportions_is_bounded() -> None:
    remembered, now = StandIns(), datetime(2026, 11, 25, tzinfo=UTC)
    first, *others = [UUID(int=number) for number in range(10_001)]
    for tenant_id in (first, *others):
        remembered.remember(tenant_id, Shares(b"", []), now)
    assert remembered.find(first, now) is None
    assert remembered.find(others[0], now + timedelta(minutes=9)) is not None


async def test_a_password_that_cannot_be_verified_is_no_reason_to_fail(store: Store, acme: Tenant) -> None:
    await inhabited(store, acme, {"alice": "malformed"})
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.credentials.stand_in("bob") == foreign_hash.NOBODY
