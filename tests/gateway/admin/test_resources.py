"""What each resource does, beyond that it may be asked: pages, names that are taken, secrets that are never read."""

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from gateway.admin.operations import OPERATIONS
from gateway.cli.main import main
from gateway.housekeeping import Housekeeping
from tests.gateway.admin.house import Caller, House
from tests.gateway.admin.targets import Targets
from tests.gateway.world import ORDERS

ACME = "/v1/tenants/acme"


async def pages(caller: Caller, path: str, **query: Any) -> list[dict[str, Any]]:
    """All of a list, in pages of two."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        sent = {"limit": 2, **query, **({"cursor": cursor} if cursor else {})}
        page = (await caller.get(path, params=sent)).json()
        assert len(page["items"]) <= 2
        found += page["items"]
        cursor = page["next_cursor"]
    return found


async def test_pages_have_everything_once(each_house: House) -> None:
    lists = {"/v1/tenants": "slug", f"{ACME}/users": "name", f"{ACME}/roles": "name", f"{ACME}/clients": "client_id"}
    async with each_house.client(await each_house.operator()) as caller:
        for number in range(3):
            long = {"name": chr(0x4E00 + number) * 250, "roles": []}
            assert (await caller.post(f"{ACME}/users", long)).status_code == 201
        for path, name in lists.items():
            whole = (await caller.get(path, params={"limit": 200})).json()
            assert whole["next_cursor"] is None
            assert len(whole["items"]) > 2
            assert await pages(caller, path) == whole["items"]
            assert [each[name] for each in whole["items"]] == sorted(each[name] for each in whole["items"])


async def test_a_cursor_is_of_its_own_list(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        cursor = (await caller.get(f"{ACME}/users?limit=1")).json()["next_cursor"]
        assert (await caller.get(f"{ACME}/users?limit=3&cursor={cursor}")).status_code == 200
        for path in (
            f"{ACME}/roles?cursor={cursor}",
            f"/v1/tenants/globex/users?cursor={cursor}",
            f"{ACME}/users?active=true&cursor={cursor}",
            f"{ACME}/users?cursor={cursor[:-1]}",
            f"{ACME}/users?cursor={cursor}A",
            f"{ACME}/users?cursor=A{cursor[1:]}",
        ):
            answer = await caller.get(path)
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid"), path


async def test_api_keys_are_listed_in_pages(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        body = {"name": "k", "scopes": ["orders:read"], "audiences": [ORDERS]}
        made = [(await caller.post(f"{ACME}/api-keys", body)).json() for _ in range(5)]
        listed = await pages(caller, f"{ACME}/api-keys")
        assert {each["id"] for each in listed} == {each["id"] for each in made}
        assert all("api_key" not in each for each in listed)
        assert (await caller.delete(f"{ACME}/api-keys/{made[0]['id']}")).status_code == 204
        assert (await caller.delete(f"{ACME}/api-keys/{made[0]['id']}")).status_code == 204
        assert (await caller.get(f"{ACME}/api-keys/{made[0]['id']}")).json()["state"] == "revoked"


async def test_users_are_found_by_how_their_name_begins(house: House) -> None:
    async with house.client(await house.operator()) as caller:
        found = await caller.get(f"{ACME}/users", params={"name": "AL"})
        assert [each["name"] for each in found.json()["items"]] == ["alice"]
        assert (await caller.get(f"{ACME}/users", params={"name": "%"})).json()["items"] == []
        await caller.patch(f"{ACME}/users/{house.world.acme.users['bob']}", {"active": False})
        assert [each["name"] for each in await pages(caller, f"{ACME}/users", active="false")] == ["bob"]


SPELLINGS = {
    "ALICE": 409,
    "\uff21lice": 409,  # full width
    "alice\u200b": 422,
    "alice.": 422,
    "\u0430lice": 422,  # Cyrillic
    "a@example.com": 409,
    "A@EXAMPLE.COM": 409,
}


async def test_d01_a_name_is_taken_in_every_spelling(each_house: House) -> None:
    async with each_house.client(await each_house.administrator()) as caller:
        await caller.post(f"{ACME}/users", {"name": "anna", "email": "a@example.com"})
        for name, status in SPELLINGS.items():
            made = await caller.post(f"{ACME}/users", {"name": name})
            assert made.status_code == status, made.text
            if "@" in name:
                changed = await caller.patch(f"{ACME}/users/{each_house.world.acme.users['bob']}", {"email": name})
                assert changed.json()["code"] == "already_exists"


async def test_a_users_address_is_changed_and_not_taken_away(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        path = f"{ACME}/users/{house.world.acme.users['bob']}"
        assert (await caller.patch(path, {"email_verified": True})).status_code == 422
        done = await caller.patch(path, {"email": "bob@example.com", "email_verified": True})
        assert (done.json()["email"], done.json()["email_verified"]) == ("bob@example.com", True)
        assert (await caller.patch(path, {"email": None})).status_code == 422
        (event,) = [each for each in await house.world.events() if each["type"] == "user.email_set"]
        assert event["actor"] == f"acme/{house.administrators['acme']}"
        assert (event["address"], len(event["request_id"])) == ("203.0.113.7", 32)


async def test_who_is_disabled_or_deleted_has_no_token_any_more(house: House) -> None:
    world = house.world
    token = (await world.login())["access_token"]
    async with house.client(await house.administrator()) as caller:
        path = f"{ACME}/users/{world.acme.users['alice']}"
        (session,) = (await caller.get(f"{path}/sessions")).json()["items"]
        assert session["id"] == world.claims(token)["sid"]
        assert (await caller.delete(f"{path}/sessions/{session['id']}")).status_code == 204
        assert (await caller.delete(f"{path}/sessions/{session['id']}")).json()["code"] == "resource_not_found"
        assert (await caller.delete(path)).status_code == 204
    await world.snapshot.poll()
    assert (await world.post(world.acme.form())).json()["error"] == "invalid_grant"
    assert [each["type"] for each in await world.events()][-2:] == ["user.deleted", "login.refused"]


async def test_a_factor_is_named_and_never_read(house: House) -> None:
    operation = next(each for each in OPERATIONS if each.name == "list_factors")
    async with house.client(await house.administrator()) as caller:
        path = await Targets(house, "acme").path(operation)
        shown = (await caller.get(path)).json()
        assert [set(each) for each in shown["items"]] == [{"id", "name", "created_at", "last_used_at"}]
        gone = await caller.delete(path)
        assert gone.json() == {"factors": 1, "devices": 0, "sessions_ended": 1}
        assert (await caller.get(path)).json() == {"items": [], "recovery_codes_left": 0}


async def test_who_failed_too_often_is_unlocked(house: House) -> None:
    world = house.world
    async with house.client(await house.administrator()) as caller:
        wrong, right = world.acme.form(password="wrong horse battery staple"), world.acme.form()
        for _ in range(6):
            await world.post(wrong)
        assert (await world.post(right)).status_code == 429
        assert (await caller.post(f"{ACME}/users/{world.acme.users['alice']}/unlock")).status_code == 204
        assert (await world.post(right)).status_code == 200


async def test_a_letter_leads_to_a_new_password(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        made = await caller.post(f"{ACME}/users", {"name": "carol", "email": "carol@example.com"})
        assert (await caller.post(f"{ACME}/users/{made.json()['id']}/reset-letter")).status_code == 204
        without = await caller.post(f"{ACME}/users/{house.world.acme.users['bob']}/reset-letter")
        assert without.status_code == 422
    await house.world.deliver()
    (letter,) = (each for each in await house.world.events() if each["type"] == "mail.sent")
    assert letter["details"]["kind"] == "reset"


async def test_an_invitation_leads_to_an_account(house: House) -> None:
    world = house.world
    async with house.client(await house.administrator()) as caller:
        path, printed = f"{ACME}/invitations", {"name": "dave", "roles": ["reader"], "by": "link"}
        made = (await caller.post(path, printed)).json()
        assert made["link"].startswith("http://localhost:8080/t/acme/invite?token=yic_")
        async with world.client() as browser:
            assert "dave" in (await browser.get(made["link"])).text
        assert (await caller.post(path, {"name": "alice", "by": "link"})).json()["code"] == "already_exists"
        assert (await caller.post(path, {"by": "link"})).status_code == 422
        assert (await caller.post(path, {"name": "erin"})).status_code == 422
        assert (await caller.post(path, {"email": "erin@example.com", "by": "pigeon"})).status_code == 422
        sent = await caller.post(path, {"email": "erin@example.com", "roles": ["reader"]})
        assert (sent.status_code, sent.json()["link"]) == (201, None)
        await world.deliver()
        gone = await caller.delete(f"{path}?email=erin@example.com")
        assert gone.json() == {"links_ended": 1}
    told = [each["type"] for each in await world.events() if each["type"].startswith("user.")]
    assert told == ["user.invited", "user.invited", "user.uninvited"]


# -- clients and keys ------------------------------------------------------------------------------------------------


async def test_a_clients_secret_is_shown_once_and_works(house: House) -> None:
    world = house.world
    async with house.client(await house.administrator()) as caller:
        made = await caller.post(
            f"{ACME}/clients",
            {
                "client_id": "machine",
                "name": "Machine",
                "auth_method": "client_secret_basic",
                "grant_types": ["client_credentials"],
                "scopes": ["orders:read"],
                "default_scopes": ["orders:read"],
                "audiences": [ORDERS],
            },
        )
        first = made.json()["secret"]
        assert "secret" not in (await caller.get(f"{ACME}/clients/machine")).json()
        rolled = (await caller.post(f"{ACME}/clients/machine/secrets", {"end_others": True})).json()
        assert rolled["secrets_ended"] == 1
        form = {"grant_type": "client_credentials"}
        await world.snapshot.poll()
        assert (await world.post(form, auth=("machine", first))).status_code == 401
        assert (await world.post(form, auth=("machine", rolled["secret"]))).status_code == 200
        public = await caller.patch(f"{ACME}/clients/machine", {"auth_method": "none", "grant_types": []})
        assert (public.status_code, public.json()["secret"]) == (200, None)
        back = await caller.patch(f"{ACME}/clients/machine", {"auth_method": "client_secret_post"})
        assert back.json()["secret"].startswith("ycs_")
    assert first not in json.dumps(await world.events())


async def test_a_private_key_is_never_shown(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        keys = (await caller.get(f"{ACME}/signing-keys")).json()["items"]
        assert {each["state"] for each in keys} == {"next", "active"}
        assert not any("d" in each["public_jwk"] for each in keys)
        scheduled = (await caller.post(f"{ACME}/signing-keys/rotate")).json()
        assert scheduled["promote_at"] is not None
        now = (await caller.post(f"{ACME}/signing-keys/rotate", {"now": True})).json()
        assert (now["kid"], now["early"]) == (scheduled["kid"], True)
        assert (await caller.delete(f"{ACME}/signing-keys/{now['retires']}")).status_code == 204
        assert (await caller.delete(f"{ACME}/signing-keys/{now['retires']}")).status_code == 422


async def test_a_role_that_asks_for_a_factor_is_not_deleted(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        changed = await caller.patch(ACME, {"people": {"otp_roles": ["reader"]}})
        assert changed.json()["people"]["otp_roles"] == ["reader"]
        assert changed.json()["otp_required_since"] is not None
        assert (await caller.delete(f"{ACME}/roles/reader")).json()["code"] == "role_in_use"
        await caller.patch(ACME, {"people": {"otp_roles": None}})
        assert (await caller.delete(f"{ACME}/roles/reader")).status_code == 204


# -- tenants ---------------------------------------------------------------------------------------------------------


async def test_a_tenants_settings_are_merged_and_judged_as_a_whole(house: House) -> None:
    async with house.client(await house.administrator()) as caller:
        patch = {"lifetimes": {"access_token": 60}, "people": {"otp": "required"}, "branding": {"accent": "#ABCDEF"}}
        done = (await caller.patch(ACME, patch)).json()
        assert (done["lifetimes"]["access_token"], done["lifetimes"]["code"]) == (60, 60)
        assert (done["people"]["otp"], done["branding"]["accent"]) == ("required", "#abcdef")
        done = (await caller.patch(ACME, {"lifetimes": {"access_token": None}, "people": None})).json()
        assert (done["lifetimes"]["access_token"], done["people"]["otp"]) == (300, "optional")
        for wrong in (
            {"lifetimes": {"access_token": 10**6}},
            {"people": {"otp_roles": ["nobody"]}},
            {"people": {"mail_texts": {"nothing": "x"}}},
            {"default_client_id": "nobody"},
            {"branding": {"tagline": "{evil}"}},
            {"provider": {"scope_claims": {"openid": {"a": "email"}}}},
            {"slug": "other"},
            {"active": False},
            {"name": None},
        ):
            assert (await caller.patch(ACME, wrong)).json()["code"] == "validation_failed", wrong


async def test_a_tenant_is_made_suspended_resumed_and_deleted(each_house: House) -> None:
    world = each_house.world
    async with each_house.client(await each_house.operator()) as caller:
        made = await caller.post("/v1/tenants", {"slug": "initech", "name": "Initech"})
        path = made.headers["location"]
        assert path == "/v1/tenants/initech"
        assert made.json()["issuer"] == "http://localhost:8080/t/initech"
        assert (await caller.post("/v1/tenants", {"slug": "initech"})).json()["code"] == "already_exists"
        for slug in ("platform", "Initech", "-a", "a" * 64):
            assert (await caller.post("/v1/tenants", {"slug": slug})).status_code == 422
        taken = await caller.post("/v1/tenants", {"slug": "other", "issuer": "http://localhost:8080/t/initech"})
        assert taken.status_code == 422
        assert (await caller.post(f"{path}/suspend")).json()["active"] is False
        assert (await caller.post(f"{path}/resume")).json()["active"] is True
        ordered = await caller.delete(f"{path}?grace_seconds=3600")
        assert (ordered.json()["active"], ordered.json()["delete_at"]) == (False, "2026-11-25T13:00:00Z")
        assert (await caller.post(f"{path}/resume")).json()["delete_at"] is None
        await caller.delete(f"{path}?grace_seconds=0")
        assert (await caller.post(f"{path}/resume")).status_code == 422
        keeping = Housekeeping(world.installation.database, world.installation.store, world.clock)
        await keeping.delete_tenants(world.installation.platform)
        await world.snapshot.poll()
        assert (await caller.get(path)).json()["code"] == "tenant_not_found"
    told = [each["type"] for each in await world.platform_events() if each["type"].startswith("tenant.dele")]
    assert told == ["tenant.deletion_scheduled", "tenant.deletion_scheduled", "tenant.deleted"]


# -- the audit log ---------------------------------------------------------------------------------------------------


async def test_the_log_is_read_newest_first_and_filtered(each_house: House) -> None:
    world = each_house.world
    async with each_house.client(await each_house.administrator()) as caller:
        for name in ("u1", "u2", "u3"):
            await caller.post(f"{ACME}/users", {"name": name})
        await caller.post(f"{ACME}/roles", {"name": "r1", "scopes": []})
        await world.events()
        listed = await pages(caller, f"{ACME}/audit/events")
        positions = [each["position"] for each in listed]
        assert positions == sorted(positions, reverse=True)
        assert positions[-1] == 0
        users = await pages(caller, f"{ACME}/audit/events", type="user.created")
        assert [each["event"]["user_name"] for each in users][:3] == ["u3", "u2", "u1"]
        both = await pages(caller, f"{ACME}/audit/events", type="user.*,role.created")
        assert both[0]["event"]["details"] == {"role": "r1", "scopes": []}
        subject = users[0]["event"]["subject"]
        assert len(await pages(caller, f"{ACME}/audit/events", subject=subject)) == 1
        assert await pages(caller, f"{ACME}/audit/events", since="2026-11-26T00:00:00Z") == []
        assert (await caller.get(f"{ACME}/audit/events?type=DROP")).status_code == 422


async def test_an_events_proof_is_one_that_yett_audit_verify_believes(house: House, tmp_path: Path) -> None:
    world = house.world
    async with house.client(await house.administrator()) as caller:
        await caller.post(f"{ACME}/users", {"name": "u1"})
        await world.events()
        assert (await caller.get(f"{ACME}/audit/checkpoint")).status_code == 404
        await world.installation.audit_tree.grow()
        event_id = (await caller.get(f"{ACME}/audit/events?limit=1")).json()["items"][0]["event"]["id"]
        proved = (await caller.get(f"{ACME}/audit/events/{event_id}")).json()
        checkpoint = (await caller.get(f"{ACME}/audit/checkpoint")).json()
    proof, key = tmp_path / "proof", tmp_path / "key"
    proof.write_text(proved["proof"], encoding="utf-8")
    key.write_text(checkpoint["key"] + "\n", encoding="utf-8")

    async def verified() -> int:
        command = ["audit", "verify", str(proof), "--key", str(key)]
        return (await asyncio.to_thread(CliRunner().invoke, main, command)).exit_code  # it has a loop of its own

    assert await verified() == 0
    proof.write_text(proved["proof"].replace("u1", "u2"), encoding="utf-8")
    assert await verified() == 1
