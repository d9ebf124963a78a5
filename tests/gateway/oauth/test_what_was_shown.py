"""Somebody says yes to what the page showed them, and to nothing that it did not: scopes, APIs, and who asks."""

import re
from dataclasses import replace

import pytest

from policies.scope import OPENID
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import address, answered, change_client, openid, redeem
from tests.gateway.oauth.devices import decide, started
from tests.gateway.world import INVOICES, ORDERS, World

SCOPES = "orders:read orders:write"


@pytest.fixture
async def asking(world: World) -> World:
    await openid(world)
    return world


async def become_a_writer(world: World) -> None:
    async with world.store() as store:
        await store.roles.assign(world.acme.users["bob"], "writer")


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


async def test_a_scope_that_somebody_got_since_the_consent_page_is_not_given_unseen(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in("bob")
        page = await browser.get(address(scope=SCOPES))
        assert "orders:write" not in page.text
        await become_a_writer(asking)
        page = await browser.submit(decision="allow")
        assert page.status_code == 200
        assert "orders:write" in page.text, "the page comes again, and says it"
        async with asking.store() as store:
            assert await store.consents.get(asking.acme.users["bob"], "spa") is None
        code = answered(await browser.submit(decision="allow"))["code"]
    assert (await redeem(asking, code)).json()["scope"] == SCOPES


async def test_the_mark_of_another_request_is_no_answer_to_this_one(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address(scope=SCOPES))
        other = browser.forms[0].fields["shown"]
        await browser.get(address(scope=SCOPES))
        for mark in (other, "", "x", "é"):
            page = await browser.submit(decision="allow", shown=mark)
            assert (page.status_code, "Allow Public?" in page.text) == (200, True)
        assert "code" in answered(await browser.submit(decision="allow"))


async def test_scopes_at_one_api_are_not_agreed_to_at_another(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        for asked in ({"scope": SCOPES, "resource": ORDERS}, {"scope": "orders:read", "resource": INVOICES}):
            await browser.get(address(**asked))
            assert "code" in answered(await browser.submit(decision="allow"))
            assert "code" in answered(await browser.get(address(prompt="none", **asked)))
        both = address(scope=SCOPES, resource=INVOICES, prompt="none")
        assert answered(await browser.get(both))["error"] == "consent_required"
    async with asking.store() as store:
        consent = await store.consents.get(asking.acme.users["alice"], "spa")
    assert consent is not None
    assert consent.scopes_at == {ORDERS: {"orders:read", "orders:write"}, INVOICES: {"orders:read"}}


async def test_a_scope_that_somebody_got_since_the_device_page_is_not_given_unseen(asking: World) -> None:
    device = await started(asking, scope=SCOPES)
    async with Browser(asking) as browser:
        await browser.log_in("bob")
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        await become_a_writer(asking)
        page = await browser.submit(decision="allow")
        assert "Connect Public?" in page.text
        assert "orders:write" in page.text
        assert (await device.poll()).json()["error"] == "authorization_pending"
        assert "Your device is connected" in (await browser.submit(decision="allow")).text
    asking.clock.advance(seconds=5)
    assert (await device.poll()).json()["scope"] == SCOPES


async def test_a_device_gets_what_was_approved_and_not_what_could_be_given_since(asking: World) -> None:
    device = await started(asking, scope=SCOPES)
    async with Browser(asking) as browser:
        await browser.log_in("bob")
        await decide(browser, device)
    await become_a_writer(asking)
    assert (await device.poll()).json()["scope"] == "orders:read"


async def test_to_refuse_needs_no_second_look(asking: World) -> None:
    device = await started(asking, scope=SCOPES)
    async with Browser(asking) as browser:
        await browser.log_in("bob")
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        await become_a_writer(asking)
        assert "got nothing" in (await browser.submit(decision="deny")).text
    assert (await device.poll()).json()["error"] == "access_denied"


# -- who asks, for how long


async def test_both_pages_name_the_apis_and_how_long_it_lasts(asking: World) -> None:
    device = await started(asking, scope="orders:read", resource=[ORDERS, INVOICES])
    async with Browser(asking) as browser:
        await browser.log_in()
        consent = text_of((await browser.get(address())).text)
        await browser.get("/device")
        question = text_of((await browser.submit(user_code=device.user_code)).text)
    assert ORDERS in consent
    assert f"{ORDERS}, {INVOICES}" in question
    for page in (consent, question):
        assert "Stays connected Up to 90 days" in page
    await change_client(asking, "spa", grant_types=frozenset({"authorization_code"}))
    async with Browser(asking) as browser:
        await browser.log_in()
        assert "Stays connected 5 minutes" in text_of((await browser.get(address())).text)


@pytest.mark.parametrize(
    ("redirect_uri", "said"),
    [
        ("https://app.acme.test/callback", "app.acme.test"),
        ("http://127.0.0.1:9000/callback", "An application on this device (127.0.0.1)"),
        ("com.example.app:/back", "An application on this device (com.example.app)"),
    ],
)
async def test_the_consent_page_says_where_it_leads(asking: World, redirect_uri: str, said: str) -> None:
    registered = ("https://app.acme.test/callback", "http://127.0.0.1/callback", "com.example.app:/back")
    await change_client(asking, "spa", redirect_uris=registered)
    async with Browser(asking) as browser:
        await browser.log_in()
        page = text_of((await browser.get(address(redirect_uri=redirect_uri))).text)
    assert f"Leads you to {said}" in page


async def test_of_a_client_that_registered_itself_both_pages_say_that_nobody_checked_it(asking: World) -> None:
    async with asking.store() as store:
        client = await store.clients.get("spa")
        assert client is not None
        own = replace(client, client_id="own", name="My Bank", registration_digest=b"d" * 32, scopes=OPENID)
        await store.clients.create(replace(own, default_scopes=frozenset()))
    async with Browser(asking) as browser:
        await browser.log_in()
        for client_id, said in (("own", True), ("spa", False)):
            device = await started(asking, client_id=client_id, scope="openid")
            consent = (await browser.get(address(client_id=client_id, scope="openid"))).text
            await browser.get("/device")
            question = (await browser.submit(user_code=device.user_code)).text
            assert ["Nobody here has checked this application" in page for page in (consent, question)] == [said] * 2
