"""Sessions and devices: a person sees where they are logged in, and ends what they do not know."""

import re
from datetime import timedelta
from pathlib import Path

from tests.gateway.account.house import (
    CHROME,
    FIREFOX,
    events_of,
    has_session,
    logged_in,
    sessions_of,
    text_of,
    token_of,
)
from tests.gateway.browser import Browser, Form
from tests.gateway.conftest import OpenWorld
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.test_place import CITY, database
from tests.gateway.world import World

OFFICE = "198.51.100.9"


def buttons(browser: Browser, field: str) -> list[Form]:
    """The forms of the page that have this field."""
    return [form for form in browser.forms if field in form.fields]


async def press(browser: Browser, field: str, value: object = None) -> None:
    """The one button that carries this."""
    (form,) = [form for form in buttons(browser, field) if value is None or form.fields[field] == str(value)]
    await browser.submit(to=form.action, **form.fields)


async def test_a_session_is_told_by_device_network_and_place(tmp_path: Path, open_world: OpenWorld) -> None:
    places = database(tmp_path / "city.mmdb", CITY)
    async with (
        open_world(geoip_database=str(places)) as world,
        logged_in(world, user_agent=CHROME, address=OFFICE),
        logged_in(world, user_agent=FIREFOX) as mine,
    ):
        for page in ("/account/sessions", "/account"):
            await mine.get(page)
            text = text_of(mine)
            assert "Firefox on Linux This session" in text
            assert "203.0.113.7 (Berlin, Germany)" in text
            assert "Chrome on Windows Last seen" in text
            assert f"{OFFICE} (Germany)" in text
            assert "25 Nov 2026, 12:00 UTC" in text
            assert len(buttons(mine, "session")) == 1


async def test_a_session_without_a_browser_is_told_by_its_app(world: World) -> None:
    await world.login()
    async with logged_in(world) as browser:
        await browser.get("/account/sessions")
        assert "Public (app)" in text_of(browser)


async def test_one_session_is_ended(each_world: World) -> None:
    world = each_world
    async with logged_in(world) as mine, logged_in(world) as other, logged_in(world) as third:
        (ended,) = set(await sessions_of(world)) - {await this(mine), await this(third)}
        await mine.get("/account/sessions")
        await press(mine, "session", ended)
        assert mine.at == "/account/sessions"
        assert not await has_session(other)
        assert await has_session(third)
        assert await has_session(mine)
        answer = await mine.post("/account/sessions", {**token_of(mine), "session": str(ended)})
        assert answer.status_code == 303  # it has ended already, which is what was wanted
    (event,) = await events_of(world, "session.ended")
    assert event["session_id"] == str(ended)


async def this(browser: Browser) -> object:
    async with browser.world.store() as store:
        found = await store.sessions.by_secret(browser.cookie("session") or "", idle=timedelta(hours=12))
    assert found is not None
    return found.id


async def test_an_ended_session_ends_its_tokens(world: World) -> None:
    tokens = await world.login()
    (of_the_app,) = await sessions_of(world)
    async with logged_in(world) as browser:
        await browser.get("/account/sessions")
        await press(browser, "session", of_the_app)
        assert (await world.refresh(tokens["refresh_token"])).status_code == 400


async def test_all_others_are_ended(world: World) -> None:
    async with logged_in(world) as mine, logged_in(world) as other, logged_in(world, "bob") as bob:
        await mine.get("/account/sessions")
        await press(mine, "others")
        assert await has_session(mine)
        assert not await has_session(other)
        assert await has_session(bob)
    (event,) = await events_of(world, "session.ended")
    assert (event["reason"], event["details"]) == ("all_others", {"sessions_ended": 1})


async def test_to_end_this_session_is_to_log_out(world: World) -> None:
    async with logged_in(world) as browser:
        own = str(await this(browser))
        await browser.get("/account/sessions")
        assert buttons(browser, "session") == []  # the button for that is "Log out"
        await browser.submit(to="/t/acme/account/sessions", session=own)
        assert browser.at == "/login"
        assert browser.cookie("session") is None


async def test_the_log_out_button_logs_out(world: World) -> None:
    async with logged_in(world) as browser:
        (form,) = [form for form in browser.forms if form.action == "/t/acme/logout/confirm"]
        await browser.submit(to=form.action, **form.fields)
        assert not await has_session(browser)


# -- devices -----------------------------------------------------------------------------------------------------------


async def test_a_forgotten_device_loses_its_sessions_and_its_trust(each_world: World) -> None:
    world = each_world
    await change_people(world, trusted_devices=True)
    secret = await enrol(world)
    async with logged_in(world, secret=secret, user_agent=FIREFOX) as mine, Browser(world) as other:
        other.headers["User-Agent"] = CHROME
        await other.log_in()
        await other.submit(otp=code(world, secret), trust_device="yes")
        await mine.get("/account/devices")
        assert "Not asked for a code until 25 Dec 2026" in text_of(mine)
        assert "Firefox on Linux This device" in text_of(mine)
        async with world.store() as store:
            theirs = await store.devices.find(world.acme.users["alice"], other.cookie("device"))
        assert theirs is not None
        await press(mine, "device", theirs.id)
        assert mine.at == "/account/devices"
        assert "Chrome" not in text_of(mine)
        assert not await has_session(other)
        await other.log_in()
        assert other.at == "/login/otp"
        assert await has_session(mine)
    (event,) = await events_of(world, "device.revoked")
    assert event["details"] == {"device": str(theirs.id), "sessions_ended": 1}


async def test_trust_that_is_worth_nothing_is_not_shown(world: World) -> None:
    await change_people(world, trusted_devices=True)
    secret = await enrol(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.submit(otp=code(world, secret), trust_device="yes")
        await browser.get("/account/devices")
        assert "Not asked for a code" in text_of(browser)
        await change_people(world, trusted_devices=False)
        await browser.get("/account/devices")
        assert "Not asked for a code" not in text_of(browser)


async def test_to_forget_this_device_is_to_log_out(world: World) -> None:
    async with logged_in(world) as browser:
        await browser.get("/account/devices")
        await press(browser, "device")
        assert browser.at == "/login"
        assert (browser.cookie("session"), browser.cookie("device")) == (None, None)


async def test_all_devices_are_forgotten_and_this_session_goes_on(world: World) -> None:
    async with logged_in(world) as mine, logged_in(world) as other, logged_in(world, "bob") as bob:
        await mine.get("/account/devices")
        await press(mine, "all")
        assert mine.at == "/account/devices"
        assert buttons(mine, "device") == []
        assert await has_session(mine)
        assert not await has_session(other)
        await bob.get("/account/devices")
        assert len(buttons(bob, "device")) == 1
    (event,) = await events_of(world, "device.revoked")
    assert (event["reason"], event["details"]) == ("all", {"devices": 2, "sessions_ended": 1})


# -- what others wrote -------------------------------------------------------------------------------------------------


async def test_a_hostile_browser_writes_nothing_into_the_page(world: World) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} Firefox/<b>'
    async with logged_in(world, user_agent=hostile), logged_in(world) as mine:
        for page in ("/account", "/account/sessions", "/account/devices", "/account/activity"):
            await mine.get(page)
            assert mine.page.status_code == 200
            assert not re.search(r"<script|onerror|<img src=x|<b>", mine.page.text)
            assert "{{" not in mine.page.text
            assert "49" not in text_of(mine)
