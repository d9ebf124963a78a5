"""The way in: no account page without a session, none that protects the account without a fresh one, and in none of
them anybody's things but one's own."""

from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.routing import Route

from gateway.account.router import account_router
from gateway.authn.new_password import NewPasswords
from gateway.authn.password_attempt import PasswordCheck
from gateway.breach import Breaches
from gateway.place import Places
from tenants.hashing import HashingPool
from tests.gateway.account.house import NEW_PASSWORD, factor_ids, has_session, logged_in, sessions_of, site_of, token_of
from tests.gateway.browser import Browser
from tests.gateway.login.people import code, enrol
from tests.gateway.world import PUBLIC_URL, World

SOME_ID = "0b7c5f0e-7d43-4b0e-9a51-5d2c8f1e6a90"
SEEN = ("/account", "/account/activity", "/account/password", "/account/sessions", "/account/devices", "/account/apps")
FRESH = (
    "/account/email",
    "/account/factors/new",
    f"/account/factors/{SOME_ID}/remove",
    "/account/recovery-codes",
)
FORMS = {
    "/account/email": {"email": "alice@acme.test"},
    "/account/password": {"current_password": "correct horse battery staple", "password": NEW_PASSWORD},
    "/account/factors/new": {"factor": SOME_ID, "otp": "123456"},
    f"/account/factors/{SOME_ID}/remove": {"sent": "yes"},
    f"/account/factors/{SOME_ID}/rename": {"name": "Phone"},
    "/account/recovery-codes": {"sent": "yes"},
    "/account/sessions": {"others": "yes"},
    "/account/devices": {"all": "yes"},
    "/account/apps": {"client": "web"},
}
EVERY_PAGE = sorted({*SEEN, *FRESH, *FORMS})
GARBAGE = [
    "x",
    "0",
    SOME_ID.upper(),
    f"{{{SOME_ID}}}",
    f"urn:uuid:{SOME_ID}",
    SOME_ID[:-1],
    "%00",
    "%F0%9F%98%80",
    "a" * 3000,
]


async def test_every_route_is_tried_here(world: World, hashing: HashingPool) -> None:
    """A page that is added later has to be in the lists above."""
    passwords = NewPasswords(hashing, Breaches.of(world.installation.settings), ())
    router = account_router(site_of(world), PasswordCheck(hashing), passwords, Places(None), mail=True)
    paths = {route.path for route in router.routes if isinstance(route, Route)}
    assert len(paths) == len(router.routes)
    assert {path.removeprefix("/t/{slug}").replace("{id}", SOME_ID) for path in paths} == set(EVERY_PAGE)


async def test_a_page_without_a_session_leads_to_the_login_and_back(world: World) -> None:
    async with world.client() as client:
        for page in EVERY_PAGE:
            answer = await client.get(f"/t/acme{page}")
            assert answer.status_code == 303, page
            to = urlsplit(answer.headers["location"])
            assert to.path == "/t/acme/login"
            assert parse_qs(to.query) == {"return_to": [f"/t/acme{page}"]}


async def test_the_login_leads_back_to_the_page(world: World) -> None:
    async with Browser(world) as browser:
        await browser.get("/account/sessions")
        assert urlsplit(browser.path).path == "/t/acme/login"
        await browser.submit(username="alice", password=world.acme.password)
        assert browser.at == "/account/sessions"


async def test_a_session_of_another_tenant_is_none(world: World) -> None:
    async with logged_in(world) as browser:
        secret = browser.cookie("session")
        assert secret is not None
        browser.client.cookies.set("yett-globex-session", secret)
        for page in EVERY_PAGE:
            answer = await browser.client.get(f"/t/globex{page}")
            assert answer.status_code == 303, page
            assert answer.headers["location"].startswith("/t/globex/login?")


async def test_a_page_tells_nobody_else_what_it_says(world: World) -> None:
    """No cache keeps it, no frame holds it, no script runs in it."""
    async with logged_in(world) as browser:
        for page in EVERY_PAGE:
            answer = await browser.client.get(f"/t/acme{page}")
            assert answer.headers["cache-control"] == "no-store", page
            policies = answer.headers.get_list("content-security-policy")
            assert all("default-src 'none'" in policy and "frame-ancestors 'none'" in policy for policy in policies)
            assert policies


