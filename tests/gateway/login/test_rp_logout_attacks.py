"""``/logout`` as an attacker uses it: nobody is logged out by a link, nor sent to an address that is not registered."""

import html
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from gateway.oauth.logout_token import sign_logout_token
from tenants.client_options import ClientOptions
from tenants.jose import SigningKey
from tests.gateway.browser import Browser
from tests.gateway.login.applications import (
    BYE,
    add_client,
    ask,
    hint,
    is_asked,
    logged_in,
    sent_to,
    session_of,
)
from tests.gateway.login.people import change_people
from tests.gateway.world import World


async def test_a_link_of_another_site_logs_nobody_out(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        for parameters in ({}, {"client_id": "rp"}, {"client_id": "rp", "post_logout_redirect_uri": BYE}):
            await ask(browser, **parameters)
            assert is_asked(browser)
        fields = {"client_id": "rp", "post_logout_redirect_uri": BYE}
        for path, origin, status in (
            ("/logout", "https://evil.example", 303),
            ("/logout/confirm", "https://evil.example", 403),
            ("/logout/confirm", "null", 403),
            ("/logout/confirm", "", 403),
        ):
            answer = await browser.post(path, fields, Origin=origin)
            assert answer.status_code == status
            assert answer.headers.get("location", "").startswith("/t/acme/logout?") is (status == 303)
        answer = await browser.post("/logout/confirm", {**fields, "form_token": "x" * 43})
        assert answer.status_code == 403
        assert await session_of(browser) is not None


async def test_the_answers_address_has_no_page_of_its_own(world: World) -> None:
    async with logged_in(world) as browser:
        await browser.get("/logout/confirm")
        assert browser.at == "/logout"
        assert await session_of(browser) is not None


async def test_the_hint_of_another_session_only_asks(world: World) -> None:
    """Of another user, of another login of the same user, of a session that has ended."""
    await add_client(world)
    async with logged_in(world, "bob") as bobs, logged_in(world) as other, logged_in(world) as browser:
        ended = await hint(other)
        session = await session_of(other)
        assert session is not None
        async with world.store() as store:
            await store.sessions.end(session.id)
        for token in (await hint(bobs), ended, await hint(browser, sub=str(world.acme.users["bob"]))):
            await ask(browser, id_token_hint=token, post_logout_redirect_uri=BYE)
            assert is_asked(browser)
        assert await session_of(browser) is not None
        assert await session_of(bobs) is not None


async def forgeries(world: World, browser: Browser) -> dict[str, str]:
    """What looks like the ID token of this session and is none."""
    session = await session_of(browser)
    assert session is not None
    good = await hint(browser)
    head, body, signature = good.split(".")
    async with world.store(world.globex) as store:
        of_globex = await store.keys.signing()
    async with world.store() as store:
        own = await store.keys.signing()
    tokens = await world.login()
    unsigned = {"iss": world.acme.issuer, "sub": str(session.user_id), "aud": "rp", "sid": str(session.id)}
    secret = {"alg": "HS256", "kid": own.kid, "typ": "JWT"}
    logout_token = sign_logout_token(
        own,
        issuer=world.acme.issuer,
        client_id="rp",
        subject=str(session.user_id),
        session_id=session.id,
        now=world.clock(),
    )
    return {
        "no token": "x",
        "cut": good[:-2],
        "without a signature": f"{head}.{body}.",
        "another signature": f"{head}.{body}.{signature[::-1]}",
        "nobody's key": await hint(browser, by=SigningKey.generate()),
        "another tenant's key": await hint(browser, by=of_globex),
        "another tenant's issuer": await hint(browser, iss=world.globex.issuer),
        "another issuer": await hint(browser, iss="https://evil.example/t/acme"),
        "no issuer": await hint(browser, iss=None),
        "alg none": jwt.encode(unsigned, None, algorithm="none", headers={"typ": "JWT", "kid": own.kid}),
        "the public key as a secret": jwt.encode(unsigned, str(own.public_jwk()), algorithm="HS256", headers=secret),
        "an access token": tokens["access_token"],
        "an access token of this session": await hint(browser, typ="at+jwt"),
        "a logout token": logout_token,
        "an identity for upstreams": await hint(browser, typ="yett-id+jwt"),
        "a refresh token": tokens["refresh_token"],
        "several audiences": await hint(browser, aud=["rp", "spa"]),
        "no audience": await hint(browser, aud=None),
        "no subject": await hint(browser, sub=None),
        "a number as session": await hint(browser, sid=7),
        "beyond ASCII": "é.\ud7ff.☃",
    }


async def test_what_is_no_id_token_of_ours_counts_as_no_hint(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        for name, token in (await forgeries(world, browser)).items():
            await ask(browser, id_token_hint=token)
            assert is_asked(browser), name
            await ask(browser, id_token_hint=token, post_logout_redirect_uri=BYE)  # the client is not known by it
            assert browser.page.status_code == 400, name
            assert "client_unknown" in browser.page.text, name
            await ask(browser, id_token_hint=token, client_id="rp", post_logout_redirect_uri=BYE)
            assert is_asked(browser), name
            assert await session_of(browser) is not None, name
    reasons = {event.get("reason") for event in await world.events() if event["type"] == "page.refused"}
    assert reasons >= {
        "hint_malformed",
        "hint_not_an_id_token",
        "hint_issuer",
        "hint_key_unknown",
        "hint_signature",
        "hint_claims",
        "client_unknown",
    }


async def test_the_hint_of_another_tenant_ends_nothing_here(world: World) -> None:
    for fixture in (world.acme, world.globex):
        await add_client(world, fixture=fixture)
    async with logged_in(world, slug="globex") as theirs, logged_in(world) as browser:
        token = await hint(theirs)
        await ask(browser, id_token_hint=token, client_id="rp", post_logout_redirect_uri=BYE)
        assert is_asked(browser)
        assert await session_of(browser) is not None
        assert await session_of(theirs) is not None


async def test_the_hint_of_a_key_that_was_revoked_counts_no_more(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
        async with world.store() as store:
            await store.keys.revoke(jwt.get_unverified_header(token)["kid"], "ES256")
        await ask(browser, id_token_hint=token)
        assert is_asked(browser)


async def test_a_hint_and_another_clients_name_are_a_contradiction(world: World) -> None:
    await add_client(world)
    await add_client(world, "other")
    async with logged_in(world) as browser:
        token = await hint(browser)
        await ask(browser, id_token_hint=token, client_id="other", post_logout_redirect_uri=BYE)
        assert browser.page.status_code == 400
        assert "client_mismatch" in browser.page.text
        assert sent_to(browser) == ""
        assert await session_of(browser) is not None


SPELLINGS = [
    "https://evil.example/",
    "//evil.example",
    "/\\evil.example",
    "https://rp.example.com/bye/",
    "https://rp.example.com/bye#x",
    "https://rp.example.com/bye?x",
    "https://rp.example.com/bye?app=1&state=x",
    "https://RP.example.com/bye",
    "https://rp.example.com:443/bye",
    "https://rp.example.com@evil.example/bye",
    "https://rp.example.com%2fevil.example/bye",
    "https://rp.example.com/bye\r\nLocation: https://evil.example",
    "https://rp.example.com/a/../bye",
    "javascript:alert(1)",
    "com.example.app:/bye/../x",
    "/t/acme/account",
]


@pytest.mark.parametrize("has_session", [True, False], ids=["session", "no session"])
async def test_nobody_is_sent_to_an_address_that_is_not_registered(world: World, has_session: bool) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
        if not has_session:
            await browser.get("/logout")
            await browser.submit()
        for address in SPELLINGS:
            for parameters in ({"id_token_hint": token}, {"client_id": "rp"}):
                await ask(browser, post_logout_redirect_uri=address, **parameters)
                assert browser.page.status_code == 400, address
                assert "location" not in browser.page.headers
                assert "post_logout_redirect_uri_unregistered" in browser.page.text
                assert "invalid_request" in browser.page.text
                assert "evil.example" not in browser.page.text
        assert (await session_of(browser) is not None) is has_session


async def test_an_address_needs_a_client_that_is_known_and_active(world: World) -> None:
    await add_client(world)
    await add_client(world, "switched-off")
    async with world.store() as store:
        await store.clients.set_active("switched-off", False)
    async with logged_in(world) as browser:
        own_hint = await hint(browser, aud="switched-off")
        for parameters in ({}, {"client_id": "nobody"}, {"client_id": "switched-off"}, {"id_token_hint": own_hint}):
            await ask(browser, post_logout_redirect_uri=BYE, **parameters)
            assert browser.page.status_code == 400
            assert "client_unknown" in browser.page.text
        # A redirect URI of logins, or another client's address, is none of this client.
        await ask(browser, client_id="spa", post_logout_redirect_uri="https://app.acme.test/callback")
        assert "post_logout_redirect_uri_unregistered" in browser.page.text
        await ask(browser, client_id="spa", post_logout_redirect_uri=BYE)
        assert "post_logout_redirect_uri_unregistered" in browser.page.text
        assert await session_of(browser) is not None


async def test_the_question_is_answered_by_what_is_registered_then(world: World) -> None:
    """Rule 7: hidden fields can be edited, and a client can lose an address while the page is open."""
    await add_client(world)
    async with logged_in(world) as browser:
        await ask(browser, client_id="rp", post_logout_redirect_uri=BYE)
        await browser.submit(post_logout_redirect_uri="https://evil.example/")
        assert browser.page.status_code == 400
        assert sent_to(browser) == ""
        assert await session_of(browser) is not None
        await ask(browser, client_id="rp", post_logout_redirect_uri=BYE)
        async with world.store() as store:
            client = await store.clients.get("rp")
            assert client is not None
            await store.clients.replace(replace(client, options=ClientOptions()))
        await browser.submit()
        assert browser.page.status_code == 400


async def test_a_parameter_that_is_repeated_is_refused(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        await browser.get(f"/logout?client_id=rp&post_logout_redirect_uri={BYE}&post_logout_redirect_uri={BYE}")
        assert browser.page.status_code == 400
        assert await session_of(browser) is not None


async def test_a_session_that_may_not_go_on_ends_as_well(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        token = await hint(browser)
        await change_people(world, otp="required")
        await ask(browser, id_token_hint=token, post_logout_redirect_uri=BYE)
        assert sent_to(browser) == BYE
    async with world.store() as store:
        assert await store.sessions.of_user(world.acme.users["alice"]) == []


async def test_the_question_shows_what_is_typed_as_text(world: World) -> None:
    await add_client(world)
    async with logged_in(world) as browser:
        state = '"><script>alert(1)</script>'
        await ask(browser, client_id="rp", post_logout_redirect_uri=BYE, state=state)
        assert "<script>" not in browser.page.text
        assert html.escape(state, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in browser.page.text
        await browser.submit(state=state)
        assert parse_qs(urlsplit(sent_to(browser)).query) == {"state": [state]}
