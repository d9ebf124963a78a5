"""The login between a request and its answer: when there is one, that it is a real one, and that it ends
(OpenID Connect Core sections 3.1.2.1 and 3.1.2.3, RFC 9470)."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from policies import acr
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.oauth.authorizing import (
    CALLBACK,
    WEB_CALLBACK,
    address,
    answered,
    asking,
    first_party,
    openid,
    redeem,
)
from tests.gateway.world import World


@pytest.fixture
async def own(world: World) -> World:
    await openid(world)
    await first_party(world)
    return world


async def log_in(browser: Browser, name: str = "alice") -> httpx.Response:
    return await browser.submit(username=name, password=browser.world.acme.password)


async def auth_time(world: World, response: httpx.Response) -> int:
    tokens = (await redeem(world, answered(response)["code"])).json()
    return int(world.claims(tokens["id_token"])["auth_time"])


async def test_prompt_none_answers_the_client_and_shows_and_sets_nothing(own: World) -> None:  # A09
    async with Browser(own) as browser:
        for mode in ("query", "fragment"):
            answer = answered(await browser.get(address(prompt="none", response_mode=mode)))
            assert (answer["error"], answer["state"], answer["iss"]) == ("login_required", "st 4te&", own.acme.issuer)
            assert browser.page.headers["location"].startswith(CALLBACK)
            assert browser.page.text == ""
            assert not browser.client.cookies
        await browser.log_in()
        held = dict(browser.client.cookies)
        answer = answered(await browser.get(address(prompt="none")))
        assert (answer.keys(), "set-cookie" in browser.page.headers) == ({"code", "state", "iss"}, False)
        assert dict(browser.client.cookies) == held


async def test_prompt_none_to_an_address_that_is_not_registered_is_a_page(own: World) -> None:  # A09
    async with Browser(own) as browser:
        page = await browser.get(address(prompt="none", redirect_uri="https://evil.test/callback"))
        assert (page.status_code, "location" in page.headers, "set-cookie" in page.headers) == (400, False, False)


@pytest.mark.parametrize(
    "wish",
    [
        {"max_age": "0"},
        {"acr_values": acr.MFA},
        {"claims": json.dumps({"id_token": {"sub": {"value": "somebody else"}}})},
    ],
    ids=str,
)
async def test_prompt_none_never_asks_for_more(own: World, wish: dict[str, str]) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        own.clock.advance(seconds=1)
        assert answered(await browser.get(address(prompt="none", **wish)))["error"] == "login_required"


@pytest.mark.parametrize("prompt", ["login", "select_account"])
async def test_prompt_login_asks_for_the_password_again_and_once(own: World, prompt: str) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        before = own.clock()
        own.clock.advance(minutes=5)
        await browser.get(address(prompt=prompt))
        assert browser.at.startswith("/login?")
        again = browser.at
        # To go back without a login gets nobody anywhere.
        await browser.get(parse_qs(urlsplit(again).query)["return_to"][0])
        assert browser.at.startswith("/login?")
        own.clock.advance(minutes=5)
        answer = await log_in(browser)
        assert await auth_time(own, answer) == int(before.timestamp()) + 600


async def test_prompt_login_lets_another_person_in(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        await browser.get(address(prompt="login"))
        answer = await log_in(browser, "bob")
        tokens = (await redeem(own, answered(answer)["code"])).json()
        assert own.claims(tokens["id_token"])["sub"] == str(own.acme.users["bob"])


async def test_a_waiting_request_is_answered_once(own: World) -> None:
    async with Browser(own) as browser:
        await browser.get(address())
        waiting = parse_qs(urlsplit(browser.at).query)["return_to"][0]
        answered(await log_in(browser))
        page = await browser.get(waiting)
        assert (page.status_code, "request_over" in page.text) == (400, True)


async def test_a_request_waits_for_half_an_hour(own: World) -> None:
    async with Browser(own) as browser:
        await browser.get(address())
        waiting = parse_qs(urlsplit(browser.at).query)["return_to"][0]
        own.clock.advance(minutes=30)
        page = await browser.get(waiting)
        assert (page.status_code, "request_over" in page.text) == (400, True)


async def test_a_login_that_is_fresh_enough_is_not_asked_again(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        own.clock.advance(minutes=10)
        assert "code" in answered(await browser.get(address(max_age="600")))
        own.clock.advance(seconds=1)
        await browser.get(address(max_age="600"))
        assert browser.at.startswith("/login?")
        assert "code" in answered(await log_in(browser))


async def test_max_age_zero_asks_once(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        own.clock.advance(seconds=1)
        await browser.get(address(max_age="0"))
        own.clock.advance(seconds=30)
        assert "code" in answered(await log_in(browser))


async def test_a_second_factor_is_part_of_every_login_that_is_asked_for(own: World) -> None:
    secret = await enrol(own)
    async with Browser(own) as browser:
        await browser.get(address(prompt="login"))
        await log_in(browser)
        assert browser.at == "/login/otp"
        answer = answered(await browser.submit(otp=code(own, secret)))
        claims = own.claims((await redeem(own, answer["code"])).json()["id_token"])
        assert (claims["acr"], claims["amr"]) == (acr.MFA, ["mfa", "otp", "pwd"])


async def test_a_trusted_device_does_not_meet_max_age(own: World) -> None:
    await change_people(own, trusted_devices=True)
    secret = await enrol(own)
    async with Browser(own) as browser:
        await browser.log_in()
        await browser.submit(otp=code(own, secret), trust_device="yes")
        await browser.get("/logout")
        await browser.submit()
        own.clock.advance(minutes=10)
        await browser.get(address(max_age="3600"))
        await log_in(browser)
        assert browser.at == "/login/otp"
        assert "code" in answered(await browser.submit(otp=code(own, secret)))


async def test_a_context_class_is_stepped_up_to(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        secret = await enrol(own)
        await browser.log_in()
        await browser.submit(otp=code(own, secret))
        assert "code" in answered(await browser.get(address(acr_values=acr.MFA)))


async def test_a_step_up_from_a_password_leads_back(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in("bob")
        await browser.get(address(acr_values=acr.MFA))
        assert browser.at == "/login/enrol"  # there is none yet, and one is wanted


async def test_a_context_class_that_cannot_be_had_is_the_clients_to_know(own: World) -> None:
    await change_people(own, otp="off")
    async with Browser(own) as browser:
        await browser.log_in()
        for wish in (acr.MFA, "urn:elsewhere:gold"):
            answer = answered(await browser.get(address(acr_values=wish)))
            assert answer["error"] == "unmet_authentication_requirements"
        voluntary = json.dumps({"id_token": {"acr": {"values": [acr.MFA]}}})
        assert "code" in answered(await browser.get(address(claims=voluntary)))


async def test_a_login_hint_stands_in_the_form(own: World) -> None:
    async with Browser(own) as browser:
        page = await browser.get(address(login_hint='al"ice'))
        assert 'value="al&#34;ice"' in page.text


async def test_a_claims_request_names_its_user_and_fills_the_id_token(own: World) -> None:
    alice = str(own.acme.users["alice"])
    wish = {"id_token": {"sub": {"value": alice}, "preferred_username": {"essential": True}}}
    async with Browser(own) as browser:
        await browser.log_in()
        answer = answered(await browser.get(address(claims=json.dumps(wish))))
        tokens = (await redeem(own, answer["code"])).json()
        assert own.claims(tokens["id_token"])["preferred_username"] == "alice"
        refreshed = (await own.refresh(tokens["refresh_token"])).json()
        assert own.claims(refreshed["id_token"])["preferred_username"] == "alice"
        wish["id_token"]["sub"] = {"value": str(own.acme.users["bob"])}
        await browser.get(address(claims=json.dumps(wish)))
        assert browser.at.startswith("/login?")
        # Whoever logs in then and is another still gets nothing, and is not asked for ever.
        assert answered(await log_in(browser))["error"] == "login_required"


async def test_an_id_token_as_a_hint_names_its_user(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        hint = (await redeem(own, answered(await browser.get(address()))["code"])).json()["id_token"]
        own.clock.advance(hours=2)  # whether it is over does not matter
        assert "code" in answered(await browser.get(address(prompt="none", id_token_hint=hint)))
    async with Browser(own) as browser:
        await browser.log_in("bob")
        answer = answered(await browser.get(address(prompt="none", id_token_hint=hint)))
        assert answer["error"] == "login_required"
        await browser.get(address(id_token_hint=hint))
        assert "code" in answered(await log_in(browser, "alice"))


async def test_a_hint_that_cannot_be_read_is_none_and_with_prompt_none_nobody_is_known(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        tokens = (await redeem(own, answered(await browser.get(address()))["code"])).json()
        for unreadable in ("x", tokens["access_token"], tokens["id_token"][:-2]):
            assert answered(await browser.get(address(prompt="none", id_token_hint=unreadable)))["error"] == (
                "login_required"
            )
            assert "code" in answered(await browser.get(address(id_token_hint=unreadable)))


async def test_a_hint_that_contradicts_the_request_is_an_invalid_request(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        tokens = (await redeem(own, answered(await browser.get(address()))["code"])).json()
        web = {"client_id": "web", "redirect_uri": WEB_CALLBACK}
        bob = json.dumps({"id_token": {"sub": {"value": str(own.acme.users["bob"])}}})
        for wrong in (
            {"id_token_hint": "x" * 8193},
            {"id_token_hint": tokens["id_token"], "claims": bob},
            {"id_token_hint": tokens["id_token"], **web},
        ):
            assert answered(await browser.get(address(prompt="none", **wrong)))["error"] == "invalid_request"


async def test_the_login_page_may_lead_to_the_client_and_nowhere_else(own: World) -> None:
    secret = await enrol(own)
    async with Browser(own) as browser:
        page = await browser.get(address())
        assert "form-action 'self' https://app.acme.test;" in page.headers["content-security-policy"]
        page = await log_in(browser)
        assert browser.at == "/login/otp"
        assert "form-action 'self' https://app.acme.test;" in page.headers["content-security-policy"]
        assert "code" in answered(await browser.submit(otp=code(own, secret)))


async def test_another_tenants_waiting_request_leads_nowhere(own: World) -> None:
    async with Browser(own) as browser:
        await browser.get(address())
        waiting = parse_qs(urlsplit(browser.at).query)["return_to"][0]
    async with Browser(own, "globex") as browser:
        page = await browser.get(waiting.replace("/acme/", "/globex/"))
        assert (page.status_code, "request_over" in page.text) == (400, True)


async def test_a_login_that_waits_for_something_else_does_not_swallow_the_request(own: World) -> None:
    secret = await enrol(own)
    async with Browser(own) as browser:
        await browser.log_in()
        assert browser.at == "/login/otp"
        await browser.get(address())
        assert browser.at.startswith("/login?")
        await log_in(browser)
        assert "code" in answered(await browser.submit(otp=code(own, secret)))


async def test_a_session_that_is_idle_for_too_long_is_none(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        own.clock.advance(hours=13)
        assert answered(await browser.get(address(prompt="none")))["error"] == "login_required"


async def test_to_be_sent_on_is_to_be_seen(own: World) -> None:
    async with Browser(own) as browser:
        await browser.log_in()
        for _ in range(3):
            own.clock.advance(hours=11)
            assert "code" in answered(await browser.get(address(prompt="none")))


async def test_a_form_that_wants_no_page_gets_none(own: World) -> None:
    async with Browser(own) as browser:
        kept = await browser.post("/authorize", asking(prompt="none"))
        answer = answered(await browser.get(kept.headers["location"]))
        assert answer["error"] == "login_required"
