"""A client that is not the tenant's own gets nothing before its person has agreed, and nothing more once they have
taken that back (OpenID Connect Core section 3.1.2.4)."""

import asyncio

import pytest

from tests.gateway.account.house import token_of
from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import (
    CALLBACK,
    address,
    answered,
    change_client,
    change_options,
    first_party,
    openid,
    redeem,
)
from tests.gateway.world import INVOICES, World

SCOPES = "openid email orders:read"


@pytest.fixture
async def asking(world: World) -> World:
    await openid(world)
    await change_options(world, "spa", client_uri="https://spa.test", policy_uri="https://spa.test/privacy")
    return world


async def test_the_page_says_who_asks_for_what_at_which_api(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        page = await browser.get(address(scope=SCOPES))
        assert (page.status_code, page.headers["x-frame-options"]) == (200, "DENY")
        for text in (
            "Allow Public?",
            "Know who you are",
            "Your email address",
            "orders:read",
            "api.example.com/orders",
        ):
            assert text in page.text
        for address_ in ("https://spa.test", "https://spa.test/privacy"):
            assert f'href="{address_}" rel="noreferrer"' in page.text
        policy = page.headers["content-security-policy"]
        assert "form-action 'self' https://app.acme.test;" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy


async def test_who_agrees_is_sent_on_and_not_asked_again(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address(scope=SCOPES))
        tokens = (await redeem(asking, answered(await browser.submit(decision="allow"))["code"])).json()
        assert tokens["scope"] == "email openid orders:read"
        assert "code" in answered(await browser.get(address(scope=SCOPES)))
        assert "code" in answered(await browser.get(address(scope="openid", prompt="none")))
    types = [event["type"] for event in await asking.events()]
    assert types.count("consent.granted") == 1
    assert types.count("authorization.granted") == 3


async def test_who_refuses_says_so_to_the_client_alone(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address())
        answer = answered(await browser.submit(decision="deny"))
        assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "st 4te&", asking.acme.issuer)
        await browser.get(address())
        assert "Allow Public?" in browser.page.text
    refused = [event for event in await asking.events() if event["type"] == "authorization.refused"]
    assert [(event["reason"], event["client_id"]) for event in refused] == [("consent_refused", "spa")]


@pytest.mark.parametrize(
    "more", [{"scope": f"{SCOPES} orders:write"}, {"scope": SCOPES, "resource": INVOICES}], ids=str
)
async def test_for_more_than_was_agreed_to_somebody_is_asked_again(asking: World, more: dict[str, str]) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address(scope=SCOPES))
        await browser.submit(decision="allow")
        assert answered(await browser.get(address(prompt="none", **more)))["error"] == "consent_required"
        await browser.get(address(**more))
        await browser.submit(decision="allow")
        for asked in ({"scope": SCOPES}, more):  # what was agreed to before stays
            assert "code" in answered(await browser.get(address(**asked)))


async def test_prompt_consent_asks_always_and_of_the_tenants_own_too(asking: World) -> None:
    await first_party(asking)
    async with Browser(asking) as browser:
        await browser.log_in()
        assert "code" in answered(await browser.get(address()))
        for _ in range(2):
            await browser.get(address(prompt="consent"))
            assert "Allow Public?" in browser.page.text
            assert "code" in answered(await browser.submit(decision="allow"))


