"""Making an access token: an RFC 9068 JWT, signed with the tenant's own active key."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from gateway.errors import InvalidTarget
from policies.scope import canonical
from tenants.clients import Client
from tenants.jose import ACCESS_TOKEN_TYPE, SigningKey
from tenants.sessions import Session
from tenants.tenant import Tenant


class AccessGrant(NamedTuple):
    """What a token is to say: who (``session`` is None where a client acts for itself), for which APIs, how much.

    ``confirmation`` is the thumbprint of the key that it is bound to (RFC 9449 section 6.1), ``actor`` who acts for the
    subject (RFC 8693 section 4.1). ``expires_at`` where it may not live as long as others, ``token_id`` where its
    ``jti`` has to be known before it is signed.
    """

    subject: str
    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    session: Session | None = None
    confirmation: str | None = None
    actor: Mapping[str, Any] | None = None
    expires_at: datetime | None = None
    token_id: str | None = None


class TokenResponse(NamedTuple):
    """RFC 6749 section 5.1. ``expires_in`` is in seconds, ``scope`` empty where nothing was granted."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750, not a password
    id_token: str | None = None
    issued_token_type: str | None = None

    def __repr__(self) -> str:
        return f"TokenResponse(token_type={self.token_type!r}, expires_in={self.expires_in})"  # the rest is secret

    def body(self) -> dict[str, str | int]:
        """The JSON object of the answer."""
        body: dict[str, str | int] = {
            "access_token": self.access_token,
            "token_type": self.token_type,
            "expires_in": self.expires_in,
        }
        if self.scope:
            body["scope"] = self.scope
        if self.refresh_token is not None:
            body["refresh_token"] = self.refresh_token
        if self.id_token is not None:
            body["id_token"] = self.id_token
        if self.issued_token_type is not None:
            body["issued_token_type"] = self.issued_token_type
        return body


def new_token_id() -> str:
    """A ``jti``: 128 random bits."""
    return secrets.token_urlsafe(16)


def audiences_for(client: Client, resources: Iterable[str]) -> tuple[str, ...]:
    """The APIs asked for (RFC 8707 section 2), else the client's default one.

    Raises:
        InvalidTarget: one that this client may not ask for.
    """
    asked = tuple(dict.fromkeys(resources))
    if not set(asked) <= set(client.audiences):
        raise InvalidTarget(reason="resource_not_allowed")
    return asked or client.audiences[:1]


def sign(
    grant: AccessGrant, *, tenant: Tenant, key: SigningKey, now: datetime, refresh_token: str | None = None
) -> TokenResponse:
    """The answer with the signed token in it."""
    issued_at = int(now.timestamp())
    lifetime = int(tenant.lifetimes.access_token.total_seconds())
    if grant.expires_at is not None:
        lifetime = min(lifetime, int(grant.expires_at.timestamp()) - issued_at)
    claims: dict[str, Any] = {
        "iss": tenant.issuer,
        "sub": grant.subject,
        "aud": grant.audiences[0] if len(grant.audiences) == 1 else list(grant.audiences),
        "exp": issued_at + lifetime,
        "iat": issued_at,
        "jti": grant.token_id or new_token_id(),
        "client_id": grant.client_id,
    }
    scope = canonical(grant.scopes)
    if scope:  # RFC 6749 section 3.3: a scope has one token at least
        claims["scope"] = scope
    if grant.session is not None:
        claims["sid"] = str(grant.session.id)
        claims["auth_time"] = int(grant.session.auth_time.timestamp())
        claims["acr"] = grant.session.acr
        claims["amr"] = sorted(grant.session.amr)
    if grant.confirmation is not None:
        claims["cnf"] = {"jkt": grant.confirmation}
    if grant.actor is not None:
        claims["act"] = dict(grant.actor)
    return TokenResponse(
        key.sign(ACCESS_TOKEN_TYPE, claims),
        lifetime,
        scope,
        refresh_token,
        "Bearer" if grant.confirmation is None else "DPoP",
    )
