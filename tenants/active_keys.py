"""The key that each tenant signs with now, in this process's memory, for who has no time to ask the database.

A key is read when it is first wanted. After any change of its tenant it is read again beside those who use it, who go
on with the one at hand as long as it is published; a revoked one is gone with the change that revoked it (rule 5).
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog

from tenants.database import DATABASE_ERRORS
from tenants.jose import SigningKey, UnusableKey
from tenants.keys import NoActiveKey
from tenants.sealing import Unsealable
from tenants.snapshot import Snapshot, TenantFacts
from tenants.store import Store

_log = structlog.get_logger("tenants.active_keys")
_MOST = 20_000
_PAUSE = 1.0  # seconds between two readings of a tenant's key that fail


@dataclass(frozen=True, slots=True)
class _Known:
    """A key, and the facts that were known when its reading began."""

    key: SigningKey
    facts: TenantFacts


class ActiveKeys:
    """At most ``most`` tenants' keys; the one not asked for longest goes first. ``monotonic`` is seconds."""

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        *,
        most: int = _MOST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._snapshot = snapshot
        self._most = most
        self._monotonic = monotonic
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._reading: dict[UUID, asyncio.Task[SigningKey]] = {}
        self._not_before: dict[UUID, float] = {}  # where the last reading failed

    def known(self, tenant_id: UUID) -> SigningKey | None:
        """The key, if it is at hand. Never waits."""
        known, facts = self._known.get(tenant_id), self._snapshot.by_id(tenant_id)
        if known is None or facts is None or known.key.kid not in facts.keys:
            return None
        if known.facts is not facts and not self._pauses(tenant_id):
            self._read_once(tenant_id)
        self._known.move_to_end(tenant_id)
        return known.key

    async def get(self, tenant_id: UUID) -> SigningKey:
        """The key, read from the database where it is not at hand.

        Raises:
            NoActiveKey: there is none, it cannot be opened, or the tenant is not there; or a reading has just failed.
            DATABASE_ERRORS: it could not be read.
        """
        known = self.known(tenant_id)
        if known is not None:
            return known
        if self._pauses(tenant_id):
            raise NoActiveKey
        return await asyncio.shield(self._read_once(tenant_id))

    def _pauses(self, tenant_id: UUID) -> bool:
        """Whether the last reading failed a moment ago: a request each must not ask again."""
        return self._monotonic() < self._not_before.get(tenant_id, 0.0)

    def _read_once(self, tenant_id: UUID) -> "asyncio.Task[SigningKey]":
        """Whoever comes while a tenant's key is read waits for the same reading."""
        reading = self._reading.get(tenant_id)
        if reading is None:
            reading = self._reading[tenant_id] = asyncio.get_running_loop().create_task(self._read(tenant_id))
            reading.add_done_callback(lambda done: self._read_ended(tenant_id, done))
        return reading

    def _read_ended(self, tenant_id: UUID, reading: "asyncio.Task[SigningKey]") -> None:
        del self._reading[tenant_id]
        if reading.cancelled() or (error := reading.exception()) is None:
            return
        if not isinstance(error, (NoActiveKey, *DATABASE_ERRORS)):
            raise error
        if len(self._not_before) >= self._most:
            self._not_before.clear()
        self._not_before[tenant_id] = self._monotonic() + _PAUSE
        _log.warning("active_key_not_read", tenant_id=str(tenant_id), error=type(error).__name__)

    async def _read(self, tenant_id: UUID) -> SigningKey:
        facts, key = await self._key_beside(tenant_id)
        if key.kid in facts.keys and key.kid not in self._facts(tenant_id).keys:  # it was revoked meanwhile
            facts, key = await self._key_beside(tenant_id)
        self._not_before.pop(tenant_id, None)
        self._known[tenant_id] = _Known(key, facts)
        self._known.move_to_end(tenant_id)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return key

    async def _key_beside(self, tenant_id: UUID) -> tuple[TenantFacts, SigningKey]:
        facts = self._facts(tenant_id)
        return facts, await self._signing(facts)

    def _facts(self, tenant_id: UUID) -> TenantFacts:
        facts = self._snapshot.by_id(tenant_id)
        if facts is None:
            raise NoActiveKey
        return facts

    async def _signing(self, facts: TenantFacts) -> SigningKey:
        async with self._store.for_tenant(facts.id, read_only=True) as store:
            try:
                return await store.keys.signing()
            except (UnusableKey, Unsealable) as error:
                _log.error("key_unusable", tenant=facts.slug, error=str(error))
                raise NoActiveKey from error
