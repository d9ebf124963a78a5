"""T03: what is good for one thing is good for no other, and trying it elsewhere uses nothing up."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from gateway.oauth.grants.mfa_otp import GRANT_TYPE
from tests.gateway.browser import Browser
from tests.gateway.login.people import change_people, code, enrol
from tests.gateway.world import World

NEW_PASSWORD = "seven green bottles on the wall"
HOUR = timedelta(hours=1)


async def refresh_token(world: World) -> str:
    """Of bob, who has no second factor."""
    answer = await world.post(world.acme.form(username="bob"))
    return str(answer.json()["refresh_token"])


async def mfa_token(world: World) -> str:
    return str((await world.post(world.acme.form())).json()["mfa_token"])


async def link(world: World, purpose: str) -> str:
    async with world.store() as store:
        user_id = world.acme.users["bob"] if purpose in ("reset", "verify") else None
        email = f"{purpose}@acme.test"
        if purpose == "reset":
            await store.users.set_email(world.acme.users["bob"], email, verified=True)
        return await store.mail_links.make(
            purpose,  # type: ignore[arg-type]
            lifetime=HOUR,
            user_id=user_id,
            email=email,
            data={"name": "invited", "roles": ""} if purpose == "invite" else {},
        )


async def session(world: World) -> str:
    async with Browser(world) as browser:
        await browser.log_in("bob")
        return browser.cookie("session") or ""


async def pending(world: World) -> str:
    async with Browser(world) as browser:
        await browser.log_in()
        return browser.cookie("login") or ""


MAKE: dict[str, Callable[[World], Awaitable[str]]] = {
    "refresh": refresh_token,
    "mfa": mfa_token,
    "reset": lambda world: link(world, "reset"),
    "sign_up": lambda world: link(world, "sign_up"),
    "verify": lambda world: link(world, "verify"),
    "invite": lambda world: link(world, "invite"),
    "session": session,
    "pending": pending,
}


async def use(world: World, place: str, secret: str, authenticator: str) -> bool:
    """Whether this place takes the secret for its own."""
    if place == "refresh":
        return (await world.refresh(secret)).status_code == 200
    if place == "mfa":
        form = {"grant_type": GRANT_TYPE, "client_id": "spa", "mfa_token": secret, "otp": code(world, authenticator)}
        return (await world.post(form)).status_code == 200
    async with Browser(world) as browser:
        cookies = {"session": "session", "pending": "login"}
        if place in cookies:
            name = f"yett-acme-{cookies[place]}"
            browser.client.cookies.set(name, secret, domain="localhost.local", path="/")
            await browser.get("/account" if place == "session" else "/login/otp")
            return browser.at == ("/account" if place == "session" else "/login/otp")
        path = {"reset": "/reset", "invite": "/invite"}.get(place, "/verify")
        await browser.get("/login")
        fields = {"form_token": browser.forms[0].fields["form_token"], "token": secret, "name": f"new-{place}"}
        answer = await browser.post(path, {**fields, "password": NEW_PASSWORD})
        return answer.status_code == (200 if place == "verify" else 303)


@pytest.mark.parametrize("kind", MAKE)
async def test_a_secret_is_good_in_its_own_place_only(world: World, kind: str) -> None:
    await change_people(world, sign_up=True)
    authenticator = await enrol(world)
    secret = await MAKE[kind](world)
    for place in MAKE:
        if place != kind and {place, kind} != {"verify", "sign_up"}:  # those two lead to one address
            assert not await use(world, place, secret, authenticator), place
    assert await use(world, kind, secret, authenticator), "nothing was used up"
