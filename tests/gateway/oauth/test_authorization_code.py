"""``grant_type=authorization_code``: a code earns tokens once, for who asked for it and as it was asked
(RFC 6749 section 4.1.3, RFC 7636, RFC 9700 section 2.1.1)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from policies import pkce
from tenants import logout_notices
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people
from tests.gateway.oauth.authorizing import (
    CALLBACK,
    VERIFIER,
    WEB_CALLBACK,
    address,
    answered,
    change_client,
    change_options,
    first_party,
    openid,
    redeem,
)
from tests.gateway.oauth.presenting import call
from tests.gateway.world import INVOICES, ORDERS, World

MINUTE = timedelta(minutes=1)
WEB = {"client_id": "web", "redirect_uri": WEB_CALLBACK}


@pytest.fixture
async def own(world: World) -> World:
    await openid(world)
    await first_party(world)
    return world


async def code_of(world: World, name: str = "alice", *, to: str = "acme", **changes: str | None) -> str:
    """A code, by a browser of its own."""
    async with Browser(world, to) as browser:
        await browser.log_in(name)
        return answered(await browser.get(address(**changes)))["code"]


async def userinfo(world: World, token: str) -> int:
    async with world.client() as client:
        return (await client.get("/t/acme/userinfo", headers={"Authorization": f"Bearer {token}"})).status_code


async def refused(world: World, answer: httpx.Response, reason: str, error: str = "invalid_grant") -> None:
    """One event with the reason, and the usual answer."""
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert [event["reason"] for event in await world.events() if event["type"] == "token.refused"][-1] == reason


# -- once


async def test_t01_a_code_that_comes_twice_takes_back_what_it_earned(own: World) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    assert await userinfo(own, tokens["access_token"]) == 200
    await refused(own, await redeem(own, code), "code_replayed")
    await own.snapshot.poll()
    assert await userinfo(own, tokens["access_token"]) == 401
    assert (await own.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_t01_a_code_that_comes_again_when_it_is_over_does_so_too(own: World) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    refreshed = (await own.refresh(tokens["refresh_token"])).json()
    own.clock.advance(minutes=5)
    await refused(own, await redeem(own, code, code_verifier=None), "code_replayed")
    assert (await own.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"


async def test_t01_another_client_ends_nothing_with_it(own: World) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    stranger = await redeem(own, code, client_id="web", client_secret=own.acme.secret)
    await refused(own, stranger, "client_mismatch")
    assert (await own.refresh(tokens["refresh_token"])).status_code == 200


async def test_t01_of_twenty_parallel_redemptions_one_wins(each_world: World) -> None:
    await openid(each_world)
    await first_party(each_world)
    code = await code_of(each_world)
    answers = await asyncio.gather(*(redeem(each_world, code) for _ in range(20)))
    won = [answer for answer in answers if answer.status_code == 200]
    lost = [answer for answer in answers if answer.status_code != 200]
    assert len(won) == 1
    assert [answer.json()["error"] for answer in lost] == ["invalid_grant"] * 19
    assert (await each_world.refresh(won[0].json()["refresh_token"])).json()["error"] == "invalid_grant"
    reasons = [event.get("reason") for event in await each_world.events()]
    assert reasons.count("code_replayed") == 19


async def test_a_code_is_over_after_a_minute(own: World) -> None:
    code = await code_of(own)
    own.clock.advance(seconds=59)
    other = await code_of(own)
    own.clock.advance(seconds=1)
    await refused(own, await redeem(own, code), "code_expired")
    assert (await redeem(own, other)).status_code == 200


# -- for the one who asked, as it was asked: what is refused leaves the code to its owner

Change = dict[str, str | None]
MISMATCHES: dict[str, tuple[Change, str]] = {
    "another redirect URI of the client": ({"redirect_uri": "http://127.0.0.1/callback"}, "redirect_uri_mismatch"),
    "a redirect URI with a slash": ({"redirect_uri": f"{CALLBACK}/"}, "redirect_uri_mismatch"),
    "no verifier": ({"code_verifier": None}, "verifier_missing"),
    "the challenge as verifier": ({"code_verifier": pkce.challenge_of(VERIFIER)}, "verifier_wrong"),
    "another verifier": ({"code_verifier": VERIFIER[::-1]}, "verifier_wrong"),
    "a short verifier": ({"code_verifier": "short"}, "verifier_malformed"),
}


@pytest.mark.parametrize(("change", "reason"), MISMATCHES.values(), ids=MISMATCHES)
async def test_what_was_not_asked_so_earns_nothing_and_uses_nothing_up(own: World, change: Change, reason: str) -> None:
    code = await code_of(own)
    await refused(own, await redeem(own, code, **change), reason)
    assert (await redeem(own, code)).status_code == 200


@pytest.mark.parametrize("parameter", ["code", "redirect_uri"])
async def test_what_is_missing_is_an_invalid_request(own: World, parameter: str) -> None:
    code = await code_of(own)
    answer = await redeem(own, code, **{parameter: None})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert (await redeem(own, code)).status_code == 200


async def test_another_client_gets_nothing_for_it(own: World) -> None:
    code = await code_of(own)
    stranger = await redeem(own, code, client_id="web", client_secret=own.acme.secret)
    await refused(own, stranger, "client_mismatch")
    without = await redeem(own, code, client_id="login-only")
    assert without.json()["error"] == "unauthorized_client"
    assert (await redeem(own, code)).status_code == 200


async def test_a_wrong_client_authentication_uses_nothing_up(own: World) -> None:
    code = await code_of(own, **WEB)
    for proof in ({}, {"client_secret": "wrong"}, {"client_secret": own.globex.secret}):
        assert (await redeem(own, code, **WEB, **proof)).status_code == 401
    assert (await redeem(own, code, **WEB, client_secret=own.acme.secret)).status_code == 200


async def test_a07_a_code_of_another_tenant_is_nobodys_here(own: World) -> None:
    await openid(own, own.globex)
    await first_party(own, own.globex)
    theirs = {"redirect_uri": "https://app.globex.test/callback"}
    code = await code_of(own, to="globex", **theirs)
    await refused(own, await redeem(own, code, **theirs), "code_unknown")
    assert (await redeem(own, code, to="globex", **theirs)).status_code == 200


async def test_a07_every_answer_names_its_issuer(own: World) -> None:
    await first_party(own, own.globex)
    for fixture in (own.acme, own.globex):
        async with Browser(own, fixture.slug) as browser:
            callback = {"redirect_uri": f"https://app.{fixture.slug}.test/callback", "scope": "orders:read"}
            await browser.log_in()
            for more in ({}, {"response_type": "token"}, {"prompt": "none", "max_age": "x"}):
                assert answered(await browser.get(address(**callback, **more)))["iss"] == fixture.issuer


@pytest.mark.parametrize("change", ["cut", "padded", "case", "prefix"])
async def test_only_the_whole_string_is_the_code(own: World, change: str) -> None:
    code = await code_of(own)
    other = {"cut": code[:-1], "padded": f"{code}=", "case": code.swapcase(), "prefix": code.replace("yac_", "yrt_")}
    answer = await redeem(own, other[change])
    assert answer.json()["error"] == "invalid_grant"
    assert (await redeem(own, code)).status_code == 200


# -- T03: one namespace for each kind


async def in_refresh(world: World, secret: str) -> int:
    return (await world.refresh(secret)).status_code


async def in_mfa(world: World, secret: str) -> int:
    form = {"grant_type": "urn:yett:params:oauth:grant-type:mfa-otp", "client_id": "spa", "otp": "123456"}
    return (await world.post({**form, "mfa_token": secret})).status_code


async def in_device(world: World, secret: str) -> int:
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "spa"}
    return (await world.post({**form, "device_code": secret})).status_code


async def in_request_uri(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        uri = f"urn:ietf:params:oauth:request_uri:{secret}"
        return (await browser.get(address(request_uri=uri))).status_code


async def in_begun(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        return (await browser.get(f"/authorize?begun={secret}")).status_code


async def in_reset(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        return (await browser.get(f"/reset?token={secret}")).status_code


async def in_introspection(world: World, secret: str) -> int:
    form = {"token": secret, "client_id": "web", "client_secret": world.acme.secret}
    return 200 if (await call(world, "introspect", form)).json()["active"] else 400


Place = Callable[[World, str], Awaitable[int]]


@pytest.mark.parametrize("place", [in_refresh, in_mfa, in_device, in_request_uri, in_begun, in_reset, in_introspection])
async def test_t03_a_code_is_good_in_its_own_place_only(own: World, place: Place) -> None:
    code = await code_of(own)
    assert await place(own, code) >= 400
    assert (await redeem(own, code)).status_code == 200, "and trying it there has used nothing up"


async def test_t03_nothing_else_is_good_as_a_code(own: World) -> None:
    tokens = (await redeem(own, await code_of(own))).json()
    async with Browser(own) as browser:
        await browser.get(address())
        begun = browser.at.rpartition("ybg_")[2]
    async with own.store() as store:
        pushed = await store.authorization_requests.push("spa", {}, MINUTE)
        reset = await store.mail_links.make("reset", lifetime=MINUTE, user_id=own.acme.users["alice"])
    for secret in (tokens["refresh_token"], tokens["access_token"], f"ybg_{begun}", pushed, pushed[-47:], reset):
        assert (await redeem(own, secret)).json()["error"] == "invalid_grant"
    assert (await own.refresh(tokens["refresh_token"])).status_code == 200
    async with own.store() as store:
        assert await store.begun_requests.find(f"ybg_{begun}") is not None
        assert await store.authorization_requests.find(pushed) is not None


# -- T09, rule 7: what was true at /authorize is asked again


async def user_disabled(world: World) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)


async def session_ended(world: World) -> None:
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])


async def factor_missing(world: World) -> None:
    await change_people(world, otp="required")


async def redirect_uri_unregistered(world: World) -> None:
    await change_client(world, "spa", redirect_uris=("https://app.acme.test/new",))


async def consent_withdrawn(world: World) -> None:
    await change_options(world, "spa", first_party=False)


async def scope_not_allowed(world: World) -> None:
    await change_client(world, "spa", scopes=frozenset({"admin"}), default_scopes=frozenset())


CHANGES = [
    user_disabled,
    session_ended,
    factor_missing,
    redirect_uri_unregistered,
    consent_withdrawn,
    scope_not_allowed,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_t09_what_holds_no_more_when_the_code_comes(
    own: World, change: Callable[[World], Awaitable[None]]
) -> None:
    code = await code_of(own)
    await change(own)
    await refused(own, await redeem(own, code), change.__name__)


async def test_t09_a_session_that_ends_by_its_age(own: World) -> None:
    async with own.store() as store:
        await store.settings.set_lifetimes({"session": 30})
    code = await code_of(own)
    own.clock.advance(seconds=31)
    await refused(own, await redeem(own, code), "session_ended")


async def test_t09_a_client_that_lost_the_grant_or_was_disabled(own: World) -> None:
    code = await code_of(own)
    await change_client(own, "spa", grant_types=frozenset({"password"}))
    assert (await redeem(own, code)).json()["error"] == "unauthorized_client"
    async with own.store() as store:
        await store.clients.set_active("spa", False)
    assert (await redeem(own, code)).status_code == 401


async def test_t09_a_tenant_that_was_suspended(own: World) -> None:
    code = await code_of(own)
    async with own.store() as store:
        await store.settings.set_active(False)
    assert (await redeem(own, code)).status_code == 404


async def test_t09_an_api_that_the_client_lost(own: World) -> None:
    code = await code_of(own, resource=INVOICES)
    await change_client(own, "spa", audiences=(ORDERS,))
    await refused(own, await redeem(own, code), "resource_not_allowed", "invalid_target")


async def test_t09_a_scope_that_the_user_lost_is_not_granted(own: World) -> None:
    code = await code_of(own, scope="openid orders:read orders:write")
    async with own.store() as store:
        await store.roles.withdraw(own.acme.users["alice"], "writer")
        await store.roles.assign(own.acme.users["alice"], "reader")
    assert (await redeem(own, code)).json()["scope"] == "openid orders:read"


# -- what it earns


async def test_fewer_apis_than_were_asked_for_and_never_others(own: World) -> None:
    code = await code_of(own, resource=INVOICES)
    await refused(own, await redeem(own, code, resource=ORDERS), "resource_not_granted", "invalid_target")
    assert own.claims((await redeem(own, code, resource=INVOICES)).json()["access_token"])["aud"] == INVOICES


async def test_t07_a_refresh_may_ask_for_less_and_later_for_all_again(own: World) -> None:
    tokens = (await redeem(own, await code_of(own, scope="openid orders:read orders:write"))).json()
    wider = await own.refresh(tokens["refresh_token"], scope="orders:read admin")
    assert wider.json()["error"] == "invalid_scope"
    narrow = (await own.refresh(tokens["refresh_token"], scope="orders:read")).json()
    assert narrow["scope"] == "orders:read"
    assert (await own.refresh(narrow["refresh_token"])).json()["scope"] == "openid orders:read orders:write"


async def test_a_client_that_carries_no_refresh_token_gets_none(own: World) -> None:
    await change_client(own, "spa", grant_types=frozenset({"authorization_code"}))
    tokens = (await redeem(own, await code_of(own, scope="openid offline_access"))).json()
    assert ("refresh_token" in tokens, tokens["scope"]) == (False, "offline_access openid")


async def test_no_openid_no_id_token(own: World) -> None:
    tokens = (await redeem(own, await code_of(own, scope="orders:read"))).json()
    assert "id_token" not in tokens


async def test_to_log_out_ends_what_the_code_has_earned(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        code = answered(await browser.get(address()))["code"]
        tokens = (await redeem(own, code)).json()
        other = answered(await browser.get(address()))["code"]
        await browser.get("/logout")
        await browser.submit()
    await own.snapshot.poll()
    assert await userinfo(own, tokens["access_token"]) == 401
    assert (await own.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    await refused(own, await redeem(own, other), "session_ended")


async def test_the_session_knows_which_client_it_was_used_for(own: World) -> None:
    await change_options(own, "spa", backchannel_logout_uri="https://app.acme.test/logout")
    await redeem(own, await code_of(own))
    await session_ended(own)
    async with own.installation.database.system_snapshot() as connection:
        due = await logout_notices.due(connection, own.clock(), limit=9)
    assert [notice.client_id for notice in due] == ["spa"]


async def test_no_secret_is_in_an_answer_or_an_event_but_its_own(own: World, capsys: Any) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    told = str(await own.events()) + capsys.readouterr().out
    for secret in (code, VERIFIER, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]):
        assert secret not in told
