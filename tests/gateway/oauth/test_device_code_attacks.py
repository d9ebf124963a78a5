"""Attacks on the device grant: codes in other hands and places (T03), people who are gone at its redemption (T09)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tenants.clients import Client
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.oauth.devices import Device, approved, decide, started
from tests.gateway.world import ORDERS, World


async def refusals(world: World) -> list[tuple[object, object]]:
    return [(event["type"], event["reason"]) for event in await world.events() if event["outcome"] == "refused"]


async def still_good(device: Device) -> bool:
    return (await device.poll()).status_code == 200 and (await device.poll()).status_code == 400


# -- T03: other places, other hands ------------------------------------------------------------------------------------


async def in_refresh(world: World, secret: str) -> int:
    return (await world.refresh(secret)).status_code


async def in_mfa(world: World, secret: str) -> int:
    form = {"grant_type": "urn:yett:params:oauth:grant-type:mfa-otp", "client_id": "spa", "mfa_token": secret}
    return (await world.post({**form, "otp": "123456"})).status_code


async def in_authorization_code(world: World, secret: str) -> int:
    form = {"grant_type": "authorization_code", "client_id": "spa", "code": secret, "code_verifier": "v" * 43}
    return (await world.post({**form, "redirect_uri": "https://app.acme.test/callback"})).status_code


async def in_user_code(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        await browser.log_in("bob")
        await browser.get("/device")
        return (await browser.submit(user_code=secret)).status_code


async def in_reset(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        return (await browser.get(f"/reset?token={secret}")).status_code


async def in_cookie(world: World, secret: str) -> int:
    async with Browser(world) as browser:
        browser.client.cookies.set("yett-acme-session", secret, domain="localhost.local", path="/")
        await browser.get("/account")
        return 200 if browser.at == "/account" else 400


@pytest.mark.parametrize("place", [in_refresh, in_mfa, in_authorization_code, in_user_code, in_reset, in_cookie])
async def test_t03_a_device_code_is_good_in_its_own_place_only(
    world: World, place: Callable[[World, str], Awaitable[int]]
) -> None:
    device = await approved(world)
    for secret in (device.shown["device_code"], device.user_code):
        assert await place(world, secret) >= 400
    assert await still_good(device), "and trying it there has used nothing up"


async def test_t03_nothing_else_is_good_as_a_device_code(world: World) -> None:
    tokens = await world.login()
    device = await approved(world)
    async with Browser(world) as browser:
        await browser.log_in("bob")
        cookie = browser.cookie("session")
    for secret in (tokens["refresh_token"], tokens["access_token"], cookie, device.user_code):
        answer = await device.poll(device_code=secret)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200
    assert await still_good(device)


async def test_another_client_cannot_redeem_or_slow_it_down(world: World) -> None:
    for ready in (False, True):
        device = await approved(world) if ready else await started(world)
        for _ in range(3):
            answer = await device.poll(client_id="web", client_secret=world.acme.secret)
            assert answer.json()["error"] == "invalid_grant"
        world.clock.advance(seconds=5)
        answer = await device.poll()
        assert answer.status_code == 200 if ready else answer.json()["error"] == "authorization_pending"
    assert ("token.refused", "client_mismatch") in await refusals(world)


async def test_another_tenant_cannot_redeem_or_approve_it(each_world: World) -> None:
    world = each_world
    device = await started(world)
    async with Browser(world, "globex") as browser:
        await browser.log_in()
        await browser.get("/device")
        answer = await browser.submit(user_code=device.user_code)
        assert "No device waits with that code" in answer.text
    async with Browser(world) as browser:
        await browser.log_in()
        await decide(browser, device)
    assert (await device.poll(to="globex")).json()["error"] == "invalid_grant"
    assert await still_good(device)


async def test_a_session_of_another_tenant_approves_nothing_here(world: World) -> None:
    device = await started(world)
    async with Browser(world, "globex") as browser:
        await browser.log_in()
        cookie = browser.cookie("session") or ""
    async with Browser(world) as browser:
        browser.client.cookies.set("yett-acme-session", cookie, domain="localhost.local", path="/")
        await browser.get("/device")
        assert browser.at.startswith("/login?return_to=")
    assert (await device.poll()).json()["error"] == "authorization_pending"


async def test_of_twenty_parallel_redemptions_one_wins(each_world: World) -> None:
    world = each_world
    device = await approved(world)
    answers = await asyncio.gather(*(device.poll() for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    async with world.store() as store:
        sessions = await store.sessions.of_user(world.acme.users["alice"])
        assert len([session for session in sessions if session.client_id == "spa"]) == 1


async def test_a_code_is_redeemed_once(world: World) -> None:
    device = await approved(world)
    first = await device.poll()
    again = await device.poll()
    assert (first.status_code, again.json()["error"]) == (200, "invalid_grant")
    assert await refusals(world) == [("token.refused", "device_code_used")]


# -- T09: every check is made again ------------------------------------------------------------------------------------


async def disable(world: World) -> None:
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], False)


async def disable_and_enable(world: World) -> None:
    await disable(world)
    async with world.store() as store:
        await store.users.set_active(world.acme.users["alice"], True)


async def end_sessions(world: World) -> None:
    async with world.store() as store:
        await store.sessions.end_all(world.acme.users["alice"])


async def let_the_session_idle(world: World) -> None:
    async with world.store() as store:
        await store.settings.set_lifetimes({"session_idle": 60})
    world.clock.advance(seconds=60)


async def withdraw_roles(world: World) -> None:
    async with world.store() as store:
        await store.roles.withdraw(world.acme.users["alice"], "writer")


async def require_a_factor(world: World) -> None:
    await change_people(world, otp="required")


async def add_a_factor(world: World) -> None:
    await enrol(world)


@pytest.mark.parametrize(
    ("happens", "reason", "error"),
    [
        (disable, "user_disabled", "invalid_grant"),
        (disable_and_enable, "session_ended", "invalid_grant"),
        (end_sessions, "session_ended", "invalid_grant"),
        (let_the_session_idle, "session_ended", "invalid_grant"),
        (withdraw_roles, "invalid_scope", "invalid_scope"),
        (require_a_factor, "factor_missing", "invalid_grant"),
        (add_a_factor, "factor_missing", "invalid_grant"),
    ],
)
async def test_t09_what_was_approved_before_and_holds_no_more_is_refused(
    each_world: World, happens: Callable[[World], Awaitable[None]], reason: str, error: str
) -> None:
    world = each_world
    device = await approved(world, scope="orders:read")
    await happens(world)
    answer = await device.poll()
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    (event,) = [event for event in await world.events() if event["outcome"] == "refused"]
    assert (event["type"], event["reason"]) == ("login.refused", reason)
    assert event["subject"] == str(world.acme.users["alice"])
    async with world.store() as store:
        sessions = await store.sessions.of_user(world.acme.users["alice"])
        assert not [session for session in sessions if session.client_id is not None]


async def test_t09_a_session_that_ends_by_its_own_age_approves_nothing_later(world: World) -> None:
    """A session of a minute, and a code of an hour."""
    async with world.store() as store:
        await store.settings.set_lifetimes({"session": 60, "device_code": 3600})
    device = await approved(world)
    world.clock.advance(seconds=60)
    assert (await device.poll()).json()["error"] == "invalid_grant"
    assert await refusals(world) == [("login.refused", "session_ended")]


async def test_t09_a_tenant_that_was_suspended_redeems_nothing(world: World) -> None:
    pending, ready = await started(world), await approved(world)
    async with world.store() as store:
        await store.settings.set_active(False)
    for device in (pending, ready):
        assert (await device.poll()).status_code == 404
    assert (await device.start()).status_code == 404
    async with world.store() as store:
        await store.settings.set_active(True)
    assert (await pending.poll()).json()["error"] == "authorization_pending"


async def test_t09_a_client_that_was_disabled_redeems_nothing(world: World) -> None:
    device = await approved(world)
    async with world.store() as store:
        await store.clients.set_active("spa", False)
    assert (await device.poll()).json()["error"] == "invalid_client"


async def change_spa(world: World, **changes: object) -> None:
    async with world.store() as store:
        known = await store.clients.get("spa")
        assert known is not None
        fields = {name: getattr(known, name) for name in ("name", "confidential", "grant_types", "scopes", "audiences")}
        await store.clients.replace(Client(client_id="spa", **fields | changes))  # type: ignore[arg-type]


async def test_t09_a_client_that_lost_the_grant_redeems_nothing(world: World) -> None:
    device = await approved(world)
    await change_spa(world, grant_types=frozenset({"password"}))
    assert (await device.poll()).json()["error"] == "unauthorized_client"


async def test_t09_a_client_gets_no_scope_and_no_api_that_it_lost(world: World) -> None:
    narrowed = await approved(world, scope="orders:read orders:write")
    await change_spa(world, scopes=frozenset({"orders:read"}))
    assert (await narrowed.poll()).json()["scope"] == "orders:read"
    moved = await approved(world, resource=ORDERS)
    await change_spa(world, audiences=("https://api.example.com/others",))
    assert (await moved.poll()).json()["error"] == "invalid_target"


async def test_a_client_gets_no_default_scope_that_it_was_given_after_the_approval(world: World) -> None:
    await change_spa(world, default_scopes=frozenset())
    device = await approved(world)
    await change_spa(world, default_scopes=frozenset({"orders:write"}))
    assert "scope" not in (await device.poll()).json()


async def test_a_pending_approval_of_a_user_who_is_disabled_meanwhile_is_refused(world: World) -> None:
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        await browser.get("/device")
        await browser.submit(user_code=device.user_code)
        await disable(world)
        await browser.submit(decision="allow")
        assert browser.at.startswith("/login?")
    assert (await device.poll()).json()["error"] == "authorization_pending"


async def test_a_device_never_gets_around_the_second_factor(world: World) -> None:
    authenticator = await enrol(world)
    device = await started(world)
    async with Browser(world) as browser:
        await browser.log_in()
        assert browser.at == "/login/otp"
        await browser.get("/device")
        assert browser.at != "/device", "half a login types no codes"
        await browser.get("/login")
        await browser.submit(otp=code(world, authenticator))
        await decide(browser, device)
    claims = world.claims((await device.poll()).json()["access_token"])
    assert claims["acr"] == "urn:yett:acr:mfa"
