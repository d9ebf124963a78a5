"""From a slug to a tenant, and the making of one: the named exception that looks across tenants. As ``yett_system``."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select

from tenants.acts import tenants as acts
from tenants.acts.by import By
from tenants.database import Database
from tenants.jose import DEFAULT_ALGORITHM, Algorithm
from tenants.provider_tables import former_issuers
from tenants.store import Store
from tenants.tables import tenants
from tenants.tenant import Tenant, tenant_of

PLATFORM = "platform"
"""The reserved slug of the tenant whose users are operators, and whose log holds what belongs to no tenant."""


class Directory:
    """All tenants by slug."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def find(self, slug: str) -> Tenant | None:
        """By slug, suspended ones too, but none of which parts may be gone since its deletion has begun."""
        whole = tenants.c.slug == slug, tenants.c.deletion_began_at.is_(None)
        async with self._database.system_snapshot() as connection:
            row = (await connection.execute(select(tenants).where(*whole))).one_or_none()
        return None if row is None else tenant_of(row)

    async def holder(self, issuer: str, now: datetime) -> str | None:
        """The slug of the tenant that issues under this URL, or did before a change whose overlap lasts."""
        current = select(tenants.c.slug).where(tenants.c.issuer == issuer)
        former = (
            select(tenants.c.slug)
            .join(former_issuers, former_issuers.c.tenant_id == tenants.c.id)
            .where(former_issuers.c.issuer == issuer, former_issuers.c.until > now)
        )
        async with self._database.system_snapshot() as connection:
            for query in (current, former):
                slug: str | None = (await connection.execute(query)).scalars().first()
                if slug is not None:
                    return slug
        return None

    async def list(self, *, after: str = "", limit: int = 1000) -> Sequence[Tenant]:
        """By slug, from the one that follows ``after``."""
        query = select(tenants).where(tenants.c.slug > after).order_by(tenants.c.slug).limit(limit)
        async with self._database.system_snapshot() as connection:
            return [tenant_of(row) for row in await connection.execute(query)]

    async def create(
        self, *, slug: str, name: str, issuer: str, signing_alg: Algorithm = DEFAULT_ALGORITHM, actor: str
    ) -> Tenant:
        """A tenant with an active key and the next one, and the event that tells of it.

        Raises:
            AlreadyExists: the slug or the issuer is taken.
            InvalidValue: the name cannot be one.
        """
        async with self._store.for_tenant(uuid4()) as store:
            return await acts.create(store, By(actor), slug=slug, name=name, issuer=issuer, signing_alg=signing_alg)
