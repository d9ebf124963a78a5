"""Logins for OpenID Connect: a client that may ask for its scopes, what it gets, and how it verifies that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import jwt
from jwt.types import Options

from policies.scope import OPENID
from tenants.client_options import ClientOptions
from tests.gateway.world import Fixture, World

PROTOCOL = {"iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid", "at_hash"}
"""What an ID token says that carries nothing more."""


async def offer(
    world: World,
    client_id: str = "spa",
    *,
    fixture: Fixture | None = None,
    scopes: frozenset[str] = frozenset(),
    mapping: Mapping[str, str] | None = None,
) -> None:
    """Let a client of the tenant's own ask for the scopes of OpenID Connect and for ``scopes``; it gets a mapping."""
    async with world.store(fixture) as store:
        client = await store.clients.get(client_id)
        assert client is not None
        options = ClientOptions(first_party=True, claim_mapping=tuple((mapping or {}).items()))
        await store.clients.replace(replace(client, scopes=client.scopes | OPENID | scopes, options=options))


async def userinfo(
    world: World, token: str | None, *, to: str = "acme", method: str = "GET", scheme: str = "Bearer", **options: Any
) -> httpx.Response:
    """One call, with the token in its header."""
    headers = httpx.Headers(options.pop("headers", None))
    if token is not None:
        headers["Authorization"] = f"{scheme} {token}"
    async with world.client() as client:
        return await client.request(method, f"/t/{to}/userinfo", headers=headers, **options)


async def told(world: World, scope: str, **login: str) -> dict[str, Any]:
    """What userinfo says to a login with these scopes."""
    answer = await userinfo(world, (await world.login(scope=scope, **login))["access_token"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def verified(
    world: World, id_token: str, *, audience: str = "spa", fixture: Fixture | None = None
) -> dict[str, Any]:
    """The claims, as a client library finds them: by discovery, with the published keys, for itself alone."""
    tenant = fixture or world.acme
    async with world.client() as client:
        metadata = (await client.get(f"/t/{tenant.slug}/.well-known/openid-configuration")).json()
        keys = jwt.PyJWKSet.from_dict((await client.get(metadata["jwks_uri"])).json())
    return dict(
        jwt.decode(
            id_token,
            keys[jwt.get_unverified_header(id_token)["kid"]],
            algorithms=metadata["id_token_signing_alg_values_supported"],
            audience=audience,
            issuer=metadata["issuer"],
            options=Options(  # its times are of the test's clock
                require=["iss", "sub", "aud", "exp", "iat"], verify_exp=False, verify_iat=False
            ),
        )
    )
