"""What every call of an issuer needs of it, in this process's memory: its settings, its clients, the key that signs.

An entry belongs to what the snapshot knew of the tenant when it was read. Every change of a tenant, its clients or its
keys replaces that, so an entry is as old as the change feed at most; a process that does not hear the feed reads anew
each time. What was issued meanwhile is caught by the revocations, which stand on the same feed (rule 5).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from tenants.clients import RegisteredClient
from tenants.jose import SigningKey
from tenants.keys import NoActiveKey
from tenants.snapshot import Snapshot, TenantFacts
from tenants.store import Store
from tenants.tenant import Tenant

_DEAF_AFTER = 5.0
_MOST_CLIENTS = 20_000


@dataclass(frozen=True, slots=True)
class Issuer:
    """A tenant as an OAuth server. ``key`` is None where the last one was revoked and none was promoted.

    ``tenant`` looks as it does from the issuer that a request came by. ``every`` are all issuers that it ever had.
    """

    tenant: Tenant
    clients: Mapping[str, RegisteredClient]
    key: SigningKey | None = field(repr=False)
    every: frozenset[str]

    def signing_key(self) -> SigningKey:
        """The key that signs now. Raises NoActiveKey."""
        if self.key is None:
            raise NoActiveKey
        return self.key


@dataclass(frozen=True, slots=True)
class _Known:
    """An issuer, and the facts that it was read beside."""

    facts: TenantFacts
    issuer: Issuer


class Issuers:
    """The issuers that were asked for lately: at most ``most_clients`` clients in all, or one issuer."""

    def __init__(self, store: Store, snapshot: Snapshot, *, most_clients: int = _MOST_CLIENTS) -> None:
        self._store = store
        self._snapshot = snapshot
        self._most_clients = most_clients
        self._known: OrderedDict[UUID, _Known] = OrderedDict()
        self._reading = asyncio.Lock()

    async def get(self, tenant_id: UUID, *, under: str) -> Issuer | None:
        """The tenant, suspended or not, as it looks ``under`` the issuer that a request came by; None for a tenant that
        the snapshot does not know.
        """
        known = await self._known_or_read(tenant_id)
        if known is None or known.tenant.issuer == under:
            return known
        return replace(known, tenant=replace(known.tenant, issuer=under))

    async def _known_or_read(self, tenant_id: UUID) -> Issuer | None:
        facts = self._snapshot.by_id(tenant_id)
        if facts is None:
            return None
        known = self._remembered(facts)
        if known is None:
            async with self._reading:  # whoever waited finds what the first one read
                known = self._remembered(facts) or await self._read(facts)
        return known

    def _remembered(self, facts: TenantFacts) -> Issuer | None:
        known = self._known.get(facts.id)
        if known is None or known.facts is not facts or self._snapshot.silent_for() > _DEAF_AFTER:
            return None
        self._known.move_to_end(facts.id)
        return known.issuer

    async def _read(self, facts: TenantFacts) -> Issuer | None:
        async with self._store.for_tenant(facts.id, read_only=True) as store:
            tenant = await store.settings.get()
            if tenant is None:
                return None
            clients = await store.clients.registered()
            former = await store.former_issuers.list()
            try:
                key = await store.keys.signing()
            except NoActiveKey:
                key = None
        issuer = Issuer(tenant, clients, key, frozenset({tenant.issuer, *(one.issuer for one in former)}))
        self._known[facts.id] = _Known(facts, issuer)
        self._known.move_to_end(facts.id)
        held = sum(len(known.issuer.clients) + 1 for known in self._known.values())
        while held > self._most_clients and len(self._known) > 1:
            _, dropped = self._known.popitem(last=False)
            held -= len(dropped.issuer.clients) + 1
        return issuer
