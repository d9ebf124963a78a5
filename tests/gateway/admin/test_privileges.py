"""Nobody gives, takes or touches what goes beyond their own scopes, by whatever way."""

from typing import Any
from uuid import UUID

import pytest

from policies.administration import OPERATOR_ROLES, TENANT_ADMINISTRATOR
from tests.gateway.admin.house import Caller, House
from tests.gateway.world import ORDERS

PLATFORM, ACME = "/v1/tenants/platform", "/v1/tenants/acme"


async def refused(caller: Caller, method: str, path: str, body: dict[str, Any] | None = None) -> str:
    """The scopes that are missing."""
    if method == "PATCH":
        answer = await caller.patch(path, body, tag="*")
    else:
        answer = await caller.call(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), answer.text
    assert f'scope="{answer.json()["scope"]}"' in answer.headers["www-authenticate"]
    return str(answer.json()["scope"])


async def test_an_admin_makes_no_owner_and_touches_none(house: House) -> None:
    owner, admin = house.operators["owner"], house.operators["admin"]
    async with house.client(await house.operator("admin")) as caller:
        for method, path, body in (
            ("PUT", f"/users/{admin}/roles/owner", None),
            ("DELETE", f"/users/{owner}/roles/owner", None),
            ("POST", "/roles", {"name": "almost-owner", "scopes": ["yett:tenants:delete"]}),
            ("POST", "/users", {"name": "friend", "roles": ["owner"]}),
            ("POST", "/invitations", {"name": "friend", "roles": ["owner"], "by": "link"}),
            ("PATCH", f"/users/{owner}", {"email": "mine@example.com"}),
            ("PATCH", f"/users/{owner}", {"active": False}),
            ("DELETE", f"/users/{owner}", None),
            ("DELETE", f"/users/{owner}/factors", None),
            ("DELETE", f"/users/{owner}/sessions", None),
            ("POST", f"/users/{owner}/reset-letter", None),
            ("PUT", f"/users/{owner}/password", {"password": "a few words, and a horse"}),
            ("PATCH", "/clients/yett-cli", {"redirect_uris": ["https://evil.example/callback"]}),
            ("DELETE", "/clients/yett-cli", None),
            ("POST", "/clients/yett-cli/secrets", None),
        ):
            assert await refused(caller, method, f"{PLATFORM}{path}", body) == "yett:tenants:delete", path
        assert (await caller.call("PUT", f"{PLATFORM}/users/{admin}/roles/auditor")).status_code == 204


async def test_support_takes_over_nobody_who_administers(house: House) -> None:
    async with house.client(await house.operator("support")) as caller:
        administrator, alice = house.administrators["acme"], house.world.acme.users["alice"]
        assert "yett:users:write" in await refused(caller, "DELETE", f"{ACME}/users/{administrator}/factors")
        assert (await caller.delete(f"{ACME}/users/{alice}/factors")).status_code == 200


async def test_who_may_write_users_gets_no_role_by_it(house: House) -> None:
    token = await house.administrator(scopes=frozenset({"yett:users:write", "yett:users:read"}))
    async with house.client(token) as caller:
        body = {"name": "friend", "roles": [TENANT_ADMINISTRATOR]}
        assert "yett:roles:write" in await refused(caller, "POST", f"{ACME}/users", body)
        mine = house.administrators["acme"]
        await refused(caller, "PUT", f"{ACME}/users/{mine}/roles/reader")  # roles:write is not held at all
        assert "yett:roles:write" in await refused(caller, "POST", f"{ACME}/users", {"name": "x", "roles": ["reader"]})
        assert (await caller.post(f"{ACME}/users", {"name": "friend"})).status_code == 201


async def test_who_may_write_roles_puts_nothing_into_them_that_they_lack(house: House) -> None:
    token = await house.administrator(scopes=frozenset({"yett:roles:write", "yett:roles:read"}))
    async with house.client(token) as caller:
        for scope in ("yett:users:write", "yett:tenants:delete", "yett:of-a-later-release"):
            patch = {"scopes": ["orders:read", scope]}
            assert await refused(caller, "PATCH", f"{ACME}/roles/reader", patch) == scope
            assert await refused(caller, "POST", f"{ACME}/roles", {"name": "x", "scopes": [scope]}) == scope
        assert (await caller.post(f"{ACME}/roles", {"name": "x", "scopes": ["orders:read"]})).status_code == 201


async def test_who_may_write_clients_makes_no_machine_that_administers(house: House) -> None:
    token = await house.administrator(scopes=frozenset({"yett:clients:write", "yett:clients:read"}))
    machine = {
        "client_id": "machine",
        "name": "Machine",
        "auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"],
        "scopes": ["yett:users:write"],
        "audiences": ["urn:yett:admin"],
    }
    async with house.client(token) as caller:
        assert await refused(caller, "POST", f"{ACME}/clients", machine) == "yett:users:write"
        patch = {"scopes": ["yett:users:write"], "audiences": ["urn:yett:admin"]}
        assert await refused(caller, "PATCH", f"{ACME}/clients/web", patch) == "yett:users:write"
        await refused(caller, "POST", f"{ACME}/clients/yett-cli/secrets")
        key = {"name": "k", "scopes": ["yett:users:write"], "audiences": [ORDERS]}
        await refused(caller, "POST", f"{ACME}/api-keys", key)


