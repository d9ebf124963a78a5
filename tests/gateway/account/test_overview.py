"""The overview says what the account is, and the activity what happened in it, in plain words."""

import re
from datetime import timedelta
from pathlib import Path

from tenants.audit_event import Event
from tests.gateway.account.house import NEW_PASSWORD, logged_in, text_of
from tests.gateway.browser import Browser
from tests.gateway.conftest import OpenWorld
from tests.gateway.login.people import change_people, code, enrol, recovery_codes
from tests.gateway.test_place import CITY, database
from tests.gateway.world import World


async def activity(browser: Browser) -> str:
    await browser.world.events()  # the sequencer has run
    await browser.get("/account/activity")
    return text_of(browser)


async def test_the_overview_says_who_one_is(world: World) -> None:
    alice = world.acme.users["alice"]
    async with logged_in(world) as browser:
        assert "Name alice Email None Add an email" in text_of(browser)
        async with world.store() as store:
            await store.users.set_email(alice, "alice@acme.test", verified=False)
        await browser.get("/account")
        assert "alice@acme.test (not confirmed) Change email" in text_of(browser)
        async with world.store() as store:
            await store.users.set_email(alice, "alice@acme.test", verified=True)
        await browser.get("/account")
        assert "alice@acme.test (confirmed)" in text_of(browser)


async def test_the_overview_tells_of_the_second_factor(world: World) -> None:
    async with logged_in(world) as browser:
        assert "Set up an authenticator" in text_of(browser)
        assert "/account/recovery-codes" not in browser.page.text
    secret = await enrol(world)
    await recovery_codes(world)
    async with logged_in(world, secret=secret) as browser:
        assert "Phone" in text_of(browser)
        assert "Last used 25 Nov 2026" in text_of(browser)
        assert "10 recovery codes left" in text_of(browser)
        assert "Add another authenticator" in text_of(browser)


async def test_the_overview_warns_before_a_factor_is_due(world: World) -> None:
    await change_people(world, otp="required", otp_grace=timedelta(days=7))
    async with logged_in(world) as browser:
        assert "requires a second factor from 2 Dec 2026, 12:00 UTC on" in text_of(browser)


async def test_long_lists_are_cut_on_the_overview(world: World) -> None:
    for _ in range(7):
        await world.login()
    async with logged_in(world) as browser:
        assert "All sessions (8)" in text_of(browser)
        assert text_of(browser).count("End Public (app)") == 4


async def test_activity_is_told_in_words(tmp_path: Path, open_world: OpenWorld) -> None:
    places = database(tmp_path / "city.mmdb", CITY)
    async with open_world(geoip_database=str(places)) as world, logged_in(world) as browser:
        await browser.get("/account/password")
        await browser.submit(current_password="wrong wrong wrong", password=NEW_PASSWORD)
        await browser.get("/account/password")
        await browser.submit(current_password=world.acme.password, password=NEW_PASSWORD)
        text = await activity(browser)
        order = [text.index(words) for words in ("Password changed", "Wrong password", "Logged in")]
        assert order == sorted(order)
        assert "203.0.113.7 (Berlin, Germany)" in text
        await browser.get("/account")
        assert "Wrong password" in text_of(browser)


async def test_somebody_who_knows_the_password_is_seen(world: World) -> None:
    secret = await enrol(world)
    async with logged_in(world, secret=secret) as browser, Browser(world, address="198.51.100.9") as other:
        await other.log_in()
        await other.submit(otp="000000" if code(world, secret) != "000000" else "111111")
        text = await activity(browser)
    assert "Wrong code of the second factor 25 Nov 2026, 12:01 UTC · 198.51.100.9" in text
    assert "Right password, the second factor was asked for 25 Nov 2026, 12:01 UTC · 198.51.100.9" in text


async def test_what_was_refused_stands_out(world: World) -> None:
    async with logged_in(world) as browser:
        await browser.get("/account/password")
        await browser.submit(current_password="wrong wrong wrong", password=NEW_PASSWORD)
        await activity(browser)
        page = browser.page.text
    alarming = re.findall(r'<li class="item item-alarming">.*?<p class="item-name">([^<]*)</p>', page, re.DOTALL)
    assert alarming == ["Wrong password"]
    assert page.count('class="item"') == 1, "the login itself does not"


async def test_a_login_through_an_app_is_told(world: World) -> None:
    await world.login()
    async with logged_in(world) as browser:
        assert "Logged in through spa" in await activity(browser)


async def test_what_administrators_do_is_told(world: World) -> None:
    async with world.store() as store:
        await store.audit.add(told(world, "user.role_assigned", role="reader"))
        await store.audit.add(told(world, "group.member_added", group="staff"))
        await store.audit.add(told(world, "user.password_set"))
    async with logged_in(world) as browser:
        text = await activity(browser)
    assert "Put into the group staff, by an administrator" in text
    assert "Role reader given, by an administrator" in text
    assert "Password changed, by an administrator" in text


async def test_what_has_no_words_and_what_is_anothers_is_left_out(world: World) -> None:
    async with world.store() as store:
        await store.audit.add(told(world, "something.new"))
        await store.audit.add(told(world, "token.refreshed"))
    async with logged_in(world, "bob") as browser:
        await browser.get("/account/password")
        await browser.submit(current_password="wrong wrong wrong", password=NEW_PASSWORD)
    async with logged_in(world) as browser:
        text = await activity(browser)
    assert "Wrong password" not in text
    assert text.count("UTC") == 1  # their own login, and no more


def told(world: World, kind: str, **details: str) -> Event:
    return Event(
        type=kind, outcome="success", subject=str(world.acme.users["alice"]), actor="cli:root", details=details
    )
