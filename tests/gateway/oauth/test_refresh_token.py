"""``grant_type=refresh_token``: rotation, the lost answer, reuse (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

import asyncio
import base64
from datetime import timedelta

import pytest

from tests.gateway.browser import Browser
from tests.gateway.conftest import OpenWorld
from tests.gateway.oauth.authorizing import (
    WEB_CALLBACK,
    address,
    answered,
    change_options,
    code_of,
    first_party,
    openid,
    redeem,
)
from tests.gateway.oauth.devices import approved
from tests.gateway.oauth.openid import userinfo
from tests.gateway.world import INVOICES, ORDERS, World


async def both(world: World, scope: str = "orders:read orders:write") -> str:
    return str((await world.login(scope=scope))["refresh_token"])


async def test_a_token_is_spent_for_a_successor_and_an_access_token_of_the_same_session(world: World) -> None:
    login = await world.login()
    world.clock.advance(minutes=4)
    body = (await world.refresh(login["refresh_token"])).json()

    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert body["refresh_token"] != login["refresh_token"]
    before, after = world.claims(login["access_token"]), world.claims(body["access_token"])
    assert after["iat"] == before["iat"] + 240
    assert after["jti"] != before["jti"]
    for name in ("iss", "sub", "aud", "sid", "client_id", "scope", "acr", "amr", "auth_time"):
        assert after[name] == before[name], name


async def test_an_answer_that_was_lost_is_given_again_within_the_grace_t05(world: World) -> None:
    token = await both(world)
    first = (await world.refresh(token)).json()
    world.clock.advance(seconds=10)
    second = await world.refresh(token)

    assert second.status_code == 200
    assert second.json()["refresh_token"] == first["refresh_token"]


async def test_a_chain_of_rotations_goes_on(world: World) -> None:
    token = await both(world)
    for _ in range(5):
        world.clock.advance(days=29)
        answer = await world.refresh(token)
        if answer.status_code != 200:
            break
        token = answer.json()["refresh_token"]

    assert answer.json()["error"] == "invalid_grant"  # 90 days after the login, however often it was used
    assert (await world.events())[-1]["reason"] == "family_expired"


async def test_a_token_that_is_not_used_for_its_idle_time_expires(world: World) -> None:
    token = await both(world)
    world.clock.advance(days=30)

    assert (await world.refresh(token)).json()["error"] == "invalid_grant"
    assert (await world.events())[-1]["reason"] == "refresh_expired"


async def test_reuse_after_the_grace_ends_the_family_and_the_session(world: World) -> None:
    login = await world.login()
    successor = (await world.refresh(login["refresh_token"])).json()["refresh_token"]
    world.clock.advance(seconds=11)
    reused = await world.refresh(login["refresh_token"])

    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert (await world.refresh(successor)).json()["error"] == "invalid_grant"
    sid = world.claims(login["access_token"])["sid"]
    async with world.store() as store:
        assert [(entry.kind, entry.value) for entry in await store.revocations.list()] == [("session", sid)]
        assert await store.sessions.of_user(world.acme.users["alice"]) == []
    reasons = [(event["type"], event["reason"], event["session_id"]) for event in (await world.events())[2:]]
    assert reasons == [
        ("token.refused", "refresh_token_reused", sid),
        ("token.refused", "family_revoked", sid),
    ]


async def test_reuse_ends_what_a_client_has_of_a_browser_s_session_and_not_that_session(world: World) -> None:
    await openid(world)
    await first_party(world)
    async with Browser(world) as browser:
        await browser.log_in()
        web = {"client_id": "web", "redirect_uri": WEB_CALLBACK}
        mine = (await redeem(world, answered(await browser.get(address()))["code"])).json()
        code = answered(await browser.get(address(**web)))["code"]
        others = (await redeem(world, code, **web, client_secret=world.acme.secret)).json()
        successor = (await world.refresh(mine["refresh_token"])).json()
        world.clock.advance(seconds=11)
        assert (await world.refresh(mine["refresh_token"])).json()["error"] == "invalid_grant"
        await world.snapshot.poll()
        assert (await world.refresh(successor["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await userinfo(world, successor["access_token"])).status_code == 401
        assert (await userinfo(world, others["access_token"])).status_code == 200
        await browser.get("/account")
        assert browser.at == "/account", "the person goes on"
        proof = {"client_id": "web", "client_secret": world.acme.secret}
        assert (await world.refresh(others["refresh_token"], **proof)).status_code == 200


async def test_a_refresh_needs_the_consent_that_the_family_came_of(world: World) -> None:
    await openid(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get(address())
        code = answered(await browser.submit(decision="allow"))["code"]
    token = (await redeem(world, code)).json()["refresh_token"]
    refreshed = await world.refresh(token)
    assert refreshed.status_code == 200
    async with world.store() as store:
        await store.consents.withdraw(world.acme.users["alice"], "spa")
    answer = await world.refresh(refreshed.json()["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await world.events())[-1]["reason"] == "consent_withdrawn"
    async with world.store() as store:
        scopes = {"openid", "orders:read"}
        await store.consents.give(world.acme.users["alice"], "spa", scopes=scopes, audiences=[ORDERS])
    assert (await world.refresh(refreshed.json()["refresh_token"])).status_code == 200, "the refusal has spent nothing"


async def test_a_client_that_is_the_tenants_own_no_more_needs_a_consent_to_go_on(world: World) -> None:
    await openid(world)
    await first_party(world)
    token = (await redeem(world, await code_of(world))).json()["refresh_token"]
    await change_options(world, "spa", first_party=False)
    assert (await world.refresh(token)).json()["error"] == "invalid_grant"
    await change_options(world, "spa", first_party=True)
    assert (await world.refresh(token)).status_code == 200


async def test_what_a_password_or_a_device_s_code_gave_needs_no_remembered_consent(world: World) -> None:
    assert (await world.refresh(await both(world))).status_code == 200
    tokens = (await (await approved(world)).poll()).json()
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_reuse_within_the_grace_ends_the_family_once_the_successor_was_used(world: World) -> None:
    token = await both(world)
    successor = (await world.refresh(token)).json()["refresh_token"]
    await world.refresh(successor)

    assert (await world.refresh(token)).json()["error"] == "invalid_grant"
    assert (await world.events())[-1]["reason"] == "refresh_token_reused"


async def test_the_end_of_one_family_leaves_the_users_other_sessions_alone(world: World) -> None:
    stolen, other = await both(world), await both(world)
    await world.refresh(stolen)
    world.clock.advance(seconds=11)
    await world.refresh(stolen)

    assert (await world.refresh(other)).status_code == 200


async def test_a_narrower_scope_is_this_tokens_only_t07(world: World) -> None:
    narrow = (await world.refresh(await both(world), scope="orders:read")).json()
    whole = (await world.refresh(narrow["refresh_token"])).json()

    assert narrow["scope"] == "orders:read"
    assert whole["scope"] == "orders:read orders:write"


async def test_a_wider_scope_is_invalid_scope_and_spends_nothing_t07(world: World) -> None:
    token = await both(world, "orders:read")
    answer = await world.refresh(token, scope="orders:read orders:write")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert (await world.refresh(token)).status_code == 200


async def test_a_narrower_resource_is_allowed_and_a_wider_one_invalid_target(world: World) -> None:
    login = await world.post({**world.acme.form(), "resource": [ORDERS, INVOICES]})
    narrow = await world.refresh(login.json()["refresh_token"], resource=INVOICES)
    whole = await world.refresh(narrow.json()["refresh_token"])
    one = await world.login()

    assert world.claims(narrow.json()["access_token"])["aud"] == INVOICES
    assert world.claims(whole.json()["access_token"])["aud"] == [ORDERS, INVOICES]
    assert (await world.refresh(one["refresh_token"], resource=INVOICES)).json()["error"] == "invalid_target"
    assert (await world.refresh(one["refresh_token"])).status_code == 200


async def test_another_client_gets_nothing_and_ends_nothing(world: World) -> None:
    token = await both(world)
    form = {"grant_type": "refresh_token", "refresh_token": token}
    secret = base64.b64encode(f"web:{world.acme.secret}".encode()).decode()
    other = await world.post(form, headers={"Authorization": f"Basic {secret}"})

    assert (other.status_code, other.json()["error"]) == (400, "invalid_grant")
    assert (await world.refresh(token)).status_code == 200


async def test_another_tenant_does_not_know_it_x01(world: World) -> None:
    token = await both(world)

    assert (await world.refresh(token, to="globex")).json()["error"] == "invalid_grant"
    assert (await world.refresh(token)).status_code == 200


@pytest.mark.parametrize("change", ["upper", "truncated", "padded", "prefix", "other"])
async def test_only_the_whole_string_is_the_token_k01(world: World, change: str) -> None:
    token = await both(world)
    unlike = {
        "upper": token.upper(),
        "truncated": token[:-1],
        "padded": token + " ",
        "prefix": token.replace("yrt_", "yac_"),
        "other": "yrt_" + "A" * 43,
    }[change]

    assert (await world.refresh(unlike)).json()["error"] == "invalid_grant"
    assert (await world.refresh(token)).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "secret"])
async def test_no_other_kind_of_credential_is_a_refresh_token_t03(world: World, kind: str) -> None:
    presented = (await world.login())["access_token"] if kind == "access_token" else world.acme.secret

    assert (await world.refresh(presented)).json()["error"] == "invalid_grant"


async def test_a_disabled_user_gets_nothing(world: World) -> None:
    token = await both(world)
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)

    assert (await world.refresh(token)).json()["error"] == "invalid_grant"


async def test_what_was_taken_from_the_user_since_is_not_granted_again(world: World) -> None:
    token = await both(world)
    async with world.store() as store:
        await store.roles.withdraw(world.acme.users["alice"], "writer")
        await store.roles.assign(world.acme.users["alice"], "reader")

    assert (await world.refresh(token)).json()["scope"] == "orders:read"


async def test_a_suspended_tenants_tokens_are_refused_and_live_when_it_resumes_x03(world: World) -> None:
    token = await both(world)
    async with world.store() as store:
        await store.settings.set_active(False)
    refused = await world.refresh(token)
    async with world.store() as store:
        await store.settings.set_active(True)

    assert (refused.status_code, refused.json()["code"]) == (404, "tenant_not_found")
    assert (await world.refresh(token)).status_code == 200


async def test_an_ended_session_refreshes_no_more(world: World) -> None:
    login = await world.login()
    async with world.store() as store:
        (session,) = await store.sessions.of_user(world.acme.users["alice"])
        await store.sessions.end(session.id)

    assert (await world.refresh(login["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.events())[-1]["reason"] == "session_ended"


async def test_a_session_ends_its_access_tokens_when_a_token_is_reused(world: World) -> None:
    """The revocation reaches whoever follows the feed."""
    login = await world.login()
    await world.refresh(login["refresh_token"])
    version = world.snapshot.version
    world.clock.advance(seconds=11)
    await world.refresh(login["refresh_token"])

    assert await world.snapshot.poll() == 1
    assert world.snapshot.version > version


async def test_a_tenants_own_lifetimes_are_used(world: World) -> None:
    async with world.store() as store:
        await store.settings.set_lifetimes({"access_token": 60, "refresh_idle": 120, "refresh_absolute": 200})
    login = await world.login()
    world.clock.advance(seconds=119)
    second = (await world.refresh(login["refresh_token"])).json()
    world.clock.advance(seconds=81)

    assert login["expires_in"] == second["expires_in"] == 60
    assert (await world.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"


async def test_twenty_at_once_get_one_successor_t05(each_world: World) -> None:
    token = await both(each_world)
    answers = await asyncio.gather(*(each_world.refresh(token) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 20
    assert len(await each_world.events()) == 21


async def test_what_the_grace_keeps_is_forgotten_no_sooner_than_any_grace_ends(open_world: OpenWorld) -> None:
    async with open_world() as world, world.store() as store:
        with pytest.raises(Exception, match="grace"):
            await store.settings.set_lifetimes({"refresh_grace": int(timedelta(minutes=5).total_seconds())})
