"""Roles: named sets of scopes; a user's scopes are the union of their roles'."""

from uuid import uuid4

import pytest

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.roles import Role
from tenants.store import Store
from tenants.tenant import Tenant
from tests.tenants.conftest import Household


async def test_a_users_scopes_are_the_union_of_their_roles(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.roles.create("reader", ["orders:read", "ws"])
        await mine.roles.create("writer", ["orders:read", "orders:write"])
        await mine.roles.create("idle", [])
        await mine.roles.create("admin", ["admin"])
        for name in ("reader", "writer", "idle"):
            await mine.roles.assign(household.user_id, name)
        assert await mine.roles.of_user(household.user_id) == ["idle", "reader", "writer"]
        assert await mine.roles.scopes_of(household.user_id) == {"orders:read", "orders:write", "ws"}


async def test_a_user_without_a_role_has_no_scope(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.roles.scopes_of(household.user_id) == frozenset()
        assert await mine.roles.scopes_of(uuid4()) == frozenset()


async def test_assigning_twice_and_withdrawing_twice_changes_nothing(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.roles.create("reader", ["orders:read"])
        await mine.roles.assign(household.user_id, "reader")
        await mine.roles.assign(household.user_id, "reader")
        assert await mine.roles.of_user(household.user_id) == ["reader"]
        await mine.roles.withdraw(household.user_id, "reader")
        await mine.roles.withdraw(household.user_id, "reader")
        assert await mine.roles.scopes_of(household.user_id) == frozenset()


async def test_a_role_name_is_taken_once(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        made = await mine.roles.create("reader", ["orders:read"])
        with pytest.raises(AlreadyExists):
            await mine.roles.create("reader", ["admin"])
        assert await mine.roles.get("reader") == made == Role("reader", frozenset({"orders:read"}))
        assert await mine.roles.list() == [made]


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 101, "a\0", "a\ud800", "ä", "a\n"])
async def test_what_cannot_be_a_name_is_no_role(store: Store, household: Household, name: str) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.roles.create(name, [])
        assert await mine.roles.get(name) is None
        with pytest.raises(NotFound):
            await mine.roles.assign(household.user_id, name)
        await mine.roles.withdraw(household.user_id, name)


@pytest.mark.parametrize("scope", ["", " ", "a b", 'a"', "a\\", "ä", "a\0", "a\n", "x" * 101])
async def test_what_cannot_be_a_scope_is_refused(store: Store, acme: Tenant, scope: str) -> None:
    async with store.for_tenant(acme.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.roles.create("reader", ["orders:read", scope])
        assert await mine.roles.list() == []


async def test_a_role_needs_a_user_and_a_role_that_there_are(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.roles.create("reader", ["orders:read"])
        with pytest.raises(NotFound, match="role"):
            await mine.roles.assign(household.user_id, "writer")
        with pytest.raises(NotFound, match="user"):
            await mine.roles.assign(uuid4(), "reader")
        assert await mine.roles.of_user(household.user_id) == []
