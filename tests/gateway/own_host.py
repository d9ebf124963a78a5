"""What tests of own hosts do: give acme another issuer, be a client that follows an issuer, log in there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx

from tests.gateway.browser import Browser
from tests.gateway.oauth.authorizing import VERIFIER, address, answered
from tests.gateway.world import Fixture, World

OWN = "https://login.acme.example"
OTHER = "https://id.globex.example"
DAY = timedelta(days=1)


async def move(world: World, to: str, *, overlap: timedelta = DAY, fixture: Fixture | None = None) -> str:
    """What ``yett tenant change-issuer`` does; says what the issuer was before."""
    async with world.store(fixture) as store:
        tenant = await store.settings.get()
        assert tenant is not None
        await store.settings.change_issuer(tenant.issuer, to)
        await store.former_issuers.keep(tenant.issuer, world.clock() + overlap)
        return tenant.issuer


@asynccontextmanager
async def client_at(world: World, issuer: str) -> AsyncIterator[httpx.AsyncClient]:
    """Paths are below the issuer."""
    async with world.client(base_url=issuer) as client:
        yield client


async def get(world: World, url: str, **options: Any) -> httpx.Response:
    async with world.client() as client:
        return await client.get(url, **options)


async def discovered(world: World, issuer: str) -> dict[str, Any]:
    """The metadata, as a library takes it: it has to be of the issuer that was asked for."""
    answer = await get(world, f"{issuer}/.well-known/openid-configuration")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["issuer"] == issuer
    return document


async def ask_token(world: World, issuer: str, **form: str) -> httpx.Response:
    """The public client asks where discovery leads it."""
    endpoint = (await discovered(world, issuer))["token_endpoint"]
    async with world.client() as client:
        return await client.post(endpoint, data={"client_id": "spa", **form})


async def tokens_of(world: World, browser: Browser, issuer: str, scope: str = "openid orders:read") -> dict[str, Any]:
    """A code of whoever is logged in, redeemed; every answer has to name the issuer."""
    answer = answered(await browser.get(address(scope=scope)))
    assert answer["iss"] == issuer
    form = {"grant_type": "authorization_code", "code": answer["code"], "code_verifier": VERIFIER}
    got = await ask_token(world, issuer, redirect_uri="https://app.acme.test/callback", **form)
    assert got.status_code == 200, got.text
    tokens: dict[str, Any] = got.json()
    for name in ("access_token", "id_token"):
        assert world.claims(tokens[name])["iss"] == issuer
    return tokens


async def userinfo(world: World, issuer: str, token: str) -> httpx.Response:
    return await get(world, f"{issuer}/userinfo", headers={"Authorization": f"Bearer {token}"})


async def introspected(world: World, issuer: str, token: str) -> dict[str, Any]:
    """By the confidential client."""
    async with world.client() as client:
        answer = await client.post(f"{issuer}/introspect", data={"token": token}, auth=("web", world.acme.secret))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