async def test_a_session_that_was_idle_for_too_long_is_over(world: World) -> None:
    async with logged_in(world) as browser:
        world.clock.advance(hours=12)
        assert not await has_session(browser)


async def test_looking_at_a_page_keeps_a_session_from_being_idle(world: World) -> None:
    async with logged_in(world) as browser:
        for page in SEEN:
            world.clock.advance(hours=11)
            await browser.get(page)
            assert browser.at == page
        world.clock.advance(days=30)
        assert not await has_session(browser)


async def test_a_disabled_user_is_out_of_the_account(world: World) -> None:
    async with logged_in(world) as browser:
        async with world.store() as store:
            await store.users.set_active(world.acme.users["alice"], False)
        assert not await has_session(browser)


async def test_a_factor_that_came_after_the_login_is_asked_for(world: World) -> None:
    """Rule 9: a session from before is none."""
    async with logged_in(world) as browser:
        await enrol(world)
        assert not await has_session(browser)


# -- forged requests ---------------------------------------------------------------------------------------------------


async def test_a_form_is_bound_to_the_session(world: World) -> None:
    """Without a token, and with one of another session of the same user: nothing happens."""
    async with logged_in(world) as mine, logged_in(world) as other:
        for page, fields in FORMS.items():
            for token in ({}, {"form_token": ""}, token_of(other)):
                assert (await mine.post(page, {**fields, **token})).status_code == 403, page
        assert await has_session(mine)
        assert await has_session(other)


@pytest.mark.parametrize("origin", ["https://evil.test", "null", ""])
async def test_a_form_from_elsewhere_is_refused(world: World, origin: str) -> None:
    async with logged_in(world) as browser, logged_in(world) as other:
        for page, fields in FORMS.items():
            answer = await browser.post(page, {**fields, **token_of(browser)}, Origin=origin)
            assert answer.status_code == 403, page
        assert await has_session(browser)
        assert await has_session(other)


async def test_a_page_without_a_form_takes_none(world: World) -> None:
    async with logged_in(world) as browser:
        for page in ("/account", "/account/activity"):
            answer = await browser.post(page, token_of(browser))
            assert answer.status_code == 405
            assert "GET" in answer.headers["allow"]


# -- fresh logins ------------------------------------------------------------------------------------------------------


async def test_an_old_login_is_asked_for_again(world: World) -> None:
    """What protects the account is changed by who is there now, not by whose browser was left open."""
    async with logged_in(world) as browser:
        world.clock.advance(minutes=15, seconds=1)
        for page in FRESH:
            answer = await browser.client.get(f"/t/acme{page}")
            assert answer.status_code == 303, page
            to = urlsplit(answer.headers["location"])
            assert to.path == "/t/acme/login"
            assert parse_qs(to.query) == {"max_age": ["900"], "return_to": [f"/t/acme{page}"]}


async def test_an_old_login_with_a_factor_is_asked_for_the_factor(world: World) -> None:
    secret = await enrol(world)
    async with logged_in(world, secret=secret) as browser:
        for page in FRESH:
            world.clock.advance(minutes=15, seconds=1)
            answer = await browser.client.get(f"/t/acme{page}")
            to = urlsplit(answer.headers["location"])
            assert parse_qs(to.query) == {
                "max_age": ["900"],
                "acr_values": ["urn:yett:acr:mfa"],
                "return_to": [f"/t/acme{page}"],
            }
            await browser.get(page)
            assert browser.at == "/login/otp"
            await browser.submit(otp=code(world, secret))
            assert browser.at == page


async def test_a_form_that_was_open_for_too_long_does_nothing(world: World) -> None:
    async with logged_in(world) as browser:
        world.clock.advance(minutes=15, seconds=1)
        for page in FRESH:
            answer = await browser.post(page, {**FORMS[page], **token_of(browser)})
            assert answer.status_code == 303, page
            assert answer.headers["location"].startswith("/t/acme/login?max_age=900")


