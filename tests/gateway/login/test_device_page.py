"""The page where a person types a device's code: what it shows, what a GET never does, how guesses are slowed down."""

import asyncio
import re

import pytest

from policies.throttle import USER_CODE
from tenants import throttles
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people
from tests.gateway.oauth.devices import Device, decide, started
from tests.gateway.world import World


async def refusals(world: World) -> list[object]:
    return [event["reason"] for event in await world.events() if event["outcome"] == "refused"]


async def pending(device: Device) -> bool:
    return bool((await device.poll()).json()["error"] == "authorization_pending")


async def test_who_is_not_logged_in_logs_in_and_comes_back_to_the_code(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.get(f"/device?user_code={device.user_code}")
        assert browser.at.startswith("/login?")
        await browser.submit(username="alice", password=world.acme.password)
        assert browser.at == f"/device?user_code={device.user_code}"
        assert browser.forms[0].fields["user_code"] == device.user_code


async def test_a_link_with_the_code_only_fills_it_in(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        for path in (
            f"/device?user_code={device.user_code.lower()}",
            f"/device?user_code={device.user_code}&decision=allow",
            f"/device/confirm?user_code={device.user_code}&decision=allow",
        ):
            page = await browser.get(path)
            assert page.status_code == 200
            assert "Public" not in page.text, "nothing was looked up"
    assert await pending(device)


async def test_a_link_is_no_oracle(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        texts = set()
        for code in (device.user_code, "BCDF-GHJK"):
            texts.add((await browser.get(f"/device?user_code={code}")).text.replace(code, "…"))
        assert len(texts) == 1


@pytest.mark.parametrize("typed", ["", "none", "<script>", "WDJB-MJH", "%22%3E%3Cscript%3E"])
async def test_what_can_be_no_code_is_not_filled_in(world: World, typed: str) -> None:
    async with Browser(world) as browser:
        await browser.log_in()
        page = await browser.get(f"/device?user_code={typed}")
        assert browser.forms[0].fields["user_code"] == ""
        assert "script" not in page.text


async def test_the_question_says_what_asks_for_what_from_where_and_which_code_it_is(world: World) -> None:
    device = await started(world, scope="orders:read orders:write admin")
    world.clock.advance(minutes=2)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        page = await browser.submit(user_code=device.user_code.lower().replace("-", " "))
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))
        assert "Connect Public?" in text
        assert device.user_code in text
        assert "orders:read orders:write" in text
        assert "admin" not in text, "which alice cannot give"
        assert "198.51.100.20" in text
        assert "2 minutes ago" in text
        assert "alice" in text
        assert await pending(device), "to look is not to say yes"


async def test_a_form_of_another_site_decides_nothing(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        fields = {**browser.forms[0].fields, "decision": "allow"}
        for headers, changes in (
            ({"Origin": "https://evil.test"}, {}),
            ({"Origin": "null"}, {}),
            ({}, {"form_token": "wrong"}),
        ):
            answer = await browser.post("/device/confirm", fields | changes, **headers)
            assert answer.status_code == 403
        assert await pending(device)


async def test_the_form_of_one_session_is_worth_nothing_in_another(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser, Browser(world) as other:
        await browser.log_in()
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        await other.log_in("bob")
        answer = await other.post("/device/confirm", {**browser.forms[0].fields, "decision": "allow"})
        assert answer.status_code == 403
    assert await pending(device)


@pytest.mark.parametrize("decision", ["yes", "", "ALLOW", "allow "])
async def test_any_other_word_is_no_decision(world: World, decision: str) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        page = await browser.submit(decision=decision)
        assert "Connect Public?" in page.text
    assert await pending(device)


async def test_nobody_decides_who_was_not_asked(world: World) -> None:
    device, other = await started(world), await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        page = await browser.submit(user_code=device.user_code, decision="allow")
        assert "Connect Public?" in page.text
        page = await browser.submit(user_code=other.user_code, decision="allow")
        assert other.user_code in page.text, "the question was about another code"
    assert await pending(device)
    assert await pending(other)


async def test_two_people_decide_once(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser, Browser(world) as other:
        for each, name in ((browser, "alice"), (other, "bob")):
            await each.log_in(name)
            await each.get("/device")
            await each.submit(user_code=device.user_code)
        assert "Your device is connected" in (await browser.submit(decision="allow")).text
        answer = await other.submit(decision="allow")
        assert (answer.status_code, other.wrong()) == (400, ["user_code"])
    claims = world.claims((await device.poll()).json()["access_token"])
    assert claims["sub"] == str(world.acme.users["alice"])


async def test_who_can_give_nothing_of_it_is_told_so_and_another_can(world: World) -> None:
    device = await started(world, scope="orders:write")
    async with Browser(world) as browser:
        await browser.log_in("bob")
        await browser.get("/device")
        answer = await browser.submit(user_code=device.user_code)
        assert answer.status_code == 403
        assert "This account cannot connect it" in answer.text
        await browser.get("/device")
        fields = {"form_token": browser.forms[0].fields["form_token"], "user_code": device.user_code}
        assert (await browser.post("/device/confirm", {**fields, "decision": "allow"})).status_code == 403
    assert await pending(device)
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
    assert (await device.poll()).json()["scope"] == "orders:write"


async def test_a_device_of_a_disabled_client_waits_for_nobody(world: World) -> None:
    device = await started(world)
    async with world.store() as store:
        await store.clients.set_active("spa", False)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        answer = await browser.submit(user_code=device.user_code)
        assert (answer.status_code, browser.error()) == (400, browser.error())
        assert "No device waits with that code" in browser.error()


async def test_a_session_that_lacks_a_factor_by_now_decides_nothing(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        await change_people(world, otp="required")
        await browser.submit(decision="allow")
        assert browser.at == "/login/enrol" or browser.at.startswith("/login?")
    assert await pending(device)


async def test_the_address_answers_people_and_programs_and_names_all_its_methods(world: World) -> None:
    async with world.client() as client:
        answer = await client.delete("/t/acme/device")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "POST", "OPTIONS"}
        preflight = await client.options("/t/acme/device", headers={"Origin": "https://app.acme.test"})
        assert preflight.headers["access-control-allow-methods"] == "POST"
        page = await client.get("/t/acme/device")
        assert (page.status_code, page.headers["location"]) == (303, "/t/acme/login?return_to=%2Ft%2Facme%2Fdevice")
        assert (await client.head("/t/acme/device")).status_code == 303


async def test_a_wrong_user_code_tells_nothing_and_is_counted_exactly(each_world: World) -> None:
    world = each_world
    used, denied, over = [await started(world) for _ in range(3)]
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, used)
        assert (await used.poll()).status_code == 200
        await decide(browser, denied, "deny")
        world.clock.advance(minutes=10)
        pages = []
        for typed in (used.user_code, denied.user_code, over.user_code, "BCDF-GHJK", "none"):
            await browser.get("/device")
            answer = await browser.submit(user_code=typed)
            pages.append((answer.status_code, answer.text.replace(typed, "…")))
        assert len(set(pages)) == 1, "used, refused, over, unknown and malformed look alike"
        assert pages[0][0] == 400
        await browser.get("/device")
        answer = await browser.submit(user_code="BCDF-GHJK")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        fresh = await started(world)
        await browser.get("/device")
        answer = await browser.submit(user_code=fresh.user_code)
        assert answer.status_code == 429, "a right one waits as well: else it could be told"
        world.clock.advance(seconds=30)
        await decide(browser, fresh)
        assert (await fresh.poll()).status_code == 200, "and the answer to the question is no guess"
    assert {"user_code_unknown", "user_codes_throttled"} <= set(await refusals(world))


async def test_parallel_guesses_are_counted_exactly(each_world: World) -> None:
    world = each_world
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        fields = {"form_token": browser.forms[0].fields["form_token"], "user_code": "BCDF-GHJK"}
        answers = await asyncio.gather(*(browser.post("/device/confirm", fields) for _ in range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [400] * USER_CODE.free + [429] * (20 - USER_CODE.free)


async def test_right_codes_between_guesses_buy_no_guess(world: World) -> None:
    """Anybody can have a device begin, and would know its code."""
    async with Browser(world) as browser:
        await browser.log_in()
        tried = []
        for _ in range(7):
            own = await started(world)
            await browser.get("/device")
            await browser.submit(user_code=own.user_code)
            await browser.get("/device")
            tried.append((await browser.submit(user_code="BCDF-GHJK")).status_code)
    assert tried == [400] * 5 + [429] * 2


async def test_guesses_of_many_accounts_from_one_network_are_counted_together(world: World) -> None:
    async with world.store() as store:
        for _ in range(100):
            await store.throttles.reserve(throttles.network("user codes 203.0.113.7/32"))
    async with Browser(world) as browser:
        await browser.log_in("bob")
        await browser.get("/device")
        assert (await browser.submit(user_code="BCDF-GHJK")).status_code == 429
