"""Whether what was verified once still stands: for what goes on long after its token was looked at.

A request asks ``Bearer`` for its token and is over; a stream is asked about here until it ends. Everything by which a
token stops to count is looked at but its own expiry, which is the caller's to weigh: issuer and tenant, the key that
signed it, and what was revoked; of an API key, whether it was. Synchronous and without I/O.
"""

from dataclasses import dataclass
from math import inf
from typing import Protocol
from uuid import UUID

from gateway.authn import api_key, bearer
from policies.principal import Principal
from tenants.api_key import digest
from tenants.unverified_token import Malformed, parse_unverified


class Snapshot(bearer.Snapshot, api_key.Snapshot, Protocol):
    """What is asked of the state in memory."""

    def version_of(self, tenant_id: UUID, /) -> int:
        """Differs after anything of this tenant changed."""


@dataclass(slots=True)
class Standing:
    """A caller, and what signed for them. ``until`` is when their issuer's time is over, in epoch seconds. An API key
    has a ``digest``, and neither issuer nor ``kid``.
    """

    principal: Principal
    issuer: str = ""
    kid: str = ""
    until: float = inf
    digest: bytes = b""


class Standings:
    """Follows the snapshot, and keeps nothing itself."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.version_of = snapshot.version_of

    def begin(self, principal: Principal, token: bytes) -> Standing:
        """Of a token, or an API key, that was taken for this principal's."""
        if principal.api_key_id is not None:
            return Standing(principal, digest=digest(token))
        parsed = parse_unverified(token)
        kid = "" if isinstance(parsed, Malformed) else str(parsed.header.get("kid"))
        return Standing(principal, str(principal.claims.get("iss")), kid)

    def refused(self, standing: Standing) -> str | None:
        """Why it stands no longer, in ``Bearer``'s words. Looks the issuer's time up, too."""
        principal = standing.principal
        if standing.digest:
            return self._key_refused(principal.tenant_id, standing.digest)
        tenant = bearer.still_stands(self._snapshot, principal, standing.issuer, standing.kid)
        if isinstance(tenant, bearer.InvalidToken):
            return tenant.reason
        standing.until = inf if tenant.until is None else tenant.until.timestamp()
        return None

    def _key_refused(self, tenant_id: UUID, place: bytes) -> str | None:
        """In the order and the words of ``ApiKeys``."""
        tenant = self._snapshot.by_id(tenant_id)
        key = None if tenant is None else self._snapshot.api_key(tenant_id, place)
        if tenant is None or key is None:
            return "api_key_unknown"
        if key.revoked_at is not None:
            return "api_key_revoked"
        return None if tenant.active else "tenant_suspended"
