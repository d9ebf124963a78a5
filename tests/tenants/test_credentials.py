"""Passwords: the version tells a login whether the password is still the one that it verified."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tenants.directory import Directory
from tenants.errors import NotFound
from tenants.store import Store
from tests.tenants.conftest import Household


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
