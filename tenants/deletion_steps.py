"""The steps of a tenant's deletion, in SQL: each is one statement in a transaction of the caller's. As ``yett_system``.

On PostgreSQL they are functions that run as ``yett_owner`` (migration 0012): they touch one tenant, delete only what is
of one whose deletion has begun, and take back nothing that has. So ``yett_system`` needs no right to delete from
anybody's tables, and ``yett_app`` can order nothing. SQLite has one role; there the same is said here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    literal_column,
    null,
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
_ACTIVE: BindParameter[bool] = bindparam("p_active")
_FIRST: BindParameter[int] = bindparam("p_first")
_PAST: BindParameter[int] = bindparam("p_past")
_WHOLE = tenants.c.id == _ID, tenants.c.deletion_began_at.is_(None)

_ORDER = select(func.order_deletion(_ID, _AT, _NOW))
_ORDER_ON_SQLITE = (
    update(tenants)
    .where(*_WHOLE, or_(tenants.c.delete_at.is_(None), tenants.c.delete_at > _NOW))
    .values(active=False, delete_at=_AT)
)
_TAKE_BACK = select(func.take_back_deletion(_ID, _AT, _ACTIVE, _NOW))
_TAKE_BACK_ON_SQLITE = (
    update(tenants)
    .where(*_WHOLE, tenants.c.delete_at == _AT, tenants.c.delete_at > _NOW)
    .values(active=_ACTIVE, delete_at=null())
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


async def order(connection: AsyncConnection, tenant_id: UUID, at: datetime, *, now: datetime) -> bool:
    """Suspend it until it is deleted ``at`` that time. False where the time has come that was ordered before."""
    return await _done(connection, _ORDER, _ORDER_ON_SQLITE, {"p_id": tenant_id, "p_at": at, "p_now": now})


async def take_back(
    connection: AsyncConnection, tenant_id: UUID, ordered: datetime, *, active: bool, now: datetime
) -> bool:
    """It is not deleted at the time that was ``ordered``, but ``active`` again or suspended. False where that time has
    come, or is not the one that it would be deleted at.
    """
    asked = {"p_id": tenant_id, "p_at": ordered, "p_active": active, "p_now": now}
    return await _done(connection, _TAKE_BACK, _TAKE_BACK_ON_SQLITE, asked)


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


async def _done(connection: AsyncConnection, step: Select[Any], on_sqlite: Update, asked: Mapping[str, object]) -> bool:
    if _on_sqlite(connection):
        return (await connection.execute(on_sqlite, asked)).rowcount == 1
    done: bool = (await connection.execute(step, asked)).scalar_one()
    return done


def _on_sqlite(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "sqlite"
