"""No way in skips the second factor (rule 9): every way, for every kind of user. The table is the rule."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from gateway.oauth.grants.mfa_otp import GRANT_TYPE
from tests.gateway.browser import Browser, letters, link_in
from tests.gateway.login.people import change_people, code, enrol, lock_factor, recovery_codes
from tests.gateway.world import World

MFA, PWD = "urn:yett:acr:mfa", "urn:yett:acr:pwd"
NEW_PASSWORD = "seven green bottles on the wall"

STATES = ("no factor", "enrolled", "required", "locked")
TABLE: dict[str, tuple[str, str, str, str]] = {
    #                 no factor      enrolled      required, none yet   locked
    "page":           ("in with pwd", "asked: code", "asked: enrolment", "asked: code"),
    "page and code":  ("nothing to do", "in with mfa", "nothing to do", "refused: 429"),
    "password grant": ("in with pwd", "asked: code", "asked: enrolment", "asked: code"),
    "mfa grant":      ("nothing to do", "in with mfa", "nothing to do", "refused: 429"),
    "refresh":        ("in with pwd", "refused: 400", "refused: 400", "refused: 400"),
    "refresh of mfa": ("nothing to do", "in with mfa", "nothing to do", "in with mfa"),
    "session":        ("in with pwd", "asked: password", "asked: password", "asked: password"),
    "step-up":        ("asked: enrolment", "asked: code", "asked: password", "asked: code"),
    "step-up, code":  ("nothing to do", "in with mfa", "nothing to do", "refused: 429"),
    "recovery":       ("asked: password", "in with mfa", "asked: enrolment", "refused: 429"),
    "reset":          ("in with pwd", "asked: code", "asked: enrolment", "asked: code"),
    "invitation":     ("in with pwd", "in with pwd", "asked: enrolment", "in with pwd"),
    "trusted device": ("in with pwd", "in with pwd", "asked: enrolment", "in with pwd"),
    "trust, step-up": ("asked: enrolment", "asked: code", "nothing to do", "asked: code"),
    "trust undone":   ("in with pwd", "asked: code", "asked: enrolment", "asked: code"),
}  # fmt: skip

_ASKED = {
    "/login": "asked: password",
    "/login/otp": "asked: code",
    "/login/recovery": "asked: code",
    "/login/enrol": "asked: enrolment",
}


class Alice:
    """Alice of acme in one of the states, which she reaches in the middle of a way (``become``)."""

    def __init__(self, world: World, state: str) -> None:
        self.world = world
        self.state = state
        self.secret = ""

    @property
    def has_factor(self) -> bool:
        return self.state in ("enrolled", "locked")

    async def become(self) -> None:
        """Enter the state."""
        if self.has_factor:
            self.secret = await enrol(self.world)
        if self.state == "required":
            await change_people(self.world, otp="required")

    async def lock(self) -> None:
        if self.state == "locked":
            await lock_factor(self.world)

    def code(self) -> str:
        return code(self.world, self.secret)

    async def acr(self) -> str:
        """The level of her newest session."""
        async with self.world.store() as store:
            return (await store.sessions.of_user(self.world.acme.users["alice"]))[0].acr


async def seen(alice: Alice, browser: Browser) -> str:
    """What became of a browser."""
    if browser.page.status_code >= 400:
        return f"refused: {browser.page.status_code}"
    at = browser.at.partition("?")[0]
    if at in _ASKED:
        return _ASKED[at]
    assert at == "/account", at
    async with alice.world.store() as store:
        tenant = await store.settings.get()
        assert tenant is not None
        session = await store.sessions.by_secret(browser.cookie("session") or "", idle=tenant.lifetimes.session_idle)
    assert session is not None
    return "in with mfa" if session.acr == MFA else "in with pwd"


def granted(alice: Alice, answer: httpx.Response) -> str:
    """What became of a call of the token endpoint."""
    body = answer.json()
    if answer.status_code == 200:
        return "in with mfa" if alice.world.claims(body["access_token"])["acr"] == MFA else "in with pwd"
    asked = {"mfa_required": "asked: code", "mfa_enrolment_required": "asked: enrolment"}
    return asked.get(body["error"], f"refused: {answer.status_code}")


async def by_page(alice: Alice) -> str:
    await alice.become()
    await alice.lock()
    async with Browser(alice.world) as browser:
        await browser.log_in()
        return await seen(alice, browser)


async def by_page_and_code(alice: Alice) -> str:
    await alice.become()
    if not alice.has_factor:
        return "nothing to do"
    async with Browser(alice.world) as browser:
        await browser.log_in()
        await alice.lock()
        await browser.submit(otp=alice.code())
        return await seen(alice, browser)


async def by_password_grant(alice: Alice) -> str:
    await alice.become()
    await alice.lock()
    return granted(alice, await alice.world.post(alice.world.acme.form()))


async def by_mfa_grant(alice: Alice) -> str:
    await alice.become()
    if not alice.has_factor:
        return "nothing to do"
    challenge = (await alice.world.post(alice.world.acme.form())).json()
    await alice.lock()
    form = {"grant_type": GRANT_TYPE, "client_id": "spa", "mfa_token": challenge["mfa_token"], "otp": alice.code()}
    return granted(alice, await alice.world.post(form))


async def by_refresh(alice: Alice) -> str:
    tokens = await alice.world.login()
    await alice.become()
    await alice.lock()
    return granted(alice, await alice.world.refresh(tokens["refresh_token"]))


async def by_refresh_of_mfa(alice: Alice) -> str:
    await alice.become()
    if not alice.has_factor:
        return "nothing to do"
    challenge = (await alice.world.post(alice.world.acme.form())).json()
    form = {"grant_type": GRANT_TYPE, "client_id": "spa", "mfa_token": challenge["mfa_token"], "otp": alice.code()}
    tokens = (await alice.world.post(form)).json()
    await alice.lock()
    return granted(alice, await alice.world.refresh(tokens["refresh_token"]))


async def by_session(alice: Alice) -> str:
    async with Browser(alice.world) as browser:
        await browser.log_in()
        await alice.become()
        await alice.lock()
        await browser.get("/account")
        return await seen(alice, browser)


async def by_step_up(alice: Alice) -> str:
    async with Browser(alice.world) as browser:
        if alice.has_factor:  # her session has to have brought it, or it would be over
            await alice.become()
            await browser.log_in()
            await browser.submit(otp=alice.code())
            alice.world.clock.advance(hours=1)
            await alice.lock()
        else:
            await browser.log_in()
            await alice.become()
        await browser.get(f"/login?acr_values={MFA}&max_age=900")
        return await seen(alice, browser)


async def by_step_up_and_code(alice: Alice) -> str:
    if not alice.has_factor:
        return "nothing to do"
    async with Browser(alice.world) as browser:
        await alice.become()
        await browser.log_in()
        await browser.submit(otp=alice.code())
        alice.world.clock.advance(hours=1)
        await browser.get(f"/login?acr_values={MFA}&max_age=900")
        async with alice.world.store() as store:
            device = (await store.devices.of_user(alice.world.acme.users["alice"]))[0]
        if alice.state == "locked":
            await lock_factor(alice.world)
            await lock_factor(alice.world, source=f"device:{device.id}")
        await browser.submit(otp=alice.code())
        return await seen(alice, browser)


async def by_recovery(alice: Alice) -> str:
    await alice.become()
    codes = await recovery_codes(alice.world)
    async with Browser(alice.world) as browser:
        await browser.log_in()
        if alice.state == "no factor":
            await browser.get("/logout")
            await browser.submit()
        await alice.lock()
        await browser.get("/login/recovery")
        if browser.at == "/login/recovery":
            await browser.submit(recovery_code=codes[0])
        return await seen(alice, browser)


async def by_reset(alice: Alice) -> str:
    await alice.become()
    await alice.lock()
    world = alice.world
    async with world.store() as store:
        await store.users.set_email(world.acme.users["alice"], "alice@acme.test", verified=True)
    async with Browser(world) as browser:
        await browser.get("/forgot")
        await browser.submit(identifier="alice")
        await world.deliver()
        await browser.get(link_in(letters(world)[-1]))
        await browser.submit(password=NEW_PASSWORD)
        assert browser.at == "/login"
        assert browser.cookie("session") is None
        await browser.log_in(password=NEW_PASSWORD)
        return await seen(alice, browser)


async def by_invitation(alice: Alice) -> str:
    await alice.become()
    await alice.lock()
    world = alice.world
    async with world.store() as store:
        await store.mail_outbox.add(
            "invite", {"email": "new@acme.test", "name": "newcomer", "roles": "reader", "invited_by": "alice"}
        )
    await world.deliver()
    async with Browser(world) as browser:
        await browser.get(link_in(letters(world)[-1]))
        await browser.submit(password=NEW_PASSWORD)
        return await seen(alice, browser)


async def trusted(alice: Alice, browser: Browser) -> None:
    """Alice logs in and says that this device may be trusted, then logs out."""
    await change_people(alice.world, trusted_devices=True)
    if alice.has_factor:
        await alice.become()
        await browser.log_in()
        await browser.submit(otp=alice.code(), trust_device="on")
    else:
        await browser.log_in()
        await alice.become()
    assert browser.at == "/account"
    await browser.get("/logout")
    if browser.forms:
        await browser.submit()


async def by_trusted_device(alice: Alice) -> str:
    async with Browser(alice.world) as browser:
        await trusted(alice, browser)
        await alice.lock()
        await browser.log_in()
        return await seen(alice, browser)


async def by_trust_and_step_up(alice: Alice) -> str:
    async with Browser(alice.world) as browser:
        await trusted(alice, browser)
        await browser.log_in()
        if browser.at != "/account":
            return "nothing to do"
        await alice.lock()
        await browser.get(f"/login?acr_values={MFA}")
        return await seen(alice, browser)


async def by_trust_undone(alice: Alice) -> str:
    async with Browser(alice.world) as browser:
        await trusted(alice, browser)
        await change_people(alice.world, trusted_devices=False)
        await alice.lock()
        await browser.log_in()
        return await seen(alice, browser)


WAYS: dict[str, Callable[[Alice], Awaitable[str]]] = {
    "page": by_page,
    "page and code": by_page_and_code,
    "password grant": by_password_grant,
    "mfa grant": by_mfa_grant,
    "refresh": by_refresh,
    "refresh of mfa": by_refresh_of_mfa,
    "session": by_session,
    "step-up": by_step_up,
    "step-up, code": by_step_up_and_code,
    "recovery": by_recovery,
    "reset": by_reset,
    "invitation": by_invitation,
    "trusted device": by_trusted_device,
    "trust, step-up": by_trust_and_step_up,
    "trust undone": by_trust_undone,
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("way", TABLE)
async def test_no_way_in_skips_the_second_factor(world: World, way: str, state: str) -> None:
    assert await WAYS[way](Alice(world, state)) == TABLE[way][STATES.index(state)]


def test_every_way_has_its_row() -> None:
    assert WAYS.keys() == TABLE.keys()
