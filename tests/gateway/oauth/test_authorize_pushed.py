"""``/authorize`` with a request that was pushed (RFC 9126 section 4) or signed (RFC 9101): the browser carries a name
or a JWT, and can change nothing of what the client asked for."""

import asyncio
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from tenants.authorization_requests import REQUEST_URI
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import answered
from tests.gateway.oauth.signing_client import (
    CALLBACK,
    VERIFIER,
    proof,
    pushed,
    register,
    request,
    request_object,
    signing_client,
)
from tests.gateway.world import World
from tests.signer import Signer


def by_name(request_uri: str, **more: str) -> str:
    """What the client sends the browser to."""
    return "/authorize?" + urlencode({"client_id": "signer", "request_uri": request_uri, **more})


def by_object(assertion: str, **more: str) -> str:
    return "/authorize?" + urlencode({"client_id": "signer", "request": assertion, **more})


async def redeemed(world: World, code: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    answer = await world.post({**form, **proof(world)})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def reason(world: World) -> str:
    return str((await world.events())[-1]["reason"])


@pytest.fixture
async def signing(world: World) -> World:
    await register(world)
    return world


async def test_a_pushed_request_leads_past_the_login_to_a_token(signing: World) -> None:
    async with Browser(signing) as browser:
        await browser.get(by_name(await pushed(signing)))
        assert browser.at.startswith("/login?")
        signing.clock.advance(minutes=5)  # it was pushed for 90 seconds, and used in time
        answer = answered(await browser.submit(username="alice", password=signing.acme.password))

    assert (answer["state"], answer["iss"]) == ("s-1", signing.acme.issuer)
    assert (await redeemed(signing, answer["code"]))["scope"] == "orders:read"


async def test_what_the_browser_adds_to_a_pushed_request_counts_for_nothing(signing: World) -> None:
    more = {"scope": "orders:write", "state": "evil", "redirect_uri": "https://evil.test", "prompt": "none"}
    async with Browser(signing) as browser:
        await browser.log_in()
        answer = answered(await browser.get(by_name(await pushed(signing), **more)))
        assert str(browser.page.headers["location"]).startswith(CALLBACK + "?")

    assert answer["state"] == "s-1"
    assert (await redeemed(signing, answer["code"]))["scope"] == "orders:read"


async def test_a_pushed_request_is_used_once(signing: World) -> None:
    request_uri = await pushed(signing)
    async with Browser(signing) as browser:
        await browser.log_in()
        assert "code" in answered(await browser.get(by_name(request_uri)))
        again = await browser.get(by_name(request_uri))

    assert again.status_code == 400
    assert "location" not in again.headers
    assert await reason(signing) == "request_uri_unknown"


async def test_of_twenty_browsers_at_once_one_gets_a_code(each_world: World) -> None:
    await register(each_world)
    request_uri = await pushed(each_world)
    async with Browser(each_world) as browser:
        await browser.log_in()
        address, headers = browser.base + by_name(request_uri), {"User-Agent": "Firefox"}
        answers = await asyncio.gather(*(browser.client.get(address, headers=headers) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 19


async def test_a_pushed_request_is_over_after_its_time(signing: World) -> None:
    request_uri = await pushed(signing)
    signing.clock.advance(seconds=90)
    async with Browser(signing) as browser:
        assert (await browser.get(by_name(request_uri))).status_code == 400
    assert await reason(signing) == "request_uri_unknown"


async def test_a_pushed_request_is_its_clients_and_stays_so_t03(signing: World) -> None:
    request_uri = await pushed(signing)
    async with Browser(signing) as browser:
        await browser.log_in()
        for client_id in ("spa", "web", "nobody"):
            stolen = await browser.get(by_name(request_uri, client_id=client_id))
            assert stolen.status_code == 400
            assert "location" not in stolen.headers
        nameless = await browser.get("/authorize?" + urlencode({"request_uri": request_uri}))
        assert nameless.status_code == 400
        assert "code" in answered(await browser.get(by_name(request_uri)))


async def test_a_pushed_request_is_its_tenants_t03(signing: World) -> None:
    await register(signing, signing_client(redirect_uris=(CALLBACK,)), fixture=signing.globex)
    request_uri = await pushed(signing)
    async with Browser(signing, slug="globex") as browser:
        await browser.log_in()
        assert (await browser.get(by_name(request_uri))).status_code == 400
    async with Browser(signing) as browser:
        await browser.log_in()
        assert "code" in answered(await browser.get(by_name(request_uri)))


async def test_another_secret_is_no_request_and_stays_what_it_is_t03(signing: World) -> None:
    login = await signing.login()
    async with signing.store() as store:
        reset = await store.mail_links.make("reset", lifetime=timedelta(hours=1), user_id=signing.acme.users["alice"])
    async with Browser(signing) as browser:
        await browser.log_in()
        code = answered(await browser.get(by_name(await pushed(signing))))["code"]
        for secret in (code, login["refresh_token"], reset, signing.acme.secret, "yar_" + code[4:]):
            for request_uri in (REQUEST_URI + secret, secret):
                assert (await browser.get(by_name(request_uri))).status_code == 400
    assert await redeemed(signing, code)
    assert (await signing.refresh(login["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda uri: uri[:-1],
        lambda uri: uri + "A",
        lambda uri: uri + "=",
        lambda uri: uri + " ",
        lambda uri: uri.upper(),
        lambda uri: REQUEST_URI + uri.removeprefix(REQUEST_URI).swapcase(),
        lambda uri: REQUEST_URI + "yac_" + uri.removeprefix(REQUEST_URI + "yar_"),
        lambda uri: uri.removeprefix(REQUEST_URI),
    ],
)
async def test_only_the_whole_name_is_one_k01(signing: World, change: object) -> None:
    assert callable(change)
    request_uri = await pushed(signing)
    async with Browser(signing) as browser:
        await browser.log_in()
        assert (await browser.get(by_name(change(request_uri)))).status_code == 400
        assert "code" in answered(await browser.get(by_name(request_uri)))


@pytest.mark.parametrize(
    "request_uri",
    ["https://signer.acme.test/request.jwt", "http://127.0.0.1:1/request", "urn:ietf:params:oauth:request_uri", "x"],
)
async def test_a_request_is_fetched_from_nowhere(signing: World, request_uri: str) -> None:
    async with Browser(signing) as browser:
        answer = await browser.get(by_name(request_uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert await reason(signing) == "request_uri_not_supported"


@pytest.mark.parametrize("required_by", ["client", "tenant"])
async def test_a_client_may_have_to_push_rfc9126_5(world: World, required_by: str) -> None:
    await register(world, signing_client(options={"require_pushed_authorization_requests": required_by == "client"}))
    async with world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.set_provider(tenant.provider.changed(require_pushed=required_by == "tenant"))
    async with Browser(world) as browser:
        await browser.log_in()
        plain = answered(await browser.get("/authorize?" + urlencode(request())))
        signed = answered(await browser.get(by_object(request_object(world))))
        assert "code" in answered(await browser.get(by_name(await pushed(world))))

    assert (plain["error"], plain["state"]) == ("invalid_request", "s-1")
    assert signed["error"] == "invalid_request"


# -- signed requests


async def test_a_signed_request_leads_past_the_login_to_a_token(signing: World) -> None:
    async with Browser(signing) as browser:
        await browser.get(by_object(request_object(signing), scope="orders:write", state="evil"))
        assert browser.at.startswith("/login?")
        answer = answered(await browser.submit(username="alice", password=signing.acme.password))

    assert answer["state"] == "s-1"
    assert (await redeemed(signing, answer["code"]))["scope"] == "orders:read"


async def test_a_signed_request_is_used_once(signing: World) -> None:
    address = by_object(request_object(signing))
    async with Browser(signing) as browser:
        await browser.log_in()
        assert "code" in answered(await browser.get(address))
        assert (await browser.get(address)).status_code == 400
    assert await reason(signing) == "request_object_replayed"


async def test_a_signed_request_that_is_wrong_is_answered_to_nobody(signing: World) -> None:
    async with Browser(signing) as browser:
        await browser.log_in()
        for assertion in (
            "x",
            request_object(signing, signer=Signer(name="stranger")),
            request_object(signing, redirect_uri="https://evil.test"),
            request_object(signing, aud=signing.globex.issuer),
            request_object(signing, client_id="web"),
        ):
            answer = await browser.get(by_object(assertion))
            assert answer.status_code == 400
            assert "location" not in answer.headers
        assert (await browser.get(by_object("x", client_id="nobody"))).status_code == 400


async def test_a_client_that_has_to_sign_is_answered_no_other_way(world: World) -> None:
    await register(world, signing_client(options={"require_signed_request_object": True}))
    async with Browser(world) as browser:
        await browser.log_in()
        assert (await browser.get("/authorize?" + urlencode(request()))).status_code == 400
        form = {"client_id": "signer", "request": request_object(world), **proof(world)}
        for address in (by_object(request_object(world)), by_name(await pushed(world, form))):
            assert "code" in answered(await browser.get(address))
