"""Issuers that a tenant had before, and until when each of them counts: the overlap of a change.

A row stays when its time is over. Clients that are for no API have the issuer of their making as their audience, and it
must not be taken for an API's later (policies/token_holder.py). Owns the rows. Not what a request of a former issuer is
answered with: ``Snapshot.by_issuer`` gives it the tenant as it looks from there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.changes import ChangeWriter
from tenants.provider_tables import former_issuers
from tenants.tables import tenants

_INSERT: dict[str, Any] = {"sqlite": sqlite_insert(former_issuers), "postgresql": postgresql_insert(former_issuers)}
_KEEP = {
    dialect: insert.on_conflict_do_update(
        index_elements=["tenant_id", "issuer"], set_={"until": insert.excluded["until"]}
    )
    for dialect, insert in _INSERT.items()
}
# One that the tenant has again is former no longer, whatever its row says.
_LIST = (
    select(former_issuers.c.tenant_id, former_issuers.c.issuer, former_issuers.c.until)
    .join(tenants, tenants.c.id == former_issuers.c.tenant_id)
    .where(former_issuers.c.issuer != tenants.c.issuer)
    .order_by(former_issuers.c.until.desc(), former_issuers.c.issuer)
)
_MINE = _LIST.where(former_issuers.c.tenant_id == bindparam("p_tenant_id"))
_END = (
    update(former_issuers)
    .where(former_issuers.c.tenant_id == bindparam("p_tenant_id"), former_issuers.c.until > bindparam("p_now"))
    .values(until=bindparam("p_until"))
)


@dataclass(frozen=True, slots=True)
class FormerIssuer:
    """It counts before ``until``, and from then on no more."""

    issuer: str
    until: datetime


class FormerIssuers:
    """One tenant's former issuers."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now

    async def list(self) -> Sequence[FormerIssuer]:
        """All that there were, those that count longest first."""
        rows = await self._connection.execute(_MINE, {"p_tenant_id": self._tenant_id})
        return [FormerIssuer(row.issuer, row.until) for row in rows]

    async def keep(self, issuer: str, until: datetime) -> None:
        """Let this one count until then."""
        row = {"tenant_id": self._tenant_id, "issuer": issuer, "until": until}
        await self._connection.execute(_KEEP[self._connection.dialect.name], row)
        self._changes.note("tenant")

    async def end(self, until: datetime) -> None:
        """Let those that still count do so until then, and no longer."""
        named = {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_until": until}
        await self._connection.execute(_END, named)
        self._changes.note("tenant")


async def counting(
    connection: AsyncConnection, now: datetime, tenant_ids: Iterable[UUID]
) -> Sequence[tuple[UUID, FormerIssuer]]:
    """These tenants' that count now, those that count longest first. As ``yett_system``."""
    query = _LIST.where(former_issuers.c.until > now, former_issuers.c.tenant_id.in_(tenant_ids))
    return [(row.tenant_id, FormerIssuer(row.issuer, row.until)) for row in await connection.execute(query)]
