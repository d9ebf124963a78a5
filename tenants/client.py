"""A client as a value (RFC 6749 section 2): what it registered, what of that may be stored. Rows are clients.py's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from tenants import opaque
from tenants.client_options import AUTH_METHODS, AuthMethod, ClientOptions
from tenants.errors import InvalidValue, Unreadable
from tenants.names import (
    checked_audience,
    checked_name,
    checked_origin,
    checked_redirect_uri,
    checked_scopes,
    checked_title,
)

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - RFC 8693, not a password
GRANT_TYPES = frozenset(
    {"authorization_code", "password", "client_credentials", "refresh_token", DEVICE_CODE, TOKEN_EXCHANGE}
)
_REGISTERED = (
    "name",
    "confidential",
    "grant_types",
    "scopes",
    "default_scopes",
    "audiences",
    "redirect_uris",
    "origins",
)


@dataclass(frozen=True, slots=True)
class Client:
    """An application that asks for tokens. ``audiences`` are the APIs that it may ask for, the default one first.

    ``origins`` are the web origins whose pages may call the token endpoint (CORS). ``auth_method`` None is the usual
    one of its kind; ``registration_digest`` is the SHA-256 of its registration access token (RFC 7592), if it has one.
    """

    client_id: str
    name: str
    confidential: bool
    grant_types: frozenset[str]
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    default_scopes: frozenset[str] = frozenset()
    redirect_uris: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    active: bool = True
    auth_method: AuthMethod | None = None
    options: ClientOptions = field(default=ClientOptions())
    registration_digest: bytes | None = field(default=None, repr=False)
    created_at: datetime | None = field(default=None, compare=False)

    @property
    def method(self) -> AuthMethod:
        """How it proves itself at the token endpoint (RFC 7591 section 2)."""
        return self.auth_method or ("client_secret_basic" if self.confidential else "none")

    @property
    def registered_itself(self) -> bool:
        """Whether nobody of the tenant's made it (RFC 7591): its name and addresses are what a stranger wrote."""
        return self.registration_digest is not None


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client, and the SHA-256 of each of its secrets with the time at which it ends, if it does."""

    client: Client
    secrets: Mapping[bytes, datetime | None] = field(default_factory=dict, repr=False)

    def has_secret(self, unverified_secret: str, now: datetime) -> bool:
        """Whether this is one of its living secrets.

        The look-up is by the hash of 256 random bits, which tells an observer of its time nothing.
        """
        digest = opaque.digest(unverified_secret)
        if digest not in self.secrets:
            return False
        expires_at = self.secrets[digest]
        return expires_at is None or expires_at > now


def client_of(row: Row[Any]) -> Client:
    """A row of the table as a value. Raises Unreadable."""
    return Client(
        client_id=row.client_id,
        name=row.name,
        confidential=row.confidential,
        grant_types=frozenset(row.grant_types),
        scopes=frozenset(row.scopes),
        audiences=tuple(row.audiences),
        default_scopes=frozenset(row.default_scopes),
        redirect_uris=tuple(row.redirect_uris),
        origins=tuple(row.origins),
        active=row.active,
        auth_method=_method(row.auth_method),
        options=ClientOptions.from_stored(row.options),
        registration_digest=row.registration_digest,
        created_at=row.created_at,
    )


def differences(before: Client, after: Client) -> list[str]:
    """The names of what one registered otherwise than the other, sorted; for the log."""
    own = [name for name in _REGISTERED if getattr(before, name) != getattr(after, name)]
    names = [entry.name for entry in fields(ClientOptions)]
    options = [name for name in names if getattr(before.options, name) != getattr(after.options, name)]
    return sorted([*own, *options, *(["auth_method"] if before.method != after.method else [])])


def _method(stored: str) -> AuthMethod:
    for known in AUTH_METHODS:
        if known == stored:
            return known
    raise Unreadable(f"auth_method: {stored!r}")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def checked_row(client: Client) -> dict[str, Any]:
    """A client as a row, without tenant and time.

    Raises:
        InvalidValue: a field is malformed, or fields contradict each other.
    """
    unknown = client.grant_types - GRANT_TYPES
    if unknown:
        raise InvalidValue(
            f"unknown grant types: {', '.join(sorted(unknown))}; known are {', '.join(sorted(GRANT_TYPES))}"
        )
    if "client_credentials" in client.grant_types and not client.confidential:
        raise InvalidValue("client_credentials needs a confidential client (RFC 6749 section 4.4)")
    if TOKEN_EXCHANGE in client.grant_types and not client.confidential:
        raise InvalidValue("token exchange needs a confidential client: whom it names as actor has to be proved")
    if client.confidential == (client.method == "none"):
        raise InvalidValue("a confidential client proves itself somehow, a public one not at all")
    if client.method == "private_key_jwt" and client.options.jwks is None and client.options.jwks_uri is None:
        raise InvalidValue("private_key_jwt needs the client's public keys: a jwks or a jwks_uri")
    if not client.default_scopes <= client.scopes:
        raise InvalidValue("default scopes are a part of the client's scopes")
    if not client.audiences:
        raise InvalidValue("a client needs an audience: the API that its tokens are for")
    if _is_uuid(client.client_id):
        raise InvalidValue("a client id is no UUID: users have those, and a token's subject may be either (RFC 9068)")
    return {
        "client_id": checked_name("client", client.client_id),
        "name": checked_title("client", client.name),
        "confidential": client.confidential,
        "active": client.active,
        "grant_types": sorted(client.grant_types),
        "scopes": sorted(checked_scopes(client.scopes)),
        "default_scopes": sorted(client.default_scopes),
        "audiences": [checked_audience(audience) for audience in client.audiences],
        "redirect_uris": [checked_redirect_uri(uri) for uri in client.redirect_uris],
        "origins": [checked_origin(origin) for origin in client.origins],
        "auth_method": client.method,
        "options": client.options.checked().stored(),
        "registration_digest": client.registration_digest,
    }
