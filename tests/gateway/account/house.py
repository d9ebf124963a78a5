"""What tests of the account pages do: be logged in, be somebody else, look at a page."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from gateway.limits import AddressLimit
from gateway.pages.forgery import form_token
from gateway.pages.renderer import Renderer
from gateway.pages.site import Site
from tenants import mail_outbox
from tenants.issuers import Issuers
from tests.gateway.browser import Browser
from tests.gateway.login.people import code
from tests.gateway.world import PUBLIC_URL, Fixture, World

NEW_PASSWORD = "seven green bottles on the wall"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


@asynccontextmanager
async def logged_in(
    world: World,
    name: str = "alice",
    *,
    secret: str | None = None,
    address: str | None = None,
    user_agent: str = FIREFOX,
    slug: str = "acme",
) -> AsyncIterator[Browser]:
    """A browser that has logged in, with a code where the user has a ``secret``; it stands at the account."""
    browser = Browser(world, slug) if address is None else Browser(world, slug, address)
    browser.headers["User-Agent"] = user_agent
    async with browser:
        await browser.log_in(name)
        if secret is not None:
            await browser.submit(otp=code(world, secret))
            world.clock.advance(seconds=30)
        assert browser.at == "/account", browser.page.text
        yield browser


async def stands_alone(world: World, name: str = "alice") -> None:
    """The user's password is one that was checked to be long enough without a second factor."""
    async with world.store() as store:
        user_id = world.acme.users[name]
        password = await store.credentials.password(user_id)
        assert password is not None
        await store.credentials.set_password(user_id, password.hash, stands_alone=True)


async def factor_ids(world: World, name: str = "alice", fixture: Fixture | None = None) -> list[UUID]:
    fixture = fixture or world.acme
    async with world.store(fixture) as store:
        return [factor.id for factor in await store.factors.of_user(fixture.users[name])]


async def names_of(world: World) -> list[str]:
    """What alice calls her authenticators."""
    async with world.store() as store:
        return [factor.name for factor in await store.factors.of_user(world.acme.users["alice"])]


async def sessions_of(world: World, name: str = "alice") -> list[UUID]:
    async with world.store() as store:
        return [session.id for session in await store.sessions.of_user(world.acme.users[name])]


async def has_session(browser: Browser) -> bool:
    """Whether the browser gets into the account without logging in."""
    await browser.get("/account")
    return browser.at == "/account"


async def events_of(world: World, *types: str) -> list[dict[str, Any]]:
    """Those of these types, oldest first."""
    return [event for event in await world.events() if event["type"] in types]


async def waiting_letters(world: World) -> list[tuple[str, Mapping[str, str]]]:
    """The letters in the outbox, by kind: what they are, and what they are about."""
    async with world.installation.database.system_snapshot() as connection:
        due = await mail_outbox.due(connection, world.clock(), limit=100)
    letters = []
    for tenant_id, letter_id in due:
        async with world.installation.store.for_tenant(tenant_id) as store:
            letter = await store.mail_outbox.claim(letter_id, lease=timedelta())
            assert letter is not None
            letters.append((letter.kind, store.mail_outbox.open(letter)))
    return sorted(letters, key=lambda letter: letter[0])


def site_of(world: World) -> Site:
    """What the composition makes for its pages, to put pages of one's own on."""
    return Site(
        snapshot=world.snapshot,
        store=world.installation.store,
        issuers=Issuers(world.installation.store, world.snapshot),
        renderer=Renderer(),
        limit=AddressLimit("1000/minute"),
        observe=world.recorder.observe,
        clock=world.clock,
        public_url=PUBLIC_URL,
    )


def token_of(browser: Browser) -> dict[str, str]:
    """The field that every form of this session has."""
    secret = browser.cookie("session")
    assert secret is not None
    return {"form_token": form_token(secret)}


def text_of(browser: Browser) -> str:
    """What a person reads on the page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", browser.page.text)).split())
