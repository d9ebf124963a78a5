"""What the proxied path reads, in this process's memory: tenants, their public keys, origins, API keys, revocations.

It follows the change feed: state and feed position are loaded in one transaction, then each poll applies what happened
since. ``version`` grows with every change, so that a remembered answer knows when to ask again. As ``yett_system``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.principal import Principal
from tenants import changes, former_issuers, revocations
from tenants.api_key import KnownKey
from tenants.api_keys import KEPT
from tenants.changed_clients import ChangedClients
from tenants.database import Database
from tenants.errors import Unreadable
from tenants.former_issuers import FormerIssuer
from tenants.jose import UnusableKey, VerifyingKey
from tenants.known_keys import KnownKeys
from tenants.provider import ProviderPolicy
from tenants.tables import clients, signing_keys, tenants

_log = structlog.get_logger("tenants.snapshot")

FEED_RETENTION = timedelta(hours=1)
"""How long the feed is kept. A process that has not read for longer loads everything anew."""

_LOOKED_AT = 2_000  # revocations that are asked for their age before others have their turn: half a millisecond

AT_ONCE = 100
"""As many tenants' facts are read before others have their turn [measured: 10,000 in one go take 1.3 s]."""

PUBLISHED_STATES = ("next", "active", "retiring")
_ALL = select(tenants.c.id)


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """What a request needs to know of a tenant.

    ``until`` is None where ``issuer`` is the tenant's own today; where it is a former one, the end of its overlap.
    ``former`` are those that still counted when this was read.
    """

    id: UUID
    slug: str
    issuer: str
    active: bool
    origins: frozenset[str] = frozenset()
    keys: Mapping[str, VerifyingKey] = field(default_factory=dict, compare=False, repr=False)
    provider: ProviderPolicy = field(default=ProviderPolicy())
    former: tuple[FormerIssuer, ...] = ()
    until: datetime | None = None

    def issuers(self) -> Iterator["TenantFacts"]:
        """As it looks under each of its issuers, today's own first."""
        yield self
        for former in self.former:
            yield replace(self, issuer=former.issuer, until=former.until)


class Snapshot:
    """All tenants at the feed position ``seq``. Reads are synchronous and never touch the database."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._by_id: dict[UUID, TenantFacts] = {}
        self._by_slug: dict[str, TenantFacts] = {}
        self._by_issuer: dict[str, TenantFacts] = {}
        self._revoked: dict[tuple[UUID, str, str], revocations.Revocation] = {}
        self._api_keys = KnownKeys()
        self._seq = 0
        self._heard_at: float | None = None
        self.version = 0
        self._loaded_version = 0
        self._changed_versions: dict[UUID, int] = {}
        self.changed_clients = ChangedClients()

    def by_slug(self, slug: str) -> TenantFacts | None:
        """The tenant of this slug, suspended or not."""
        return self._by_slug.get(slug)

    def by_issuer(self, issuer: str) -> TenantFacts | None:
        """The tenant that issues under exactly this URL, as it looks from there: also in the overlap of a change."""
        found = self._by_issuer.get(issuer)
        if found is not None and found.until is not None and found.until <= self._clock():
            return None
        return found

    def by_id(self, tenant_id: UUID) -> TenantFacts | None:
        """The tenant of this id."""
        return self._by_id.get(tenant_id)

    def __len__(self) -> int:
        """Tenants that are known, suspended ones too."""
        return len(self._by_id)

    def all(self) -> Iterable[TenantFacts]:
        """Every tenant."""
        return self._by_id.values()

    def verifying_key(self, tenant_id: UUID, kid: str) -> VerifyingKey | None:
        """A published key of this very tenant; there is no union of keys to find another's in."""
        tenant = self._by_id.get(tenant_id)
        return None if tenant is None else tenant.keys.get(kid)

    def api_key(self, tenant_id: UUID, digest: bytes) -> KnownKey | None:
        """This tenant's API key with this digest, revoked or not."""
        return self._api_keys.find(tenant_id, digest)

    def revoked(self, principal: Principal) -> bool:
        """Whether anything that the token stands on was revoked at or after its issue.

        ``iat`` has whole seconds, so a token of the very second of the revocation is refused too.
        """
        tenant, session_id, client_id = principal.tenant_id, principal.session_id, principal.client_id
        grant = None if session_id is None or client_id is None else revocations.of_grant(session_id, client_id)
        for kind, value in (
            ("session", session_id),
            ("grant", grant),
            ("subject", principal.subject),
            ("client", client_id),
            ("token", principal.token_id),
        ):
            if value is not None:
                found = self._revoked.get((tenant, kind, value))
                if found is not None and principal.issued_at <= found.before.timestamp():
                    return True
        return False

    def version_of(self, tenant_id: UUID) -> int:
        """Differs after anything of this tenant changed: for whoever would have to look through all of them else."""
        return self._changed_versions.get(tenant_id, self._loaded_version)

    def silent_for(self) -> float:
        """Seconds since the feed was last heard; infinite before the first time."""
        return float("inf") if self._heard_at is None else self._monotonic() - self._heard_at

    async def load(self) -> None:
        """Everything, with the feed position that it belongs to."""
        asked_at = self._monotonic()
        revoked: dict[tuple[UUID, str, str], revocations.Revocation] = {}
        async with self._database.feed_snapshot() as connection:
            seq = await changes.position(connection)
            ids = (await connection.execute(_ALL)).scalars().all()
            found = await _tenants(connection, self._clock(), ids)
            async for portion in revocations.load(connection, self._clock()):
                revoked.update(((entry.tenant_id, entry.kind, entry.value), entry) for entry in portion)
            keys = await KnownKeys.load(connection)
        self._by_id, self._by_slug, self._by_issuer = {}, {}, {}
        self._know(found)
        self._revoked = revoked
        self._api_keys = keys
        self._seq = seq
        self.changed_clients.restart(seq)
        self._heard(asked_at)
        self.version += 1
        self._loaded_version = self.version
        self._changed_versions.clear()

    async def poll(self) -> int:
        """Apply what happened since the last time; says how many changes that was."""
        if self.silent_for() > FEED_RETENTION.total_seconds() / 2:
            await self.load()
            return 0
        asked_at = self._monotonic()
        async with self._database.feed_snapshot() as connection:
            heard = await changes.since(connection, self._seq)
            news = heard or ()
            touched = {change.tenant_id for change in news if change.kind == "tenant"}
            refs = dict.fromkeys((change.tenant_id, change.ref) for change in news if change.kind == "revocation")
            found = await _tenants(connection, self._clock(), touched)
            revoked = await revocations.named(connection, refs)
            named = dict.fromkeys((change.tenant_id, change.ref) for change in news if change.kind == "api_key")
            keys = await self._api_keys.read(connection, named)
        if heard is None:
            await self.load()
            return 0
        if heard:
            self._apply(touched, found, revoked)
            self._api_keys.hear(keys, ended_before=self._clock() - KEPT)
            self.changed_clients.heard(heard)
            self._seq = heard[-1].seq
            self.version += 1
            self._changed_versions.update(dict.fromkeys((change.tenant_id for change in heard), self.version))
        if (
            len(heard) < changes.BATCH
        ):  # else there is more, and whoever asks how fresh this is must not be told that it is
            self._heard(asked_at)
        return len(heard)

    async def forget_expired(self) -> None:
        """Drop revocations that stop nothing any more, some at a time."""
        now = self._clock()
        keys = list(self._revoked)
        for start in range(0, len(keys), _LOOKED_AT):
            for key in keys[start : start + _LOOKED_AT]:
                entry = self._revoked.get(key)
                if entry is not None and entry.expires_at <= now:
                    del self._revoked[key]
            await asyncio.sleep(0)

    def _apply(self, touched: set[UUID], found: list[TenantFacts], revoked: Any) -> None:
        for tenant_id in touched:
            known = self._by_id.pop(tenant_id, None)
            if known is not None:
                self._by_slug.pop(known.slug, None)
                for facts in known.issuers():
                    if self._by_issuer.get(facts.issuer, known).id == tenant_id:
                        self._by_issuer.pop(facts.issuer, None)
        self._know(found)
        for entry in revoked:
            self._revoked[(entry.tenant_id, entry.kind, entry.value)] = entry

    def _know(self, found: Iterable[TenantFacts]) -> None:
        for tenant in found:
            self._by_id[tenant.id] = tenant
            self._by_slug[tenant.slug] = tenant
            for facts in tenant.issuers():
                there = self._by_issuer.get(facts.issuer)
                if there is None or facts.until is None or (there.until is not None and there.until < facts.until):
                    # Whoever has it today has it; else who has it for longest.
                    self._by_issuer[facts.issuer] = facts

    def _heard(self, asked_at: float) -> None:
        self._heard_at = asked_at  # when the question left: what was committed later may be unknown


