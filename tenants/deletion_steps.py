"""The steps of a tenant's deletion, in SQL: each is one statement in a transaction of the caller's. As ``yett_system``.

On PostgreSQL they are functions that run as ``yett_owner`` (migration 0012): they touch one tenant, delete only what is
of one whose deletion has begun, and take back nothing that has. So ``yett_system`` needs no right to delete from
anybody's tables, and ``yett_app`` can order nothing. SQLite has one role; there the same is said here.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.tables import audit_events, tenants

_ROW: ColumnElement[int] = literal_column("rowid")
_ID: BindParameter[UUID] = bindparam("p_id")
_AT = bindparam("p_at", type_=tenants.c.delete_at.type)
_NOW = bindparam("p_now", type_=tenants.c.delete_at.type)
_FIRST: BindParameter[int] = bindparam("p_first")
_PAST: BindParameter[int] = bindparam("p_past")
_WHOLE = tenants.c.id == _ID, tenants.c.deletion_began_at.is_(None)

_SCHEDULE = select(func.order_deletion(_ID, _AT, _NOW))
_SCHEDULE_ON_SQLITE = (
    update(tenants)
    .where(*_WHOLE, or_(tenants.c.delete_at > _NOW, and_(tenants.c.delete_at.is_(None), _AT.is_not(None))))
    .values(active=_AT.is_(None), delete_at=_AT)
)
_BEGIN = select(func.begin_deletion(_ID, _NOW))
_BEGIN_ON_SQLITE = (
    update(tenants).where(*_WHOLE, tenants.c.delete_at <= _NOW).values(active=False, deletion_began_at=_NOW)
)
_EVENTS = select(func.delete_events(_ID, _FIRST, _PAST))
_EVENTS_ON_SQLITE = delete(audit_events).where(
    audit_events.c.tenant_id == _ID, audit_events.c.position >= _FIRST, audit_events.c.position < _PAST
)
_ROWS = select(func.delete_rows(_ID, bindparam("p_table"), bindparam("p_most")))


async def schedule(connection: AsyncConnection, tenant_id: UUID, at: datetime | None, *, now: datetime) -> bool:
    """Suspend it until it is deleted ``at`` that time; None: resume it. False where the time has come that was ordered
    before, and where None takes back what was not ordered.
    """
    asked = {"p_id": tenant_id, "p_at": at, "p_now": now}
    if _on_sqlite(connection):
        return (await connection.execute(_SCHEDULE_ON_SQLITE, asked)).rowcount == 1
    scheduled: bool = (await connection.execute(_SCHEDULE, asked)).scalar_one()
    return scheduled


async def begin(connection: AsyncConnection, tenant_id: UUID, *, now: datetime) -> None:
    """It is out of use for good, where its time has come."""
    on_sqlite = _on_sqlite(connection)
    await connection.execute(_BEGIN_ON_SQLITE if on_sqlite else _BEGIN, {"p_id": tenant_id, "p_now": now})


async def delete_events(connection: AsyncConnection, tenant_id: UUID, first: int, past: int) -> None:
    """Those of its log from position ``first`` to the one before ``past``."""
    window = {"p_id": tenant_id, "p_first": first, "p_past": past}
    await connection.execute(_EVENTS_ON_SQLITE if _on_sqlite(connection) else _EVENTS, window)


async def delete_rows(connection: AsyncConnection, tenant_id: UUID, table: Table, *, most: int) -> int:
    """Up to ``most`` of its rows there, whichever; says how many that were."""
    if _on_sqlite(connection):
        some = select(_ROW).select_from(table).where(table.c.tenant_id == tenant_id).limit(most)
        return (await connection.execute(delete(table).where(_ROW.in_(some)))).rowcount
    asked = {"p_id": tenant_id, "p_table": table.name, "p_most": most}
    gone: int = (await connection.execute(_ROWS, asked)).scalar_one()
    return gone


def _on_sqlite(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "sqlite"
