"""The change of an issuer: while the overlap lasts each address speaks of itself and tokens of both count; afterwards
the former one is nobody's.
"""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from gateway.data_plane import plane_config
from gateway.own_hosts import collisions
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream
from gateway.settings import from_mapping
from policies.principal import Principal
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tests.gateway.browser import Browser, letters
from tests.gateway.conftest import OpenWorld
from tests.gateway.login.applications import add_client, hint
from tests.gateway.oauth.authorizing import CALLBACK, VERIFIER, address, answered, first_party, openid
from tests.gateway.oauth.openid import verified
from tests.gateway.oauth.relying_party import relying_party
from tests.gateway.oauth.signing_client import SIGNER, asserting, claims, register
from tests.gateway.oauth.telling import add, channel, log_in, log_out
from tests.gateway.own_host import (
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
from tests.gateway.world import ORDERS, PUBLIC_URL, World

NEXT = "https://id.acme.example"
HALF_A_DAY = timedelta(hours=12)


async def ready(world: World) -> None:
    await openid(world)
    await first_party(world)


def at_the_proxy(world: World) -> Bearer:
    """As the data plane has it, by the world's clock."""
    return Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())


def counts(bearer: Bearer, token: str) -> str:
    found = bearer.authenticate(token.encode())
    return found.tenant if isinstance(found, Principal) else found.reason


async def test_before_during_and_after(each_world: World) -> None:
    world = each_world
    await ready(world)
    proxy, old = at_the_proxy(world), world.acme.issuer
    async with Browser(world) as browser:
        await browser.log_in()
        before = await tokens_of(world, browser, old)
        assert counts(proxy, before["access_token"]) == "acme"

        assert await move(world, OWN, overlap=HALF_A_DAY) == old
        assert counts(proxy, before["access_token"]) == "acme"
        for issuer in (OWN, old):
            await discovered(world, issuer)
            assert (await userinfo(world, issuer, before["access_token"])).status_code == 200
            shown = await introspected(world, issuer, before["access_token"])
            assert (shown["active"], shown["iss"]) == (True, old)
        still = await tokens_of(world, browser, old)  # the session there goes on, and the code's answer says so
        refresh = {"grant_type": "refresh_token", "refresh_token": before["refresh_token"]}
        for issuer in (OWN, old, OWN):
            answer = await ask_token(world, issuer, **refresh)
            assert world.claims(answer.json()["access_token"])["iss"] == issuer
            refresh["refresh_token"] = answer.json()["refresh_token"]
    async with Browser(world, site=OWN) as browser:
        await browser.log_in()
        now = await tokens_of(world, browser, OWN)
    for tokens in (before, still, now):
        assert counts(proxy, tokens["access_token"]) == "acme"

    async with world.store() as store:
        await store.settings.set_lifetimes({"access_token": 24 * 3600})
    last = [(await ask_token(world, issuer, **world.acme.form())).json()["access_token"] for issuer in (old, OWN)]
    world.clock.advance(hours=12, seconds=-1)
    assert [counts(proxy, token) for token in last] == ["acme", "acme"]
    world.clock.advance(seconds=1)  # nobody tells of it: the clock does
    assert [counts(proxy, token) for token in last] == ["issuer_unknown", "acme"]
    assert counts(at_the_proxy(world), last[0]) == "issuer_unknown"
    assert await world.snapshot.poll() == 0
    async with world.client() as client:
        for path in ("/login", "/jwks", "/.well-known/openid-configuration"):
            assert (await client.get(old + path)).status_code == 404
    assert (await world.post(world.acme.form())).status_code == 404
    assert (await introspected(world, OWN, last[0])) == {"active": False}
    assert (await userinfo(world, OWN, still["access_token"])).status_code == 401
    answer = await ask_token(world, OWN, **refresh)
    assert counts(proxy, answer.json()["access_token"]) == "acme"


async def test_a_code_of_either_address_is_good_at_both(world: World) -> None:
    await ready(world)
    await move(world, OWN)
    for site, issuer in ((PUBLIC_URL, OWN), (OWN, world.acme.issuer)):
        async with Browser(world, site=site) as browser:
            await browser.log_in()
            code = answered(await browser.get(address()))["code"]
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": CALLBACK}
        answer = await ask_token(world, issuer, **form)
        assert world.claims(answer.json()["id_token"])["iss"] == issuer


