"""Who is asking: what a verified access token (RFC 9068), or an API key, says, in the shape that decisions read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import UUID

_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified. Times are integer seconds since the epoch (RFC 7519 NumericDate).

    ``session_id`` is None for a client that acts for itself (client credentials), whose ``subject`` is its client id.
    ``confirmation`` is the thumbprint of the key that the token is bound to (RFC 9449 section 6.1): who cannot prove to
    hold it is not this caller.

    ``api_key_id`` is of the API key that was sent in place of a token. Such a caller has no client, no session and no
    login, and can never log in anew; its ``subject`` is ``key/`` and the id, which no user and no client can have.
    """

    tenant_id: UUID
    tenant: str
    subject: str
    client_id: str | None
    scopes: frozenset[str]
    audiences: frozenset[str]
    token_id: str
    issued_at: int
    expires_at: int
    session_id: str | None = None
    auth_time: int | None = None
    acr: str | None = None
    amr: frozenset[str] = frozenset()
    confirmation: str | None = None
    api_key_id: str | None = None
    claims: Mapping[str, Any] = field(default_factory=lambda: _NO_CLAIMS, hash=False, compare=False)
