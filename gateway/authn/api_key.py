"""Who sends this API key: a Principal, or the reason why the key is none.

The key names its tenant; in that tenant's keys it is found by its hash, so that no secret is ever compared. Then it
must not be revoked or expired, and its tenant not suspended. Synchronous and without I/O: all of it is in memory, and as
fresh as the change feed. Owns that order. Not which routes take keys (proxy/gate.py), nor which scope or audience a route
wants (policies/access.py).
"""

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from gateway.authn.bearer import InvalidToken
from policies.principal import Principal
from tenants.api_key import KnownKey, read

_REMEMBERED = 4096
_NEVER = 253_402_300_799
"""The last second of the year 9999, for what does not expire."""


class Tenant(Protocol):
    """What is read of a tenant here."""

    @property
    def id(self) -> UUID: ...
    @property
    def slug(self) -> str: ...
    @property
    def active(self) -> bool: ...


class Snapshot(Protocol):
    """The state in memory that keys are looked for in."""

    def by_id(self, tenant_id: UUID, /) -> Tenant | None:
        """The tenant of this id."""

    def api_key(self, tenant_id: UUID, digest: bytes, /) -> KnownKey | None:
        """This tenant's key with this digest."""


class ApiKeys:
    """Authenticates API keys. ``clock`` gives seconds since the epoch; ``used`` is told tenant, key and time of each."""

    def __init__(
        self, snapshot: Snapshot, clock: Callable[[], float], used: Callable[[UUID, UUID, float], None]
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._used = used
        self._principals: dict[int, tuple[KnownKey, Principal]] = {}

    def authenticate(self, key: bytes) -> Principal | InvalidToken:
        """Who sends it. Never raises for anything that a client can send."""
        unverified = read(key)
        if unverified is None:
            return InvalidToken("api_key_malformed")
        tenant = self._snapshot.by_id(unverified.tenant_id)
        known = None if tenant is None else self._snapshot.api_key(tenant.id, unverified.digest)
        if tenant is None or known is None:
            return InvalidToken("api_key_unknown")
        now = self._clock()
        if known.revoked_at is not None:
            return InvalidToken("api_key_revoked", "", tenant.id, str(known.id))
        if known.expires_at is not None and known.expires_at <= now:
            return InvalidToken("api_key_expired", "", tenant.id, str(known.id))
        if not tenant.active:
            return InvalidToken("tenant_suspended", "", tenant.id, str(known.id))
        self._used(tenant.id, known.id, now)
        return self._principal(tenant, known)

    def _principal(self, tenant: Tenant, known: KnownKey) -> Principal:
        """The same one each time, as of a remembered token; a key that is read anew is another object."""
        remembered = self._principals.get(id(known))
        if remembered is not None and remembered[0] is known:
            return remembered[1]
        if len(self._principals) >= _REMEMBERED:
            self._principals.clear()
        key_id = str(known.id)
        principal = Principal(
            tenant_id=tenant.id,
            tenant=tenant.slug,
            subject=f"key/{key_id}",
            client_id=None,
            scopes=known.scopes,
            audiences=known.audiences,
            token_id=key_id,
            issued_at=int(known.created_at),
            expires_at=_NEVER if known.expires_at is None else int(known.expires_at),
            api_key_id=key_id,
        )
        self._principals[id(known)] = (known, principal)
        return principal