async def test_from_one_own_host_to_another_and_back_to_the_shared_one(world: World) -> None:
    await ready(world)
    shared = world.acme.issuer
    await move(world, OWN)
    world.clock.advance(hours=12)
    await move(world, NEXT)
    for issuer in (shared, OWN, NEXT):
        await discovered(world, issuer)
    world.clock.advance(hours=12)
    for issuer in (OWN, NEXT):
        await discovered(world, issuer)
    assert (await get(world, f"{shared}/jwks")).status_code == 404
    await move(world, shared)
    for issuer in (shared, OWN, NEXT)[::2]:
        await discovered(world, issuer)
    world.clock.advance(days=1)
    await discovered(world, shared)
    for issuer in (OWN, NEXT):
        assert (await get(world, f"{issuer}/jwks")).status_code == 421


async def test_a_change_is_followed_within_a_poll_and_an_overlap_can_be_cut_off(world: World) -> None:
    await ready(world)
    proxy = at_the_proxy(world)
    token = (await world.login())["access_token"]
    await move(world, OWN)
    assert counts(proxy, token) == "acme"
    async with world.store() as store:
        await store.former_issuers.end(world.clock())
    assert counts(proxy, token) == "issuer_unknown"
    assert (await world.post(world.acme.form())).status_code == 404


async def test_an_id_token_of_either_issuer_is_a_hint(world: World) -> None:
    await ready(world)
    await add_client(world)
    await move(world, OWN)
    for site, issuer in ((OWN, world.acme.issuer), (OWN, OWN), (PUBLIC_URL, OWN)):
        async with Browser(world, site=site) as browser:
            await browser.log_in()
            await browser.get(f"/logout?id_token_hint={await hint(browser, iss=issuer)}")
            assert "You are logged out" in browser.page.text
    world.clock.advance(days=1)
    async with Browser(world, site=OWN) as browser:
        await browser.log_in()
        await browser.get(f"/logout?id_token_hint={await hint(browser)}")
        assert "You are logged out" not in browser.page.text


async def test_an_id_token_is_verified_by_the_discovery_of_its_own_issuer(world: World) -> None:
    await ready(world)
    await move(world, OWN)
    answer = await world.post(world.acme.form(scope="openid"))
    claims_ = await verified(world, answer.json()["id_token"])
    assert claims_["iss"] == world.acme.issuer


async def test_each_address_takes_assertions_for_itself_alone(world: World) -> None:
    await register(world)
    await move(world, OWN)
    for at, audience in ((OWN, OWN), (world.acme.issuer, world.acme.issuer), (OWN, world.acme.issuer)):
        form = {"grant_type": "client_credentials", **asserting(SIGNER.sign(claims(world, aud=audience)))}
        async with client_at(world, at) as client:
            answer = await client.post(f"{at}/token", data=form)
        assert answer.status_code == (200 if at == audience else 400)


async def test_an_error_for_a_client_names_the_issuer_that_was_asked(world: World) -> None:
    await ready(world)
    await move(world, OWN)
    for site, issuer in ((OWN, OWN), (PUBLIC_URL, world.acme.issuer)):
        async with Browser(world, site=site) as browser:
            answer = answered(await browser.get(address(prompt="none")))
            assert (answer["error"], answer["iss"]) == ("login_required", issuer)


async def test_a_login_ends_where_it_began(world: World) -> None:
    await ready(world)
    await move(world, OWN)
    for site, issuer in ((OWN, OWN), (PUBLIC_URL, world.acme.issuer)):
        async with Browser(world, site=site) as browser:
            await browser.get(address())
            assert browser.at.startswith("/login?return_to=")
            answer = answered(await browser.submit(username="alice", password=world.acme.password))
            assert answer["iss"] == issuer


