"""Who sends this API key: a Principal, or the reason why the key is none.

The key names its tenant; in that tenant's keys it is found by its hash, so that no secret is ever compared. Then it
must not be revoked or expired, and its tenant not suspended. Synchronous and without I/O: all of it is in memory, and
as fresh as the change feed. A key that passed is remembered by its hash, until something changed. Owns that order. Not
which routes take keys (proxy/gate.py), nor which scope or audience a route wants (policies/access.py).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.authn.bearer import InvalidToken
from policies.principal import Principal
from tenants.api_key import LENGTH, KnownKey, digest, named_tenant

_MOST_REMEMBERED = 50_000
_NOTED_EVERY = 60.0  # seconds
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
    """The state in memory that keys are looked for in. ``version`` differs after anything in it changed."""

    version: int

    def by_id(self, tenant_id: UUID, /) -> Tenant | None:
        """The tenant of this id."""

    def api_key(self, tenant_id: UUID, digest: bytes, /) -> KnownKey | None:
        """This tenant's key with this digest."""


@dataclass(slots=True)
class _Remembered:
    """A key that stood at ``version`` of the snapshot. That it was used was told at ``noted_at``."""

    key: KnownKey
    principal: Principal
    version: int
    noted_at: float


class ApiKeys:
    """Authenticates API keys. ``clock`` gives seconds since the epoch. ``used`` is told tenant, key and time of a use,
    for each key once a minute. ``most`` are remembered; the oldest goes first.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        clock: Callable[[], float],
        used: Callable[[UUID, UUID, float], None],
        *,
        most: int = _MOST_REMEMBERED,
    ) -> None:
        self._snapshot = snapshot
        self._clock = clock
        self._used = used
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._most = most

    def authenticate(self, text: bytes) -> Principal | InvalidToken:
        """Who sends it. Never raises for anything that a client can send."""
        if len(text) != LENGTH:  # before all of it is hashed
            return InvalidToken("api_key_malformed")
        place = digest(text)
        found = self._remembered.get(place)
        if found is None or found.version != self._snapshot.version:
            looked_up = self._look_up(text, place, found)
            if isinstance(looked_up, InvalidToken):
                return looked_up
            found = looked_up
        key, principal, now = found.key, found.principal, self._clock()
        if key.expires_at is not None and key.expires_at <= now:
            return InvalidToken("api_key_expired", "", principal.tenant_id, principal.api_key_id)
        if now - found.noted_at >= _NOTED_EVERY:
            found.noted_at = now
            self._used(principal.tenant_id, key.id, now)
        return principal

    def _look_up(self, text: bytes, place: bytes, before: _Remembered | None) -> _Remembered | InvalidToken:
        tenant_id = named_tenant(text)
        if tenant_id is None:
            return InvalidToken("api_key_malformed")
        tenant = self._snapshot.by_id(tenant_id)
        key = None if tenant is None else self._snapshot.api_key(tenant.id, place)
        if tenant is None or key is None:
            return InvalidToken("api_key_unknown")
        if key.revoked_at is not None:
            return InvalidToken("api_key_revoked", "", tenant.id, str(key.id))
        if not tenant.active:
            return InvalidToken("tenant_suspended", "", tenant.id, str(key.id))
        if before is not None and before.key is key:  # the same principal, of which others remember something, too
            before.version = self._snapshot.version
            return before
        self._remembered.pop(place, None)
        if len(self._remembered) >= self._most:
            self._remembered.popitem(last=False)
        noted_at = float("-inf") if before is None else before.noted_at
        made = self._remembered[place] = _Remembered(key, _principal(tenant, key), self._snapshot.version, noted_at)
        return made


def _principal(tenant: Tenant, key: KnownKey) -> Principal:
    key_id = str(key.id)
    return Principal(
        tenant_id=tenant.id,
        tenant=tenant.slug,
        subject=f"key/{key_id}",
        client_id=None,
        scopes=key.scopes,
        audiences=key.audiences,
        token_id=key_id,
        issued_at=int(key.created_at),
        expires_at=_NEVER if key.expires_at is None else int(key.expires_at),
        api_key_id=key_id,
    )
