"""A client that proves itself by what it signs, and pushes and signs its authorization requests."""

import base64
import hashlib
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx

from gateway.oauth.presented_client import ASSERTION_TYPE
from tenants.client_options import ClientOptions
from tenants.clients import Client
from tests.gateway.world import ORDERS, Fixture, World
from tests.signer import Signer

SIGNER = Signer()
CALLBACK = "https://signer.acme.test/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def signing_client(client_id: str = "signer", *, signer: Signer = SIGNER, **changes: Any) -> Client:
    """``options`` are added to its keys."""
    options = ClientOptions(jwks=signer.jwks, first_party=True)
    client = Client(
        client_id=client_id,
        name="Signs",
        confidential=True,
        grant_types=frozenset({"client_credentials", "authorization_code", "refresh_token", "password"}),
        scopes=frozenset({"orders:read", "orders:write"}),
        audiences=(ORDERS,),
        default_scopes=frozenset({"orders:read"}),
        redirect_uris=(CALLBACK,),
        auth_method="private_key_jwt",
        options=replace(options, **changes.pop("options", {})),
    )
    return replace(client, **changes)


async def register(world: World, client: Client | None = None, *, fixture: Fixture | None = None) -> None:
    async with world.store(fixture) as store:
        await store.clients.create(client or signing_client())


def claims(world: World, **changes: Any) -> dict[str, Any]:
    """What an assertion says to acme; a change to None leaves a claim out."""
    now = int(world.clock().timestamp())
    said = {
        "iss": "signer",
        "sub": "signer",
        "aud": world.acme.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid4()),
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def proof(world: World, *, signer: Signer = SIGNER, **changes: Any) -> dict[str, str]:
    """An assertion as parameters of a form."""
    return asserting(signer.sign(claims(world, **changes)))


def asserting(assertion: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


async def ask(world: World, form: dict[str, str], *, to: str = "acme", **more: Any) -> httpx.Response:
    """Client credentials with this proof."""
    return await world.post({"grant_type": "client_credentials", **form}, to=to, **more)


def request(**changes: str | None) -> dict[str, str]:
    """An authorization request; a change to None leaves a parameter out."""
    asked = {
        "client_id": "signer",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "orders:read",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def request_claims(world: World, **changes: Any) -> dict[str, Any]:
    """The same request as the claims of a request object."""
    now = int(world.clock().timestamp())
    said = {**request(), "iss": "signer", "aud": world.acme.issuer, "exp": now + 300, "nbf": now, "jti": str(uuid4())}
    return {name: value for name, value in (said | changes).items() if value is not None}


def request_object(world: World, *, signer: Signer = SIGNER, **changes: Any) -> str:
    return signer.sign(request_claims(world, **changes), typ="oauth-authz-req+jwt")


async def push(
    world: World, form: dict[str, Any] | None = None, *, to: str = "acme", headers: Any = None
) -> httpx.Response:
    """Push a request; without a form, the usual one of the client that signs."""
    form = {**request(), **proof(world)} if form is None else form
    async with world.client() as client:
        return await client.post(f"/t/{to}/par", data=form, headers=headers)


async def pushed(world: World, form: dict[str, Any] | None = None, **more: Any) -> str:
    answer = await push(world, form, **more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_uri"])
