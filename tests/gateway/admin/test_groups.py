"""Groups through the admin API: what they give reaches tokens, and nobody gives by a group what they lack."""

from typing import Any
from uuid import UUID

import pytest

from policies.administration import OWNER, TENANT_ADMINISTRATOR
from tests.gateway.admin.house import Caller, House
from tests.gateway.admin.test_privileges import refused
from tests.gateway.admin.test_resources import pages
from tests.gateway.browser import Browser

PLATFORM, ACME = "/v1/tenants/platform", "/v1/tenants/acme"


async def made(caller: Caller, base: str, name: str, *roles: str) -> dict[str, Any]:
    answer = await caller.post(f"{base}/groups", {"name": name, "roles": list(roles)})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def put(caller: Caller, base: str, group: str, user_id: object) -> int:
    return (await caller.call("PUT", f"{base}/groups/{group}/members/{user_id}")).status_code


async def test_a_group_is_kept_and_listed_in_pages(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        for name in ("c", "a", "b"):
            await made(caller, ACME, name, "reader")
        listed = await pages(caller, f"{ACME}/groups")
        assert [each["name"] for each in listed] == ["a", "b", "c"]
        changed = await caller.patch(f"{ACME}/groups/a", {"description": "Who reads", "roles": ["writer"]})
        assert changed.status_code == 200
        assert (changed.json()["description"], changed.json()["roles"]) == ("Who reads", ["writer"])
        assert (await caller.get(f"{ACME}/groups/a")).json() == changed.json()
        assert (await caller.patch(f"{ACME}/groups/a", {"description": "x"}, tag='"old"')).status_code == 412
        assert (await caller.patch(f"{ACME}/groups/a", {"description": "x"}, tag="")).status_code == 428
        assert (await caller.post(f"{ACME}/groups", {"name": "a"})).status_code == 409
        assert (await caller.delete(f"{ACME}/groups/a")).status_code == 204
        assert (await caller.get(f"{ACME}/groups/a")).status_code == 404


async def test_members_are_listed_in_pages_and_a_user_says_their_groups(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        await made(caller, ACME, "staff")
        users = each_house.world.acme.users
        for name in ("alice", "bob", "mallory"):
            assert await put(caller, ACME, "staff", users[name]) == 204
            assert await put(caller, ACME, "staff", users[name]) == 204
        listed = await pages(caller, f"{ACME}/groups/staff/members")
        assert [each["name"] for each in listed] == ["alice", "bob", "mallory"]
        assert (await caller.get(f"{ACME}/users/{users['bob']}")).json()["groups"] == ["staff"]
        for _ in range(2):
            assert (await caller.delete(f"{ACME}/groups/staff/members/{users['bob']}")).status_code == 204
        assert (await caller.get(f"{ACME}/users/{users['bob']}")).json()["groups"] == []
    told = [each["type"] for each in await each_house.world.events() if each["type"].startswith("group.")]
    assert told == ["group.created", *["group.member_added"] * 3, "group.member_removed"]


async def test_what_a_group_gives_is_in_the_next_token_and_no_longer(house: House) -> None:
    world, mallory = house.world, house.world.acme.users["mallory"]

    async def scopes() -> set[str]:
        return set((await world.login(username="mallory")).get("scope", "").split()) & {"orders:read", "orders:write"}

    assert await scopes() == set()
    async with house.client(await house.administrator()) as caller:
        await made(caller, ACME, "readers", "reader")
        await put(caller, ACME, "readers", mallory)
        assert await scopes() == {"orders:read"}
        tokens = await world.login(username="mallory", scope="orders:read offline_access")
        refreshed = (await world.refresh(tokens["refresh_token"])).json()
        assert "orders:read" in refreshed["scope"].split()
        await caller.patch(f"{ACME}/groups/readers", {"roles": []})
        assert await scopes() == set()
        answer = await world.refresh(refreshed["refresh_token"])
        assert "orders:read" not in answer.json().get("scope", "").split()


async def test_an_operator_by_a_group_is_one(house: House) -> None:
    support = house.operators["support"]
    async with house.client(await house.operator()) as caller:
        await made(caller, PLATFORM, "admins", "admin")
        await put(caller, PLATFORM, "admins", support)
    async with house.client(await house.operator("support")) as caller:
        assert (await caller.post(f"{ACME}/users", {"name": "made-by-support"})).status_code == 201


async def test_an_admin_makes_no_owner_by_a_group(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        await made(caller, PLATFORM, "owners", OWNER)
        await made(caller, PLATFORM, "plain")
        await put(caller, PLATFORM, "owners", house.operators["owner"])
    admin = house.operators["admin"]
    async with house.client(await house.operator("admin")) as caller:
        for method, path, body in (
            ("POST", "/groups", {"name": "mine", "roles": [OWNER]}),
            ("PATCH", "/groups/plain", {"roles": [OWNER]}),
            ("PATCH", "/groups/owners", {"roles": []}),
            ("DELETE", "/groups/owners", None),
            ("PUT", f"/groups/owners/members/{admin}", None),
            ("DELETE", f"/groups/owners/members/{house.operators['owner']}", None),
            ("POST", "/users", {"name": "friend", "groups": ["owners"]}),
            ("POST", "/invitations", {"name": "friend", "groups": ["owners"], "by": "link"}),
        ):
            assert await refused(caller, method, f"{PLATFORM}{path}", body) == "yett:tenants:delete", path
        assert (await caller.patch(f"{PLATFORM}/groups/owners", {"description": "Who owns"})).status_code == 200


async def test_who_is_owner_by_a_group_is_touched_by_no_admin(house: House) -> None:
    support = house.operators["support"]
    async with house.client(await house.operator()) as caller:
        await made(caller, PLATFORM, "owners", OWNER)
        await put(caller, PLATFORM, "owners", support)
    async with house.client(await house.operator("admin")) as caller:
        for method, path in (("DELETE", ""), ("DELETE", "/factors"), ("DELETE", "/sessions")):
            assert await refused(caller, method, f"{PLATFORM}/users/{support}{path}") == "yett:tenants:delete"


async def test_who_may_write_users_puts_nobody_into_a_group(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        await made(caller, ACME, "administrators", TENANT_ADMINISTRATOR)
        await made(caller, ACME, "empty")
    token = await house.administrator(scopes=frozenset({"yett:users:write", "yett:users:read"}))
    async with house.client(token) as caller:
        mine = house.administrators["acme"]
        await refused(caller, "PUT", f"{ACME}/groups/administrators/members/{mine}")
        for group in ("administrators", "empty"):
            body = {"name": "friend", "groups": [group]}
            assert "yett:roles:write" in await refused(caller, "POST", f"{ACME}/users", body)
            body = {"name": "friend", "groups": [group], "by": "link"}
            assert "yett:roles:write" in await refused(caller, "POST", f"{ACME}/invitations", body)


async def test_a_role_that_a_group_carries_gets_nothing_that_its_giver_lacks(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        await made(caller, ACME, "readers", "reader")
    token = await house.administrator(scopes=frozenset({"yett:roles:write", "yett:roles:read"}))
    async with house.client(token) as caller:
        patch = {"scopes": ["yett:users:write"]}
        assert await refused(caller, "PATCH", f"{ACME}/roles/reader", patch) == "yett:users:write"


@pytest.mark.parametrize("way", ["remove", "change", "delete", "disable"])
async def test_the_last_owner_stays_one_whatever_made_them_it(house: House, way: str) -> None:
    owner = house.operators["owner"]
    async with house.client(await house.operator()) as caller:
        await made(caller, PLATFORM, "owners", OWNER)
        await put(caller, PLATFORM, "owners", owner)
        assert (await caller.delete(f"{PLATFORM}/users/{owner}/roles/owner")).status_code == 409
        async with house.world.installation.store.for_tenant(house.platform.id) as store:
            await store.roles.withdraw(owner, OWNER)
        match way:
            case "remove":
                answer = await caller.delete(f"{PLATFORM}/groups/owners/members/{owner}")
            case "change":
                answer = await caller.patch(f"{PLATFORM}/groups/owners", {"roles": []})
            case "delete":
                answer = await caller.delete(f"{PLATFORM}/groups/owners")
            case _:
                answer = await caller.patch(f"{PLATFORM}/users/{owner}", {"active": False})
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
        await put(caller, PLATFORM, "owners", house.operators["admin"])
        if way == "remove":
            assert (await caller.delete(f"{PLATFORM}/groups/owners/members/{owner}")).status_code == 204


async def test_what_is_no_group_or_no_role_is_told(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        theirs = house.administrators["globex"]
        await made(caller, ACME, "staff")
        assert await put(caller, ACME, "staff", theirs) == 404
        assert await put(caller, ACME, "nobodys", house.world.acme.users["bob"]) == 404
        for path, body, pointer in (
            ("/groups", {"name": "x", "roles": ["nobodys"]}, "/roles"),
            ("/users", {"name": "x", "groups": ["nobodys"]}, "/groups"),
            ("/invitations", {"name": "x", "by": "link", "groups": ["nobodys"]}, "/groups"),
        ):
            answer = await caller.post(f"{ACME}{path}", body)
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
        assert (await caller.post(f"{ACME}/groups", {"name": "two words"})).status_code == 422


async def test_an_invitation_by_name_is_withdrawn_by_name(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        body = {"name": "Guest", "by": "link"}
        assert (await caller.post(f"{ACME}/invitations", body)).status_code == 201
        for query in ("", "?email=a@example.com&name=guest"):
            assert (await caller.delete(f"{ACME}/invitations{query}")).status_code == 422
        assert (await caller.delete(f"{ACME}/invitations?name=other")).json() == {"links_ended": 0}
        assert (await caller.delete(f"{ACME}/invitations?name=guest")).json() == {"links_ended": 1}
        assert (await caller.delete(f"{ACME}/invitations?name=guest")).json() == {"links_ended": 0}


async def test_who_is_invited_comes_into_the_groups_that_are_there_still(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        await made(caller, ACME, "staff", "reader")
        await made(caller, ACME, "passing")
        body = {"name": "guest", "by": "link", "groups": ["staff", "passing"]}
        link = (await caller.post(f"{ACME}/invitations", body)).json()["link"]
        assert (await caller.delete(f"{ACME}/groups/passing")).status_code == 204
        async with Browser(house.world) as browser:
            await browser.get("/invite?" + link.partition("?")[2])
            await browser.submit(password="a few words, and a horse")
            assert browser.at == "/account"
        (guest,) = (await caller.get(f"{ACME}/users", params={"name": "guest"})).json()["items"]
    assert guest["groups"] == ["staff"]
    async with house.world.store() as store:
        assert await store.roles.held_by(UUID(guest["id"])) == {"reader"}
    told = [each["type"] for each in await house.world.events() if each.get("subject") == guest["id"]]
    assert "user.group_missing" in told
