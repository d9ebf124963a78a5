"""A tenant with a host of its own: everything that it says names that host, and nobody else is to be had there."""

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from tests.gateway.account.house import token_of
from tests.gateway.browser import Browser, letters
from tests.gateway.login.applications import BYE, add_client, hint
from tests.gateway.oauth.authorizing import first_party, openid
from tests.gateway.oauth.signing_client import SIGNER, asserting, claims, register
from tests.gateway.own_host import (
    OTHER,
    OWN,
    ask_token,
    client_at,
    discovered,
    get,
    introspected,
    move,
    tokens_of,
    userinfo,
)
from tests.gateway.prover import Prover
from tests.gateway.world import PUBLIC_URL, World

NO_OVERLAP = timedelta()


async def ready(world: World) -> None:
    await openid(world)
    await first_party(world)
    await move(world, OWN, overlap=NO_OVERLAP)


async def test_a_person_and_their_application_go_the_whole_way_there(each_world: World) -> None:
    world = each_world
    await ready(world)
    await add_client(world)
    async with Browser(world, site=OWN) as browser:
        await browser.get("/account")
        assert browser.path == "/login?return_to=%2Faccount"
        await browser.submit(username="alice", password=world.acme.password)
        assert browser.path == "/account"
        assert browser.cookie("session")
        for page in ("password", "sessions", "devices", "apps", "activity"):
            assert (await browser.get(f"/account/{page}")).status_code == 200
            assert browser.path == f"/account/{page}"

        tokens = await tokens_of(world, browser, OWN)
        claims_ = await userinfo(world, OWN, tokens["access_token"])
        assert claims_.json()["sub"] == str(world.acme.users["alice"])
        assert (await introspected(world, OWN, tokens["access_token"]))["iss"] == OWN
        again = await ask_token(world, OWN, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert world.claims(again.json()["access_token"])["iss"] == OWN

        unasked = {"id_token_hint": await hint(browser, iss=OWN), "post_logout_redirect_uri": BYE}
        await browser.get(f"/logout?{urlencode(unasked)}")
        assert browser.page.headers["location"] == BYE
        assert browser.cookie("session") is None
        await browser.get("/account")
        assert browser.path == "/login?return_to=%2Faccount"


async def test_discovery_keys_and_every_endpoint_are_of_that_host(world: World) -> None:
    await ready(world)
    document = await discovered(world, OWN)
    endpoints = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(endpoints) == 9
    assert all(re.fullmatch(rf"{re.escape(OWN)}/[a-z]+", url) for url in endpoints.values()), endpoints
    rfc8414 = await get(world, f"{OWN}/.well-known/oauth-authorization-server")
    assert rfc8414.json() == document
    keys = await get(world, document["jwks_uri"])
    assert {key["kid"] for key in keys.json()["keys"]} == set(world.snapshot.by_slug("acme").keys)  # type: ignore[union-attr]


async def test_a_page_loads_what_it_needs_from_its_own_host(world: World) -> None:
    await ready(world)
    async with Browser(world, site=OWN) as browser:
        await browser.get("/login")
        addresses = re.findall(r'(?:href|src|action)="([^"]+)"', browser.page.text)
        assert len(addresses) >= 4
        assert not [one for one in addresses if one.startswith("/t/") or not one.startswith("/")]
        for one in addresses:
            if "/assets/" in one:
                assert (await browser.client.get(one)).status_code == 200, one


async def test_cookies_are_bound_to_the_host_and_sent_by_tls_alone(world: World) -> None:
    await ready(world)
    async with Browser(world, site=OWN) as browser:
        await browser.get("/login")
        answer = await browser.post("/login", {**browser.forms[0].fields, "username": "alice", "password": "wrong"})
        answer = await browser.post(
            "/login", {**browser.forms[0].fields, "username": "alice", "password": world.acme.password}
        )
        set_cookies = answer.headers.get_list("set-cookie")
        assert len(set_cookies) >= 2
        for cookie in set_cookies:
            assert cookie.startswith("__Host-yett-acme-")
            assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; "))
            assert "Domain" not in cookie


@pytest.mark.parametrize("origin", [PUBLIC_URL, OTHER, "http://login.acme.example", "null", f"{OWN}:443", f"{OWN}."])
async def test_a_form_of_any_other_origin_is_refused(world: World, origin: str) -> None:
    await ready(world)
    async with Browser(world, site=OWN) as browser:
        await browser.log_in()
        refused = await browser.post("/logout/confirm", token_of(browser), Origin=origin)
        assert refused.status_code == 403
        allowed = await browser.post("/logout/confirm", token_of(browser), Origin=OWN)
        assert allowed.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/t/acme/login", "/t/acme/jwks", "/t/acme/.well-known/openid-configuration", "/t/globex/login"),
        *("/t/globex/jwks", "/t/platform/login", "/t/", "/t", "/", "/.well-known/oauth-authorization-server/t/acme"),
        *("/.well-known/oauth-authorization-server/t/globex", "/t/globex/t/acme/login"),
    ],
)
async def test_nothing_of_any_tenant_is_below_t_of_an_own_host(world: World, path: str) -> None:
    await ready(world)
    assert (await get(world, OWN + path)).status_code == 404
    async with client_at(world, OWN) as client:
        assert (await client.post(path, data={})).status_code == 404


