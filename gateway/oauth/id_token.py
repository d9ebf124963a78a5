"""Making an ID token (OpenID Connect Core sections 2 and 3.1.3.6): what a client learns of a login, for it alone.

Its type is ``JWT`` and its audience the client, so it is no access token anywhere (RFC 9068 section 4). No ``azp``: the
audience is always the one client that asked. Owns the protocol's own claims. Not what is told of the user (claims.py).
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tenants.client import Client
from tenants.issuers import Issuer
from tenants.jose import Algorithm
from tenants.sessions import Session

ID_TOKEN_TYPE: Final = "JWT"  # noqa: S105 - a media type, not a password
_HASHES: Final[Mapping[Algorithm, str]] = {"ES256": "sha256", "RS256": "sha256", "EdDSA": "sha512"}


def sign_id_token(
    *,
    issuer: Issuer,
    client: Client,
    user_id: UUID,
    session: Session,
    now: datetime,
    nonce: str | None,
    access_token: str,
    claims: Mapping[str, Any],
) -> str:
    """The signed token. ``claims`` are of the user, and never stand in for one of the protocol's own.

    Raises:
        NoActiveKey: there is no key to sign with.
    """
    key = issuer.signing_key()
    issued_at = int(now.timestamp())
    own: dict[str, Any] = {
        "iss": issuer.tenant.issuer,
        "sub": str(user_id),
        "aud": client.client_id,
        "exp": issued_at + int(issuer.tenant.lifetimes.id_token.total_seconds()),
        "iat": issued_at,
        "auth_time": int(session.auth_time.timestamp()),
        "acr": session.acr,
        "amr": sorted(session.amr),
        "sid": str(session.id),
        "at_hash": half_hash(access_token, key.alg),
    }
    if nonce is not None:
        own["nonce"] = nonce
    return key.sign(ID_TOKEN_TYPE, {**claims, **own})


def half_hash(token: str, alg: Algorithm) -> str:
    """``at_hash``: the left half of the token's hash, by the hash of the signing algorithm. Ed25519 has SHA-512 in it
    (RFC 8032 section 5.1), which is what client libraries take.
    """
    digest = hashlib.new(_HASHES[alg], token.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
