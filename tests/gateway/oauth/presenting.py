"""Showing an issuer its own tokens: to look into them, to take them back, to exchange them."""

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from gateway.authn.bearer import Bearer, InvalidToken
from gateway.authn.token_table import TokenTable
from policies.principal import Principal
from tenants.client import TOKEN_EXCHANGE
from tenants.clients import Client
from tests.gateway.world import INVOICES, ORDERS, Fixture, World

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ELSEWHERE = "https://elsewhere.example"
ALL_SCOPES = frozenset({"orders:read", "orders:write", "openid", "profile", "offline_access"})


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def as_web(fixture: Fixture) -> dict[str, str]:
    return basic("web", fixture.secret)


async def call(world: World, path: str, form: Any, *, to: str = "acme", headers: Any = None) -> httpx.Response:
    """One call of an endpoint of an issuer."""
    async with world.client() as client:
        return await client.post(f"/t/{to}/{path}", data=form, headers=headers)


async def introspect(world: World, token: str, *, by: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    """By acme's confidential client, or whoever else proves itself by these header fields."""
    headers = {**(by or as_web(world.acme)), **more.pop("headers", {})}
    return await call(world, "introspect", {"token": token, **more.pop("form", {})}, headers=headers, **more)


async def revoke(world: World, token: str, *, client_id: str = "spa", **more: Any) -> httpx.Response:
    """By the public client."""
    return await call(world, "revoke", {"token": token, "client_id": client_id, **more.pop("form", {})}, **more)


async def exchange(
    world: World, subject_token: Any, *, by: dict[str, str] | None = None, to: str = "acme", **changes: Any
) -> httpx.Response:
    """By acme's confidential client, for the API of invoices. A change to None leaves a parameter out."""
    proofs = {name: changes.pop(name) for name in ("headers",) if name in changes}
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "subject_token": subject_token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": INVOICES,
        **changes,
    }
    headers = {**(by or as_web(world.acme)), **proofs.get("headers", {})}
    kept = {name: value for name, value in form.items() if value is not None}
    return await call(world, "token", kept, to=to, headers=headers)


async def service(world: World, client_id: str = "ledger", **changes: Any) -> dict[str, str]:
    """Another confidential client of acme, and how it proves itself. It stands for another API than orders."""
    facts: dict[str, Any] = {
        "name": client_id,
        "confidential": True,
        "grant_types": frozenset({TOKEN_EXCHANGE, "client_credentials"}),
        "scopes": ALL_SCOPES,
        "audiences": (ELSEWHERE,),
    }
    async with world.store() as store:
        await store.clients.create(Client(client_id=client_id, **(facts | changes)))
        secret = await store.clients.add_secret(client_id)
    return basic(client_id, secret)


async def in_browser(world: World, *, client_id: str = "spa", session_id: UUID | None = None) -> tuple[UUID, str]:
    """A browser's session of alice, and a refresh token that a client got by it, with her consent."""
    async with world.store() as store:
        await store.consents.give(
            world.acme.users["alice"], client_id, scopes={"orders:read", "orders:write"}, audiences=(ORDERS,)
        )
        if session_id is None:
            session = await store.sessions.start(
                world.acme.users["alice"],
                acr="urn:yett:acr:pwd",
                amr={"pwd"},
                expires_at=world.clock() + timedelta(days=1),
            )
            session_id = session.id
        token = await store.refresh_tokens.begin_family(
            session_id,
            client_id,
            scopes={"orders:read"},
            audiences=(ORDERS,),
            idle=timedelta(days=1),
            absolute=timedelta(days=2),
        )
    return session_id, token


async def later(world: World, **delta: float) -> None:
    """Time passes, and the feed is heard meanwhile."""
    world.clock.advance(**delta)
    await world.snapshot.poll()


def at_the_proxy(world: World, token: str) -> Principal | InvalidToken:
    """What the data plane makes of it."""
    bearer = Bearer(world.snapshot, TokenTable(), lambda: world.clock().timestamp())
    return bearer.authenticate(token.encode())