async def test_letters_and_logout_tokens_are_of_the_issuer_that_the_tenant_has_now(world: World) -> None:
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with relying_party() as party:
        await add(world, "app", party.uri)
        said = await log_in(world, "app")
        await move(world, OWN)
        await log_out(world, said)
        assert await channel(world).deliver() == 1
        assert world.claims(party.tokens[0])["iss"] == OWN
    async with Browser(world) as browser:
        await browser.get("/forgot")
        await browser.submit(identifier="alice@acme.test")
    await world.deliver()
    body = letters(world)[-1].get_body(("plain",))
    assert body is not None
    assert f"{OWN}/reset?token=" in body.get_content()


@pytest.mark.parametrize("over", [False, True])
async def test_what_was_the_issuer_is_no_api_that_others_stand_for(world: World, over: bool) -> None:
    """A client that is for no API keeps the audience of its making."""
    for client_id in ("one", "two"):
        client = Client(
            client_id=client_id,
            name=client_id,
            confidential=True,
            grant_types=frozenset({"client_credentials"}),
            scopes=frozenset(),
            audiences=(world.acme.issuer,),
            auth_method="client_secret",
            options=ClientOptions(),
        )
        async with world.store() as store:
            await store.clients.create(client)
            if client_id == "two":
                await store.clients.create(replace(client, client_id="three", audiences=(OWN,)))
    await move(world, OWN)
    world.clock.advance(days=1 if over else 0)
    secrets = {}
    for client_id in ("one", "two", "three"):
        async with world.store() as store:
            secrets[client_id] = await store.clients.add_secret(client_id)
    sites = (OWN,) if over else (OWN, world.acme.issuer)
    for asked_at in sites:
        for shown_at in sites:
            async with client_at(world, OWN) as client:
                auth: Any = ("one", secrets["one"])
                got = await client.post(f"{asked_at}/token", data={"grant_type": "client_credentials"}, auth=auth)
                form = {"token": got.json()["access_token"]}
                for client_id, secret in secrets.items():
                    shown = await client.post(f"{shown_at}/introspect", data=form, auth=(client_id, secret))
                    assert shown.json()["active"] is (client_id == "one"), (asked_at, shown_at, client_id)


async def test_an_own_host_that_the_configuration_took_is_told_of_and_not_served(open_world: OpenWorld) -> None:
    async with open_world(api_hosts=["login.acme.example:8443"], unsafe_shared_origin=True) as world:
        await move(world, OWN)
        ((facts, where),) = collisions(world.snapshot.all(), world.installation.settings)
        assert (facts.issuer, where) == (OWN, "api_hosts")
        answer = await get(world, f"{OWN}:8443/login")
        assert answer.json()["code"] == "route_not_found"


async def test_a_protected_resource_names_the_issuer_of_now(world: World) -> None:
    route = {"name": "orders", "match": {"path": "/orders/**"}, "tenants": ["acme"], "require": {"scopes": ["a"]}}
    values = {"api_hosts": ["api.example.com"], "routes": [route | {"upstream": "orders"}]}
    upstreams = {"orders": {"targets": ["http://127.0.0.1:9"], "audience": ORDERS}}
    settings = from_mapping({"public_url": PUBLIC_URL, "upstreams": upstreams, **values}, source="test")
    pool = UpstreamPool(Upstream("orders", ("http://127.0.0.1:9",), ORDERS))
    resources = plane_config(settings, {"orders": pool}, world.snapshot).resources

    def servers() -> Any:
        answer = resources.answer("GET", "api.example.com", "/.well-known/oauth-protected-resource/orders", "")
        assert isinstance(answer, OwnAnswer)
        return json.loads(answer.body)["authorization_servers"]

    assert servers() == [world.acme.issuer]
    await move(world, OWN)
    assert servers() == [OWN]


async def test_a_token_of_the_former_issuer_is_refused_to_an_exchange_too(world: World) -> None:
    await ready(world)
    await move(world, OWN, overlap=timedelta(minutes=1))
    answer = await ask_token(world, world.acme.issuer, **world.acme.form())
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": answer.json()["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    async with client_at(world, OWN) as client:
        auth: Any = ("web", world.acme.secret)
        assert (await client.post("/token", data=form, auth=auth)).status_code == 200
        world.clock.advance(minutes=1)
        assert (await client.post("/token", data=form, auth=auth)).status_code == 400
    found = at_the_proxy(world).authenticate(form["subject_token"].encode())
    assert isinstance(found, InvalidToken)
