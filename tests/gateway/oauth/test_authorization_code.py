"""``grant_type=authorization_code``: a code earns tokens once, for who asked for it and as it was asked
(RFC 6749 section 4.1.3, RFC 7636, RFC 9700 section 2.1.1)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from policies import pkce
from tenants import logout_notices
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import (
    CALLBACK,
    VERIFIER,
    WEB_CALLBACK,
    address,
    answered,
    change_client,
    change_options,
    code_of,
    first_party,
    openid,
    redeem,
    refused,
)
from tests.gateway.oauth.test_dpop import proved, ready
from tests.gateway.world import INVOICES, ORDERS, World

MINUTE = timedelta(minutes=1)
WEB = {"client_id": "web", "redirect_uri": WEB_CALLBACK}


@pytest.fixture
async def own(world: World) -> World:
    await openid(world)
    await first_party(world)
    return world


async def userinfo(world: World, token: str) -> int:
    async with world.client() as client:
        return (await client.get("/t/acme/userinfo", headers={"Authorization": f"Bearer {token}"})).status_code


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


async def test_t01_a_code_that_comes_again_takes_back_what_was_refreshed_with_it(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        code = answered(await browser.get(address()))["code"]
        tokens = (await redeem(own, code)).json()
        own.clock.advance(seconds=30)
        refreshed = (await own.refresh(tokens["refresh_token"])).json()
        web = (
            await redeem(own, answered(await browser.get(address(**WEB)))["code"], **WEB, client_secret=own.acme.secret)
        ).json()
        await refused(own, await redeem(own, code), "code_replayed")
        await own.snapshot.poll()
        assert await userinfo(own, refreshed["access_token"]) == 401
        assert await userinfo(own, web["access_token"]) == 200, "another client's of the same session"
        own.clock.advance(seconds=1)
        later = (await redeem(own, answered(await browser.get(address()))["code"])).json()
        assert await userinfo(own, later["access_token"]) == 200


async def test_t01_a_code_that_comes_a_third_time_writes_nothing_more(own: World) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    await redeem(own, code)
    own.clock.advance(seconds=1)
    again = (await redeem(own, await code_of(own))).json()
    async with own.store() as store:
        before = await store.revocations.list()
    for _ in range(3):
        assert (await redeem(own, code)).json()["error"] == "invalid_grant"
    async with own.store() as store:
        assert await store.revocations.list() == before
    assert await userinfo(own, again["access_token"]) == 200
    assert await userinfo(own, tokens["access_token"]) == 401
    told = [event for event in await own.events() if event.get("reason") == "code_replayed"]
    assert len(told) == 2, "one in full, and one that counts the others"


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
    replays = [event for event in await each_world.events() if event.get("reason") == "code_replayed"]
    assert [("subject" in event, "count" in event) for event in replays] == [(True, False), (False, False)]


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


async def test_a_code_that_was_asked_for_with_a_key_needs_that_key(own: World) -> None:  # RFC 9449 section 10
    mine, other = await ready(own), await ready(own)
    code = await code_of(own, dpop_jkt=mine.thumbprint)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": "spa",
        "code_verifier": VERIFIER,
    }
    await refused(own, await own.post(form), "dpop_key_mismatch")
    await refused(own, await proved(own, other, form), "dpop_key_mismatch")
    tokens = (await proved(own, mine, form)).json()
    assert (tokens["token_type"], own.claims(tokens["access_token"])["cnf"]) == ("DPoP", {"jkt": mine.thumbprint})


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
    async with own.store() as store:
        await store.sessions.end_all(own.acme.users["alice"])
    async with own.installation.database.system_snapshot() as connection:
        due = await logout_notices.due(connection, own.clock(), limit=9)
    assert [notice.client_id for notice in due] == ["spa"]


async def test_no_secret_is_in_an_answer_or_an_event_but_its_own(own: World, capsys: Any) -> None:
    code = await code_of(own)
    tokens = (await redeem(own, code)).json()
    told = str(await own.events()) + capsys.readouterr().out
    for secret in (code, VERIFIER, tokens["access_token"], tokens["refresh_token"], tokens["id_token"]):
        assert secret not in told
