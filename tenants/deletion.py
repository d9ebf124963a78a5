"""The end of a tenant: everything that it owns goes, its log too. As ``yett_system``.

A deletion is ordered first, with a time (``Settings.schedule_deletion``), and can be taken back until then. What is
left is one event in the platform's log, written in the very transaction in which the tenant goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Table, bindparam, delete, insert, literal_column, select

from tenants import audit_outbox, changes
from tenants.audit_event import Event
from tenants.cluster_tables import sink_positions
from tenants.database import Database
from tenants.schema import metadata
from tenants.store import Store
from tenants.tables import audit_heads, tenants
from tenants.tables import audit_outbox as outbox
from tenants.tables import changes as feed

_PORTION = 1000
# Others read the first; of the second there is one row, and it is told of; without the third a sink would begin anew.
_NOT_IN_PORTIONS = (feed, audit_heads, sink_positions)
_ROW: ColumnElement[int] = literal_column("rowid")
_DUE = select(tenants.c.id, tenants.c.slug, tenants.c.issuer).where(
    tenants.c.delete_at.is_not(None), tenants.c.delete_at <= bindparam("p_now")
)
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == bindparam("p_id"))
_DELETE = delete(tenants).where(tenants.c.id == bindparam("p_id"), tenants.c.delete_at <= bindparam("p_now"))
_TELL = insert(outbox).inline()


@dataclass(frozen=True, slots=True)
class Doomed:
    """A tenant whose time is over."""

    id: UUID
    slug: str
    issuer: str


async def due(database: Database, now: datetime) -> Sequence[Doomed]:
    """Tenants whose deletion is due, the longest overdue first."""
    async with database.system_snapshot() as connection:
        rows = await connection.execute(_DUE.order_by(tenants.c.delete_at), {"p_now": now})
        return [Doomed(row.id, row.slug, row.issuer) for row in rows]


async def carry_out(
    database: Database, store: Store, doomed: Doomed, *, platform: UUID, now: datetime, actor: str
) -> bool:
    """Delete it, and tell of it in the log of ``platform``; False where it is gone already, or not due.

    Its people go first, in portions. PostgreSQL deletes the rest of what it owns in one transaction; SQLite has one
    writer, so there the rest goes in portions, too.
    """
    if doomed not in await due(database, now):  # once it is, nothing takes it back
        return False
    more = True
    while more:
        async with store.for_tenant(doomed.id) as its:
            more = await its.users.delete_some(_PORTION)
    if database.is_sqlite:
        for table in reversed(metadata.sorted_tables):
            if "tenant_id" in table.c and table not in _NOT_IN_PORTIONS:
                while await _delete_portion(database, table, doomed.id):
                    pass
    async with database.system_step() as connection:
        size = (await connection.execute(_SIZE, {"p_id": doomed.id})).scalar_one_or_none() or 0
        gone = await connection.execute(_DELETE, {"p_id": doomed.id, "p_now": now})
        if gone.rowcount == 0:
            return False
        event = Event(
            type="tenant.deleted",
            outcome="success",
            actor=actor,
            details={"slug": doomed.slug, "tenant": str(doomed.id), "issuer": doomed.issuer, "events": size},
        )
        await connection.execute(_TELL, audit_outbox.row(event, platform, now))
        writer = changes.ChangeWriter(connection, doomed.id, locked=not database.is_sqlite)
        writer.note("tenant")
        await writer.flush(now)
    return True


async def _delete_portion(database: Database, table: Table, tenant_id: UUID) -> bool:
    """Whether there may be more. SQLite only: its rows have numbers."""
    portion = select(_ROW).select_from(table).where(table.c.tenant_id == tenant_id).limit(_PORTION)
    async with database.system_step() as connection:
        gone = await connection.execute(delete(table).where(_ROW.in_(portion)))
        return gone.rowcount == _PORTION
