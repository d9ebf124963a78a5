"""What a library found, held against what has to be true of every login."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.e2e.clients.provider import TENANTS, USER, Provider
from tests.e2e.gateway import claims
from tests.e2e.installation import AUDIENCE

SCOPES = {"openid", "profile", "orders:read"}
_HASHES = {"ES256": hashlib.sha256, "RS256": hashlib.sha256, "EdDSA": hashlib.sha512}


def at_hash(access_token: str, alg: str) -> str:
    """OpenID Connect Core section 3.1.3.6."""
    digest = _HASHES[alg](access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def is_a_login(found: Mapping[str, Any], provider: Provider, client_id: str, tenant: str = "birch") -> None:
    """Tokens of a person's, the claims that the library accepted, userinfo, and the same again after a refresh."""
    _is_of(found["claims"], found["tokens"]["access_token"], provider, client_id, tenant)
    assert found["claims"].get("nonce") == found.get("nonce")
    sub, sid = found["claims"]["sub"], found["claims"]["sid"]
    assert found["userinfo"] == {"sub": sub, "name": USER, "preferred_username": USER}

    _is_of(found["refreshed_claims"], found["refreshed"]["access_token"], provider, client_id, tenant)
    assert found["refreshed"]["access_token"] != found["tokens"]["access_token"]
    assert found["refreshed"]["refresh_token"] != found["tokens"]["refresh_token"]
    assert found["refreshed_claims"]["auth_time"] == found["claims"]["auth_time"]
    assert (found["refreshed_claims"]["sub"], found["refreshed_claims"]["sid"]) == (sub, sid)
    assert found["refreshed_userinfo"] == found["userinfo"]


def _is_of(told: Mapping[str, Any], access_token: str, provider: Provider, client_id: str, tenant: str) -> None:
    assert (told["iss"], told["aud"]) == (provider.issuer(tenant), client_id)
    assert UUID(told["sub"])
    assert told["at_hash"] == at_hash(access_token, TENANTS[tenant])
    access = claims(access_token)
    assert (access["iss"], access["sub"], access["sid"]) == (told["iss"], told["sub"], told["sid"])
    assert (access["aud"], access["client_id"]) == (AUDIENCE, client_id)
    assert set(access["scope"].split()) == SCOPES


def is_a_service_token(tokens: Mapping[str, Any], provider: Provider, client_id: str) -> None:
    """A token that a client got for itself."""
    assert "refresh_token" not in tokens
    said = claims(tokens["access_token"])
    assert (said["iss"], said["aud"], said["sub"]) == (provider.issuer(), AUDIENCE, client_id)
    assert (said["client_id"], said["scope"]) == (client_id, "orders:read")