async def test_a_machine_of_a_tenant_administers_by_what_it_was_given(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        made = await caller.post(
            f"{ACME}/clients",
            {
                "client_id": "machine",
                "name": "Machine",
                "auth_method": "client_secret_basic",
                "grant_types": ["client_credentials"],
                "scopes": ["yett:users:read"],
                "default_scopes": ["yett:users:read"],
                "audiences": ["urn:yett:admin"],
            },
        )
    await house.world.snapshot.poll()
    form = {"grant_type": "client_credentials"}
    token = (await house.world.post(form, auth=("machine", made.json()["secret"]))).json()["access_token"]
    async with house.client(token) as caller:
        assert (await caller.get(f"{ACME}/users")).status_code == 200
        assert (await caller.get(f"{ACME}/clients")).status_code == 403


async def test_a_machine_of_the_platform_is_no_operator(house: House) -> None:
    """It can show no second factor."""
    async with house.client(await house.operator()) as caller:
        made = await caller.post(
            f"{PLATFORM}/clients",
            {
                "client_id": "machine",
                "name": "Machine",
                "auth_method": "client_secret_basic",
                "grant_types": ["client_credentials"],
                "scopes": ["yett:tenants:read"],
                "default_scopes": ["yett:tenants:read"],
                "audiences": ["urn:yett:admin"],
            },
        )
    await house.world.snapshot.poll()
    form = {"grant_type": "client_credentials"}
    token = (await house.world.post(form, to="platform", auth=("machine", made.json()["secret"]))).json()
    async with house.client(token["access_token"]) as caller:
        assert (await caller.get("/v1/tenants")).json()["code"] == "insufficient_user_authentication"


# -- what stays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", OPERATOR_ROLES)
async def test_the_roles_of_operators_stay_as_they_are(house: House, role: str) -> None:
    async with house.client(await house.operator()) as caller:
        path = f"{PLATFORM}/roles/{role}"
        assert (await caller.get(path)).json()["built_in"] is True
        assert (await caller.patch(path, {"scopes": ["a"]})).json()["code"] == "built_in"
        assert (await caller.delete(path)).json()["code"] == "built_in"


async def test_a_role_of_that_name_in_a_tenant_is_its_own(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        made = await caller.post(f"{ACME}/roles", {"name": "owner", "scopes": ["orders:read"]})
        assert made.json() == {"name": "owner", "scopes": ["orders:read"], "built_in": False}
        refused_ = await caller.patch(f"{ACME}/roles/{TENANT_ADMINISTRATOR}", {"scopes": ["a"]})
        assert refused_.json()["code"] == "built_in"


async def test_the_platform_keeps_an_owner(house: House) -> None:
    owner = house.operators["owner"]
    async with house.client(await house.operator()) as caller:

        async def attempts() -> set[str | None]:
            answers = [
                await caller.delete(f"{PLATFORM}/users/{owner}/roles/owner"),
                await caller.patch(f"{PLATFORM}/users/{owner}", {"active": False}),
                await caller.delete(f"{PLATFORM}/users/{owner}"),
            ]
            return {answer.json()["code"] if answer.content else None for answer in answers}

        assert await attempts() == {"last_owner"}
        second = (await caller.post(f"{PLATFORM}/users", {"name": "second", "roles": ["owner"]})).json()["id"]
        await caller.patch(f"{PLATFORM}/users/{second}", {"active": False})
        assert await attempts() == {"last_owner"}  # who is disabled owns nothing
        await caller.patch(f"{PLATFORM}/users/{second}", {"active": True})
        assert (await caller.delete(f"{PLATFORM}/users/{owner}/roles/owner")).status_code == 204


async def test_the_platform_is_neither_suspended_nor_deleted(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        for answer in (
            await caller.post(f"{PLATFORM}/suspend"),
            await caller.post(f"{PLATFORM}/resume"),
            await caller.delete(PLATFORM),
        ):
            assert (answer.status_code, answer.json()["code"]) == (409, "built_in")


async def test_another_tenants_ids_lead_nowhere(house: House) -> None:
    """M03: by UUID, from within one's own tenant."""
    theirs: UUID = house.world.globex.users["alice"]
    async with house.client(await house.administrator()) as caller:
        for method, path in (
            ("GET", ""),
            ("GET", "/sessions"),
            ("GET", "/factors"),
            ("DELETE", "/factors"),
            ("DELETE", ""),
            ("PUT", "/roles/reader"),
        ):
            answer = await caller.call(method, f"{ACME}/users/{theirs}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "resource_not_found"), path


async def test_how_long_a_log_keeps_events_is_for_operators_to_say(house: House) -> None:
    change = {"lifetimes": {"audit_events": 86_400}}
    async with house.client(await house.administrator()) as caller:
        answer = await caller.patch(ACME, change, tag=(await caller.get(ACME)).headers["etag"])
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/lifetimes/audit_events"
    async with house.client(await house.operator()) as caller:
        answer = await caller.patch(ACME, change, tag=(await caller.get(ACME)).headers["etag"])
        assert answer.status_code == 200
        assert answer.json()["lifetimes"]["audit_events"] == 86_400
    (told,) = [event for event in await house.world.events() if event["type"] == "tenant.configured"]
    assert (told["severity"], told["details"]["weakened"]) == ("high", ["lifetimes.audit_events"])


async def test_keys_and_secrets_of_a_tenant_are_bounded(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        rotations = [(await caller.post(f"{ACME}/signing-keys/rotate", {"now": True})).status_code for _ in range(21)]
        assert rotations == [200] * 20 + [422]
        made = {
            "client_id": "machine",
            "name": "M",
            "auth_method": "client_secret_basic",
            "audiences": ["https://a.b/c"],
        }
        assert (await caller.post(f"{ACME}/clients", made)).status_code == 201
        path = f"{ACME}/clients/machine/secrets"
        secrets = [(await caller.post(path, {})).status_code for _ in range(20)]
        assert set(secrets[:19]) <= {200, 201}
        assert secrets[19] == 422
        assert (await caller.post(path, {"end_others": True})).status_code in (200, 201)