async def test_prompt_none_is_told_that_somebody_has_to_be_asked(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        answer = answered(await browser.get(address(prompt="none")))
        assert (answer["error"], answer["iss"]) == ("consent_required", asking.acme.issuer)


async def test_a_consent_is_of_one_person_for_one_client(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address())
        await browser.submit(decision="allow")
        web = {"client_id": "web", "redirect_uri": "https://web.acme.test/callback"}
        assert answered(await browser.get(address(prompt="none", **web)))["error"] == "consent_required"
    async with Browser(asking) as browser:
        await browser.log_in("bob")
        assert answered(await browser.get(address(prompt="none")))["error"] == "consent_required"


async def test_the_form_is_this_sessions_and_of_no_other_site(asking: World) -> None:
    async with Browser(asking) as mine, Browser(asking) as other:
        await mine.log_in()
        await mine.get(address())
        form = mine.forms[0].fields | {"decision": "allow"}
        await other.log_in("bob")
        assert (await other.post("/authorize/consent", form)).status_code == 403
        assert (await mine.post("/authorize/consent", form, Origin="https://evil.test")).status_code == 403
        assert (await mine.post("/authorize/consent", form | {"form_token": "x"})).status_code == 403
        async with asking.store() as store:
            for name in ("alice", "bob"):
                assert await store.consents.get(asking.acme.users[name], "spa") is None
        assert "code" in answered(await mine.post("/authorize/consent", form))


async def test_the_form_does_nothing_without_a_request_or_a_decision(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address())
        form = browser.forms[0].fields
        assert (await browser.post("/authorize/consent", form | {"decision": "perhaps"})).status_code == 400
        without = {"form_token": form["form_token"], "decision": "allow"}
        assert (await browser.post("/authorize/consent", without)).status_code == 400
        # A request in the form itself has not begun anywhere, and nobody was asked about it.
        begun_nowhere = without | dict(pair.split("=") for pair in ("client_id=spa", f"redirect_uri={CALLBACK}"))
        assert (await browser.post("/authorize/consent", begun_nowhere)).status_code in (303, 400)
        async with asking.store() as store:
            assert await store.consents.get(asking.acme.users["alice"], "spa") is None


async def test_of_twenty_answers_at_once_one_is_a_code(each_world: World) -> None:
    async with Browser(each_world) as browser:
        await browser.log_in()
        await browser.get(address(scope="orders:read"))
        form = browser.forms[0].fields | {"decision": "allow"}
        answers = await asyncio.gather(*(browser.post("/authorize/consent", form) for _ in range(20)))
    codes = [answer for answer in answers if answer.status_code == 303]
    assert len(codes) == 1
    assert {answer.status_code for answer in answers} == {303, 400}
    assert (await redeem(each_world, answered(codes[0])["code"])).status_code == 200
    types = [event["type"] for event in await each_world.events()]
    assert (types.count("consent.granted"), types.count("authorization.granted")) == (1, 1)


async def test_who_logs_out_meanwhile_is_asked_to_log_in(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address())
        form = browser.forms[0].fields | {"decision": "allow"}
        async with asking.store() as store:
            await store.sessions.end_all(asking.acme.users["alice"])
        answer = await browser.post("/authorize/consent", form)
        assert answer.headers["location"].startswith("/t/acme/login?return_to=")


async def test_another_account_can_be_taken(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        page = await browser.get(address())
        other = page.text.split('<a href="/t/acme/login')[1].split('"')[0].replace("&amp;", "&")
        await browser.get(f"/login{other}")
        await browser.submit(username="bob", password=asking.acme.password)
        assert "access to your account, bob" in browser.page.text


async def test_a_request_that_changes_its_client_meanwhile_is_judged_again(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address())
        await change_client(asking, "spa", redirect_uris=("https://app.acme.test/new",))
        page = await browser.submit(decision="allow")
        assert (page.status_code, "redirect_uri_unregistered" in page.text) == (400, True)


# -- in the account


async def test_the_account_lists_them_and_takes_them_back(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get(address(scope=SCOPES))
        tokens = (await redeem(asking, answered(await browser.submit(decision="allow"))["code"])).json()
        pending = answered(await browser.get(address(scope=SCOPES)))["code"]
        page = await browser.get("/account/apps")
        for text in ("Public", "Know who you are · Your email address · orders:read"):
            assert text in page.text
        await asking.events()  # which puts them into the log
        assert "spa let in" in (await browser.get("/account/activity")).text
        await browser.post("/account/apps", {**token_of(browser), "client": "spa"})
        assert "None was let in" in (await browser.get("/account/apps")).text
        assert (await asking.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
        assert (await redeem(asking, pending)).json()["error"] == "invalid_grant"
        assert answered(await browser.get(address(prompt="none")))["error"] == "consent_required"
    withdrawn = [event for event in await asking.events() if event["type"] == "consent.withdrawn"]
    assert [(event["client_id"], event["details"]["families_ended"]) for event in withdrawn] == [("spa", 1)]


async def test_a_withdrawal_ends_what_one_client_has_of_one_user(asking: World) -> None:
    await first_party(asking)
    await change_options(asking, "spa", first_party=False)
    async with Browser(asking) as browser:
        await browser.log_in()
        web = {"client_id": "web", "redirect_uri": "https://web.acme.test/callback"}
        code = answered(await browser.get(address(**web)))["code"]
        kept = (await redeem(asking, code, **web, client_secret=asking.acme.secret)).json()
        bobs = await asking.login(username="bob")
        await browser.get(address())
        await browser.submit(decision="allow")
        await browser.get("/account/apps")
        await browser.post("/account/apps", {**token_of(browser), "client": "spa"})
        proof = {"client_id": "web", "client_secret": asking.acme.secret}
        assert (await asking.refresh(kept["refresh_token"], **proof)).status_code == 200
        assert (await asking.refresh(bobs["refresh_token"])).status_code == 200


async def test_to_take_back_what_was_never_given_is_no_event(asking: World) -> None:
    async with Browser(asking) as browser:
        await browser.log_in()
        await browser.get("/account/apps")
        answer = await browser.post("/account/apps", {**token_of(browser), "client": "nobody"})
        assert answer.status_code == 303
    assert "consent.withdrawn" not in [event["type"] for event in await asking.events()]