async def test_a_trusted_device_is_not_fresh(world: World) -> None:
    """What stood in for the factor at the login does not stand in for it where the factor itself is at stake."""
    async with world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.set_people(tenant.people.changed(world.clock(), trusted_devices=True))
    secret = await enrol(world)
    (factor,) = await factor_ids(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.submit(otp=code(world, secret), trust_device="yes")
        await browser.get("/logout")
        await browser.submit()
        world.clock.advance(minutes=1)
        await browser.log_in()
        assert browser.at == "/account"  # the device was trusted
        for page in ("/account/factors/new", f"/account/factors/{factor}/remove", "/account/recovery-codes"):
            await browser.get(page)
            assert browser.at == "/login/otp"


# -- other people's ----------------------------------------------------------------------------------------------------


async def test_a_factor_of_somebody_else_is_not_there(world: World) -> None:
    """M03: another user's id, another tenant's and nobody's are all the same: nothing at this address."""
    secret = await enrol(world)
    await enrol(world, "bob")
    await enrol(world, "alice", world.globex)
    strangers = [*await factor_ids(world, "bob"), *await factor_ids(world, "alice", world.globex), SOME_ID]
    async with logged_in(world, secret=secret) as browser:
        for stranger in strangers:
            for page in ("remove", "rename"):
                at = f"/account/factors/{stranger}/{page}"
                assert (await browser.get(at)).status_code == 404
                answer = await browser.post(at, {**token_of(browser), "name": "Mine now"})
                assert answer.status_code == 404
    for name, fixture in (("bob", world.acme), ("alice", world.globex)):
        async with world.store(fixture) as store:
            assert [factor.name for factor in await store.factors.of_user(fixture.users[name])] == ["Phone"]


async def test_a_session_of_somebody_else_is_not_there(world: World) -> None:
    async with logged_in(world) as mine, logged_in(world, "bob") as other:
        (session,) = await sessions_of(world, "bob")
        for stranger in (str(session), SOME_ID):
            answer = await mine.post("/account/sessions", {**token_of(mine), "session": stranger})
            assert answer.status_code == 404
        assert await has_session(other)


async def test_a_device_of_somebody_else_is_not_there(world: World) -> None:
    async with logged_in(world) as mine, logged_in(world, "bob") as other:
        async with world.store() as store:
            (device,) = await store.devices.of_user(world.acme.users["bob"])
        for stranger in (str(device.id), SOME_ID):
            answer = await mine.post("/account/devices", {**token_of(mine), "device": stranger})
            assert answer.status_code == 404
        assert await has_session(other)
        async with world.store() as store:
            assert await store.devices.of_user(world.acme.users["bob"]) == [device]


async def test_what_is_no_id_is_not_there(world: World) -> None:
    secret = await enrol(world)
    async with logged_in(world, secret=secret) as browser:
        for garbage in GARBAGE:
            for page in ("remove", "rename"):
                at = f"/account/factors/{garbage}/{page}"
                answers = [await browser.client.get(browser.base + at), await browser.post(at, token_of(browser))]
                # 400: the path is not one
                assert {answer.status_code for answer in answers} <= {400, 404}, garbage


async def test_a_form_with_what_is_no_id_ends_nothing(world: World) -> None:
    async with logged_in(world) as browser:
        for page in ("session", "device"):
            for garbage in ("", *GARBAGE, "\U0001f600", "１２３４５６７８-1234-1234-1234-123456789012", None):
                fields = token_of(browser) | ({} if garbage is None else {page: garbage})
                assert (await browser.post(f"/account/{page}s", fields)).status_code == 404, garbage
        assert await has_session(browser)


async def test_the_address_of_the_host_header_is_nowhere(world: World) -> None:
    """Redirects are paths: a foreign Host cannot turn them elsewhere."""
    async with logged_in(world) as browser:
        world.clock.advance(hours=1)
        answer = await browser.client.get("/t/acme/account/email", headers={"X-Forwarded-Host": "evil.test"})
        assert answer.headers["location"].startswith("/t/acme/login?")
        assert "evil" not in answer.headers["location"]
        assert PUBLIC_URL not in answer.headers["location"]