@pytest.mark.parametrize("path", ["/../globex/login", "/%2e%2e/globex/login", "//globex/login", "/t%2fglobex/login"])
async def test_no_spelling_of_a_path_leads_out_of_the_tenant(world: World, path: str) -> None:
    await ready(world)
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": [(b"host", b"login.acme.example")], "client": ("203.0.113.7", 1), "scheme": "https"}
    said: list[Mapping[str, object]] = []

    async def send(message: Mapping[str, object]) -> None:
        said.append(message)

    async def receive() -> Mapping[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await world.service.public(scope, receive, send)  # type: ignore[arg-type]
    assert said[0]["status"] == 400


async def test_a_tenant_with_its_own_host_is_not_to_be_had_elsewhere(world: World) -> None:
    await ready(world)
    shared = world.acme.issuer
    for path in ("/login", "/jwks", "/.well-known/openid-configuration", "/assets/yett.css"):
        assert (await get(world, shared + path)).status_code == 404, path
        assert (await get(world, f"{OTHER}{path}")).status_code == 421, path
    assert (await get(world, f"{PUBLIC_URL}/.well-known/oauth-authorization-server/t/acme")).status_code == 404
    assert (await world.post(world.acme.form())).status_code == 404
    assert (await world.post(world.globex.form(), to="globex")).status_code == 200


async def test_what_one_tenants_host_gave_is_nothing_at_anothers(world: World) -> None:
    await ready(world)
    await move(world, OTHER, overlap=NO_OVERLAP, fixture=world.globex)
    async with Browser(world, site=OWN) as browser:
        await browser.log_in()
        tokens = await tokens_of(world, browser, OWN)
        session = browser.cookie("session")
    assert session is not None
    async with Browser(world, "globex", site=OTHER) as stranger:
        for slug in ("acme", "globex"):  # by its own name, and by the name that it has here
            stranger.client.cookies.set(f"__Host-yett-{slug}-session", session, domain="id.globex.example", path="/")
        await stranger.get("/account")
        assert stranger.at.startswith("/login?")
    assert (await userinfo(world, OTHER, tokens["access_token"])).status_code == 401
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert (await ask_token(world, OTHER, **refresh)).json()["error"] == "invalid_grant"


async def test_a_suspended_tenants_host_says_what_that_of_nobody_in_a_path_says(world: World) -> None:
    await ready(world)
    async with world.store() as store:
        await store.settings.set_active(False)
    suspended, nobody = await get(world, f"{OWN}/jwks"), await get(world, f"{PUBLIC_URL}/t/nobody/jwks")
    assert (suspended.status_code, suspended.json()["code"]) == (404, nobody.json()["code"])


async def test_a_proof_and_an_assertion_are_for_the_address_that_they_come_to(world: World) -> None:
    await ready(world)
    await register(world)
    for audience, status in ((world.acme.issuer, 400), (PUBLIC_URL, 400), (OWN, 200)):
        form = {"grant_type": "client_credentials", **asserting(SIGNER.sign(claims(world, aud=audience)))}
        async with client_at(world, OWN) as client:
            assert (await client.post("/token", data=form)).status_code == status, audience
    prover, now = Prover(), world.clock().timestamp()
    async with client_at(world, OWN) as client:
        form = world.acme.form()
        sent = await client.post("/token", data=form, headers={"DPoP": prover.prove("POST", f"{OWN}/token", now)})
        assert sent.json()["error"] == "use_dpop_nonce"
        prover.nonce = sent.headers["dpop-nonce"]
        elsewhere = prover.prove("POST", f"{world.acme.issuer}/token", now)
        assert (await client.post("/token", data=form, headers={"DPoP": elsewhere})).status_code == 400
        here = prover.prove("POST", f"{OWN}/token", now)
        assert (await client.post("/token", data=form, headers={"DPoP": here})).json()["token_type"] == "DPoP"


async def test_letters_lead_to_the_own_host(world: World) -> None:
    await ready(world)
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with Browser(world, site=OWN) as browser:
        await browser.get("/forgot")
        await browser.submit(identifier="alice@acme.test")
    await world.deliver()
    (letter,) = letters(world)
    body = letter.get_body(("plain",))
    assert body is not None
    assert f"{OWN}/reset?token=" in body.get_content()


async def test_a_device_and_a_new_client_are_told_of_that_host(world: World) -> None:
    await ready(world)
    async with client_at(world, OWN) as client:
        started = (await client.post("/device", data={"client_id": "spa"})).json()
    assert started["verification_uri"] == f"{OWN}/device"
