"""A changed password ends everything that stood on the old one, but the session that changed it."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from gateway.account.router import account_router
from gateway.authn.new_password import NewPasswords
from gateway.authn.password_attempt import PasswordCheck
from gateway.middleware import WithContext
from gateway.place import Places
from gateway.web import application
from policies.throttle import KNOWN
from tenants.hashing import HashingPool
from tests.gateway.account.house import (
    NEW_PASSWORD,
    events_of,
    has_session,
    logged_in,
    site_of,
    token_of,
    waiting_letters,
)
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.world import World

OTHER_ADDRESS = "198.51.100.9"


async def change(browser: Browser, current: str, new: str = NEW_PASSWORD) -> int:
    await browser.get("/account/password")
    return (await browser.submit(current_password=current, password=new)).status_code


class Meanwhile:
    """A service of leaked passwords: while it is asked, no transaction is open, and anything may happen."""

    def __init__(self, happens: Callable[[], Awaitable[None]]) -> None:
        self._happens = happens

    async def known(self, password: str) -> bool:  # noqa: ARG002 - the service's
        await self._happens()
        return False


async def change_while(
    world: World, hashing: HashingPool, browser: Browser, new: str, happens: Callable[[], Awaitable[None]]
) -> httpx.Response:
    """Change the password with the right one, while something else happens."""
    passwords = NewPasswords(hashing, Meanwhile(happens), ())  # type: ignore[arg-type]
    router = account_router(site_of(world), PasswordCheck(hashing), passwords, Places(None), mail=True)
    async with world.client(app=WithContext(application(router), ()), cookies=dict(browser.client.cookies)) as client:
        return await client.post(
            "/t/acme/account/password",
            data={**token_of(browser), "current_password": world.acme.password, "password": new},
            headers=browser.headers,
        )


async def test_a_changed_password_ends_the_others_and_keeps_this(each_world: World) -> None:
    world = each_world
    tokens = await world.login()
    async with logged_in(world) as mine, logged_in(world) as other:
        assert await change(mine, world.acme.password) == 200
        assert await has_session(mine)
        assert not await has_session(other)
        assert (await world.refresh(tokens["refresh_token"])).status_code == 400
        await other.log_in(password=world.acme.password)
        assert other.page.status_code == 400
        await other.log_in(password=NEW_PASSWORD)
        assert other.at == "/account"
    (event,) = await events_of(world, "user.password_set")
    assert (event["outcome"], event["details"]) == ("success", {"way": "account", "sessions_ended": 2})
    assert ("password_changed", {"user_id": str(world.acme.users["alice"])}) in await waiting_letters(world)


async def test_a_login_that_waits_for_its_code_dies_with_the_old_password(world: World) -> None:
    secret = await enrol(world)
    async with logged_in(world, secret=secret) as mine, Browser(world) as other:
        await other.log_in()
        assert other.at == "/login/otp"
        await change(mine, world.acme.password)
        await other.submit(otp=code(world, secret))
        assert other.at == "/login"


async def test_a_reset_link_dies_with_the_old_password(world: World) -> None:
    async with world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        link = await store.mail_links.make(
            "reset", lifetime=tenant.lifetimes.reset_link, user_id=world.acme.users["alice"]
        )
    async with logged_in(world) as browser:
        await change(browser, world.acme.password)
    async with world.store() as store:
        assert await store.mail_links.find("reset", link) is None


async def test_a_wrong_current_password_changes_nothing(world: World) -> None:
    async with logged_in(world) as mine, logged_in(world) as other:
        assert await change(mine, "not my password at all") == 400
        assert mine.error()
        assert await has_session(mine)
        assert await has_session(other)
    (event,) = await events_of(world, "login.refused")
    assert (event["reason"], event["details"]) == ("wrong_password", {"way": "account"})
    assert await events_of(world, "user.password_set") == []


async def test_guesses_here_count_as_at_the_login(world: World) -> None:
    """Who has taken over a session does not guess the password behind its back."""
    async with logged_in(world) as browser:
        answers = [await change(browser, f"guess {number} of many") for number in range(KNOWN.free + 1)]
        assert answers[0] == 400
        assert answers[-1] == 429
        assert int(browser.page.headers["retry-after"]) > 0
        assert await change(browser, world.acme.password) == 429
        await browser.get("/login?again=yes")
        await browser.submit(username="alice", password=world.acme.password)
        assert browser.page.status_code == 429, "one budget of this device, at both"


async def test_strangers_guesses_do_not_hold_up_who_is_logged_in(world: World) -> None:
    async with logged_in(world) as browser, Browser(world, address=OTHER_ADDRESS) as stranger:
        browser.client.cookies.delete("yett-acme-device")  # as "Forget all devices" does
        for number in range(7):
            await stranger.log_in(password=f"guess {number} of many")
        assert stranger.page.status_code == 429
        assert await change(browser, world.acme.password) == 200


async def test_the_right_password_clears_the_count(world: World) -> None:
    async with logged_in(world) as browser:
        browser.client.cookies.delete("yett-acme-device")
        for _ in range(2):
            assert [await change(browser, f"guess {number} of many") for number in range(4)] == [400] * 4
            assert await change(browser, world.acme.password, "short") == 422


@pytest.mark.parametrize(
    "new",
    ["short", "password", "correct horse", "a" * 1025, "acme acme acme", "x" * 14, "unpaired \ud800 surrogate is long"],
)
async def test_a_new_password_has_to_be_a_good_one(world: World, new: str) -> None:
    async with logged_in(world) as browser:
        await browser.get("/account/password")
        fields = browser.forms[0].fields | {"current_password": world.acme.password}
        body = "&".join(f"{name}={value}".replace(" ", "+") for name, value in fields.items())
        answer = await browser.client.post(
            "/t/acme/account/password",
            content=f"{body}&password={new.replace(' ', '+')}".encode("utf-8", "surrogatepass"),
            headers={**browser.headers, "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code in (400, 422)
        assert await events_of(world, "user.password_set") == []


async def test_with_a_second_factor_a_password_may_be_shorter(world: World) -> None:
    secret = await enrol(world)
    async with logged_in(world, secret=secret) as browser:
        assert await change(browser, world.acme.password, "k7mq2xvd") == 200


async def test_an_endless_current_password_is_refused_unhashed(world: World) -> None:
    async with logged_in(world) as browser:
        assert await change(browser, "a" * 2000) == 422
    assert await events_of(world, "login.refused") == []


async def test_the_tenants_least_length_counts(world: World) -> None:
    await change_people(world, password_min_length=20)
    async with logged_in(world) as browser:
        await browser.get("/account/password")
        assert 'minlength="20"' in browser.page.text
        assert await change(browser, world.acme.password, "nineteen signs long") == 422
        assert await change(browser, world.acme.password, "twenty signs in this") == 200


async def version(world: World) -> int:
    async with world.store() as store:
        password = await store.credentials.password(world.acme.users["alice"])
    assert password is not None
    return password.version


async def test_a_short_password_is_not_set_when_its_second_factor_goes_meanwhile(
    world: World, hashing: HashingPool
) -> None:
    secret = await enrol(world)

    async def factor_goes() -> None:
        async with world.store() as store:
            await store.factors.remove_all(world.acme.users["alice"])

    async with logged_in(world, secret=secret) as browser:
        assert (await change_while(world, hashing, browser, "k7mq2xvd", factor_goes)).status_code == 409
        assert await version(world) == 1
        assert (await change_while(world, hashing, browser, NEW_PASSWORD, factor_goes)).status_code == 200
        assert await version(world) == 2


async def test_of_two_changes_at_once_the_first_counts(world: World, hashing: HashingPool) -> None:
    async def other_is_first() -> None:
        async with world.store() as store:
            await store.credentials.set_password(world.acme.users["alice"], "$argon2id$another")

    async with logged_in(world) as browser, logged_in(world) as other:
        assert (await change_while(world, hashing, browser, NEW_PASSWORD, other_is_first)).status_code == 409
        assert await version(world) == 2
        assert await has_session(other)


async def test_a_session_that_ends_meanwhile_changes_nothing(world: World, hashing: HashingPool) -> None:
    async def session_ends() -> None:
        async with world.store() as store:
            await store.sessions.end_all(world.acme.users["alice"])

    async with logged_in(world) as browser:
        answer = await change_while(world, hashing, browser, NEW_PASSWORD, session_ends)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/t/acme/login?")
        assert await version(world) == 1


async def test_a_copy_of_the_old_cookie_dies_with_the_old_password(world: World) -> None:
    async with logged_in(world) as browser, Browser(world) as thief:
        thief.client.cookies.update(browser.client.cookies)
        await thief.get("/account")
        assert thief.at == "/account"
        assert await change(browser, world.acme.password) == 200
        await thief.get("/account")
        assert thief.at.startswith("/login")
        await browser.get("/account")
        assert browser.at == "/account"


async def test_the_field_that_is_wrong_is_marked_and_no_other(world: World) -> None:
    async with logged_in(world) as browser:
        browser.client.cookies.delete("yett-acme-device")
        await change(browser, "not my password at all")
        assert browser.wrong() == ["current_password"]
        await change(browser, world.acme.password, "short")
        assert browser.wrong() == ["password"]
        while browser.page.status_code != 429:
            await change(browser, "not my password at all")
        assert (browser.error() != "", browser.wrong()) == (True, [])