async def _tenants(connection: AsyncConnection, now: datetime, ids: Iterable[UUID]) -> list[TenantFacts]:
    """Facts of these tenants, read in portions."""
    listed = list(ids)
    found: list[TenantFacts] = []
    for start in range(0, len(listed), AT_ONCE):
        found += await _some_tenants(connection, now, set(listed[start : start + AT_ONCE]))
    return found


async def _some_tenants(connection: AsyncConnection, now: datetime, ids: set[UUID]) -> list[TenantFacts]:
    keys: dict[UUID, dict[str, VerifyingKey]] = defaultdict(dict)
    published = select(signing_keys.c.tenant_id, signing_keys.c.kid, signing_keys.c.public_jwk).where(
        signing_keys.c.state.in_(PUBLISHED_STATES), signing_keys.c.tenant_id.in_(ids)
    )
    for tenant_id, kid, public_jwk in await connection.execute(published):
        try:
            keys[tenant_id][kid] = VerifyingKey(public_jwk)
        except UnusableKey as error:  # one damaged row must not keep all tenants out; its tokens are refused
            _log.error("key_unusable", tenant_id=str(tenant_id), kid=kid, error=str(error))
    origins: dict[UUID, set[str]] = defaultdict(set)
    allowed = select(clients.c.tenant_id, clients.c.origins).where(
        clients.c.active, cast(clients.c.origins, String) != "[]", clients.c.tenant_id.in_(ids)
    )
    for tenant_id, listed in await connection.execute(allowed):
        origins[tenant_id].update(listed)
    former: dict[UUID, list[FormerIssuer]] = defaultdict(list)
    for tenant_id, issuer in await former_issuers.counting(connection, now, ids):
        former[tenant_id].append(issuer)
    facts = tenants.c.id, tenants.c.slug, tenants.c.issuer, tenants.c.active, tenants.c.provider
    found = []
    for row in await connection.execute(select(*facts).where(tenants.c.id.in_(ids))):
        try:
            provider = ProviderPolicy.from_stored(row.provider)
        except Unreadable as error:  # likewise: this one looks as if it were not there
            _log.error("tenant_unreadable", tenant_id=str(row.id), error=str(error))
            continue
        reached = frozenset(origins.get(row.id, ())), MappingProxyType(keys.get(row.id, {}))
        overlapping = tuple(former.get(row.id, ()))
        found.append(TenantFacts(row.id, row.slug, row.issuer, row.active, *reached, provider, overlapping))
    return found
