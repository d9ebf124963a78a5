"""Groups: who is in one holds what it carries, beside their own roles, and no longer than they are in it."""

from uuid import uuid4

import pytest

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.groups import LONGEST_DESCRIPTION, MOST_ROLES
from tenants.store import Store, TenantStore
from tenants.tenant import Tenant
from tests.tenants.conftest import Household


async def roles(mine: TenantStore, *names: str) -> None:
    for name in names:
        await mine.roles.create(name, [f"{name}:scope"])


async def test_a_member_holds_what_the_group_carries_beside_their_own(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await roles(mine, "own", "first", "second", "nobodys")
        await mine.roles.assign(household.user_id, "own")
        await mine.groups.create("one", roles=["first", "own"])
        await mine.groups.create("two", roles=["second"])
        for name in ("one", "two"):
            assert await mine.groups.add(name, household.user_id)
        assert await mine.roles.held_by(household.user_id) == {"own", "first", "second"}
        assert await mine.roles.scopes_of(household.user_id) == {"own:scope", "first:scope", "second:scope"}
        assert await mine.roles.of_user(household.user_id) == ["own"]
        assert await mine.groups.of_user(household.user_id) == ("one", "two")


@pytest.mark.parametrize("way", ["remove", "change", "delete_group", "delete_role"])
async def test_what_a_group_gave_ends_with_it(store: Store, household: Household, way: str) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await roles(mine, "reader")
        group = await mine.groups.create("staff", roles=["reader"])
        await mine.groups.add("staff", household.user_id)
        match way:
            case "remove":
                assert await mine.groups.remove("staff", household.user_id)
            case "change":
                await mine.groups.change(group, description="", roles=[])
            case "delete_group":
                await mine.groups.delete("staff")
            case _:
                await mine.roles.delete("reader")
        assert await mine.roles.scopes_of(household.user_id) == frozenset()
        assert await mine.users.get(household.user_id) is not None


async def test_a_deleted_user_is_in_no_group(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.groups.create("staff")
        await mine.groups.add("staff", household.user_id)
        await mine.users.delete(household.user_id)
        assert await mine.groups.members("staff") == []


async def test_adding_twice_and_removing_twice_changes_nothing(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await mine.groups.create("staff")
        assert await mine.groups.add("staff", household.user_id)
        assert not await mine.groups.add("staff", household.user_id)
        assert await mine.groups.remove("staff", household.user_id)
        assert not await mine.groups.remove("staff", household.user_id)


async def test_members_are_listed_by_name_from_where_a_page_ended(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.groups.create("staff")
        for name in ("carla", "Bert", "anna"):
            await mine.groups.add("staff", (await mine.users.create(name)).id)
        first = await mine.groups.members("staff", limit=2)
        assert [each.name for each in first] == ["anna", "Bert"]
        assert [each.name for each in await mine.groups.members("staff", after=first[-1].key)] == ["carla"]


async def test_a_group_is_changed_as_a_whole(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await roles(mine, "a", "b", "c")
        made = await mine.groups.create("staff", description="Who works here", roles=["a", "b"])
        assert await mine.groups.get("staff") == made
        changed = await mine.groups.change(made, description="Others", roles=["b", "c"])
        assert await mine.groups.get("staff") == changed
        assert (changed.description, changed.roles) == ("Others", {"b", "c"})
        assert await mine.groups.list() == [changed]
        assert await mine.groups.scopes_of("staff") == {"b:scope", "c:scope"}


async def test_a_group_needs_what_there_is(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(NotFound, match="role"):
            await mine.groups.create("broken", roles=["nobodys"])
        made = await mine.groups.create("staff")
        with pytest.raises(AlreadyExists):
            await mine.groups.create("staff")
        with pytest.raises(NotFound, match="role"):
            await mine.groups.change(made, description="", roles=["nobodys"])
        with pytest.raises(NotFound, match="group"):
            await mine.groups.add("nobodys", household.user_id)
        with pytest.raises(NotFound, match="user"):
            await mine.groups.add("staff", uuid4())
        with pytest.raises(NotFound):
            await mine.groups.delete("nobodys")


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a" * 101, "a\0", "ä"])
async def test_what_cannot_be_a_name_is_no_group(store: Store, household: Household, name: str) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        with pytest.raises(InvalidValue):
            await mine.groups.create(name)
        assert await mine.groups.get(name) is None
        assert await mine.groups.scopes_of(name) == frozenset()
        assert await mine.groups.members(name) == []
        assert not await mine.groups.remove(name, household.user_id)
        with pytest.raises(NotFound):
            await mine.groups.add(name, household.user_id)
        with pytest.raises(NotFound):
            await mine.groups.delete(name)


async def test_what_a_group_says_is_bounded(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        for description in ("x" * (LONGEST_DESCRIPTION + 1), "two\nlines", "nul\0"):
            with pytest.raises(InvalidValue):
                await mine.groups.create("staff", description=description)
        with pytest.raises(InvalidValue, match="at most"):
            await mine.groups.create("staff", roles=[f"r{number}" for number in range(MOST_ROLES + 1)])


async def test_who_else_holds_a_role_is_asked_of_active_users_and_all_ways(store: Store, household: Household) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        await roles(mine, "owner")
        await mine.groups.create("owners", roles=["owner"])
        me, other = household.user_id, (await mine.users.create("other")).id
        assert not await mine.roles.held_by_another("owner")
        await mine.roles.assign(me, "owner")
        assert await mine.roles.held_by_another("owner")
        assert not await mine.roles.held_by_another("owner", but=me)
        await mine.groups.add("owners", other)
        assert await mine.roles.held_by_another("owner", but=me)
        assert not await mine.roles.held_by_another("owner", but=me, without_group="owners")
        await mine.users.set_active(other, False)
        assert not await mine.roles.held_by_another("owner", but=me)
