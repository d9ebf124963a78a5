"""A client of the authorization code flow: what it asks, what it reads from the answer, how it redeems its code."""

import base64
import hashlib
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from policies import pkce
from policies.scope import OPENID
from tests.gateway.browser import Browser
from tests.gateway.world import Fixture, World

VERIFIER = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
CALLBACK = "https://app.acme.test/callback"
WEB_CALLBACK = "https://web.acme.test/callback"


def asking(**changes: str | None) -> dict[str, str]:
    """A request of the public client; a change to None leaves a parameter out."""
    usual = {
        "client_id": "spa",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid orders:read",
        "state": "st 4te&",
        "nonce": "n0nce",
        "code_challenge": pkce.challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in usual.items() if value is not None}


def address(**changes: str | None) -> str:
    """It as an address below the issuer."""
    return f"/authorize?{urlencode(asking(**changes))}"


def answered(response: httpx.Response) -> dict[str, str]:
    """The parameters of an answer by redirect, which must not be there twice."""
    assert response.status_code == 303, response.text
    parts = urlsplit(response.headers["location"])
    found = parse_qs(parts.query or parts.fragment, keep_blank_values=True)
    assert all(len(values) == 1 for values in found.values()), found
    return {name: values[0] for name, values in found.items()}


async def change_client(world: World, client_id: str, *, fixture: Fixture | None = None, **changes: Any) -> None:
    """What an administrator would do."""
    async with world.store(fixture) as store:
        client = await store.clients.get(client_id)
        assert client is not None
        await store.clients.replace(replace(client, **changes))


async def change_options(world: World, client_id: str, *, fixture: Fixture | None = None, **changes: Any) -> None:
    """As ``change_client``, of what it says beside its grants and addresses."""
    async with world.store(fixture) as store:
        client = await store.clients.get(client_id)
        assert client is not None
        await store.clients.replace(replace(client, options=replace(client.options, **changes)))


async def first_party(world: World, fixture: Fixture | None = None) -> None:
    """The clients are the tenant's own."""
    for client_id in ("spa", "web"):
        await change_options(world, client_id, fixture=fixture, first_party=True)


async def openid(world: World, fixture: Fixture | None = None) -> None:
    """The clients may ask for what OpenID Connect has."""
    async with world.store(fixture) as store:
        for client_id in ("spa", "web"):
            client = await store.clients.get(client_id)
            assert client is not None
            await store.clients.replace(replace(client, scopes=client.scopes | OPENID))


async def redeem(world: World, code: str, /, *, to: str = "acme", **changes: str | None) -> httpx.Response:
    """What the client does with its code."""
    usual: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "client_id": "spa",
        "code_verifier": VERIFIER,
    }
    form = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    return await world.post(form, to=to)


async def code_of(world: World, name: str = "alice", *, to: str = "acme", **changes: str | None) -> str:
    """A code, by a browser of its own."""
    async with Browser(world, to) as browser:
        await browser.log_in(name)
        return answered(await browser.get(address(**changes)))["code"]


async def refused(world: World, answer: httpx.Response, reason: str, error: str = "invalid_grant") -> None:
    """The usual answer, and an event with the reason."""
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert reason in [event["reason"] for event in await world.events() if event["type"] == "token.refused"]
