"""What tests of RP-initiated logouts share: a client with addresses to return to, ID tokens, who comes from it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from tenants.client_options import ClientOptions
from tenants.clients import Client
from tenants.jose import SigningKey
from tenants.sessions import Session
from tests.gateway.browser import Browser
from tests.gateway.world import ORDERS, Fixture, World

BYE = "https://rp.example.com/bye"
WITH_QUERY = "https://rp.example.com/bye?app=1"
OWN_SCHEME = "com.example.app:/bye"


async def add_client(world: World, client_id: str = "rp", fixture: Fixture | None = None, **changes: Any) -> None:
    options = ClientOptions(
        post_logout_redirect_uris=(BYE, WITH_QUERY, OWN_SCHEME), backchannel_logout_uri="https://rp.example.com/told"
    )
    client = Client(
        client_id=client_id,
        name=f"The <b>{client_id}</b>",
        confidential=False,
        grant_types=frozenset({"password", "refresh_token"}),
        scopes=frozenset({"orders:read", "openid"}),
        audiences=(ORDERS,),
        options=options,
    )
    async with world.store(fixture) as store:
        await store.clients.create(replace(client, **changes))


@asynccontextmanager
async def logged_in(world: World, name: str = "alice", slug: str = "acme") -> AsyncIterator[Browser]:
    async with Browser(world, slug) as browser:
        await browser.log_in(name)
        assert browser.at == "/account"
        yield browser


async def session_of(browser: Browser) -> Session | None:
    world = browser.world
    fixture = world.acme if browser.slug == "acme" else world.globex
    async with world.store(fixture) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        return await store.sessions.by_secret(browser.cookie("session") or "", idle=tenant.lifetimes.session_idle)


async def hint(browser: Browser, *, typ: str = "JWT", by: SigningKey | None = None, **changes: Any) -> str:
    """The ID token that the client ``rp`` got of this browser's session; a change to None leaves a claim out."""
    world = browser.world
    fixture = world.acme if browser.slug == "acme" else world.globex
    session = await session_of(browser)
    assert session is not None
    now = int(world.clock().timestamp())
    claims = {
        "iss": fixture.issuer,
        "sub": str(session.user_id),
        "aud": "rp",
        "exp": now + 300,
        "iat": now,
        "sid": str(session.id),
        **changes,
    }
    async with world.store(fixture) as store:
        key = by or await store.keys.signing()
    return key.sign(typ, {name: value for name, value in claims.items() if value is not None})


async def ask(browser: Browser, **parameters: str | None) -> None:
    """Come to ``/logout`` as an application sends a person."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    await browser.get(f"/logout?{query}")


def sent_to(browser: Browser) -> str:
    """Where the browser is sent outside of this site; empty where it is not."""
    location = browser.page.headers.get("location", "")
    return "" if location.startswith("/") else str(location)


def is_asked(browser: Browser) -> bool:
    return browser.page.status_code == 200 and "Log out?" in browser.page.text
