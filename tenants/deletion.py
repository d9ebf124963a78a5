"""The end of a tenant: everything that it owns goes, its log too. As ``yett_system``.

It is ordered first, with a time, and can be taken back until then. When the time has come it begins by an act of its
own, after which the tenant is out of use for good, and goes on in portions, each committed, until nothing is left but
its row. Who finds one that has begun goes on with it. What stays is an event in the platform's log, written in the
very transaction in which the row goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import audit_log, audit_outbox, changes, deletion_steps
from tenants.audit_event import Details, Event
from tenants.cluster_tables import sink_positions
from tenants.database import Database
from tenants.errors import InvalidValue
from tenants.schema import metadata
from tenants.tables import audit_events, audit_heads, tenants
from tenants.tables import audit_outbox as outbox
from tenants.tables import changes as feed

_PORTION = 1000
_LOCK = 0x79657474_64656C65  # "yettdele": two that delete the same rows would wait for each other in any order
# Others read the first; of the second there is one row, and it is told of; without the third a sink would begin anew.
_NOT_IN_PORTIONS = (feed, audit_heads, sink_positions)
# What hangs on others goes before them, so that no row takes more along.
_IN_PORTIONS = [
    table for table in reversed(metadata.sorted_tables) if "tenant_id" in table.c and table not in _NOT_IN_PORTIONS
]
# Rows that are dead and not swept away, since somebody still reads what was, are looked through once more at the end.
# Where they are so many that it takes longer, the end comes at a later attempt: others are waiting for this one.
_SHORTLY = text("SET LOCAL statement_timeout = '5s'")
_LOCKED = text("SELECT pg_advisory_xact_lock(:key)")
_IS = tenants.c.id == bindparam("p_id")
_HAS_BEGUN = tenants.c.deletion_began_at.is_not(None)
_DOOMED = select(tenants.c.id, tenants.c.slug, tenants.c.issuer)
_DUE = _DOOMED.where(or_(_HAS_BEGUN, tenants.c.delete_at <= bindparam("p_now"))).order_by(tenants.c.delete_at)
_BEGUN = select(tenants.c.id).where(_IS, _HAS_BEGUN)
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == bindparam("p_id"))
_FIRST = select(func.min(audit_events.c.position)).where(audit_events.c.tenant_id == bindparam("p_id"))
_DELETE = delete(tenants).where(_IS, _HAS_BEGUN)
_TELL = insert(outbox).inline()


@dataclass(frozen=True, slots=True)
class Doomed:
    """A tenant whose time is over."""

    id: UUID
    slug: str
    issuer: str


async def order(
    database: Database,
    doomed: Doomed,
    at: datetime,
    *,
    platform: UUID,
    now: datetime,
    actor: str,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """Suspend it now, and have it deleted then with all that it owns. Another order replaces an earlier one, until that
    one's time has come. Its own log, which goes, and that of ``platform`` tell of it in the same transaction.

    Raises:
        InvalidValue: the time of its deletion has come.
    """
    when: Details = {"at": at.isoformat()}
    whose: Details = {"slug": doomed.slug, "tenant": str(doomed.id)}
    async with database.system_step() as connection:
        if not await deletion_steps.order(connection, doomed.id, at, now=now):
            raise InvalidValue("the time of its deletion has come")
        for told_in, details in ((doomed.id, when), (platform, when | whose)):
            event = Event(
                type="tenant.deletion_scheduled",
                outcome="success",
                actor=actor,
                request_id=request_id,
                address=address,
                details=details,
            )
            await connection.execute(_TELL, audit_outbox.row(event, told_in, now))
        await _hear_of(database, connection, doomed.id, now)


async def take_back(
    database: Database, tenant_id: UUID, ordered: datetime, *, active: bool, told: Mapping[UUID, Event], now: datetime
) -> None:
    """It is not deleted at the time that was ``ordered``, and is ``active`` again or stays suspended. ``told`` is what
    this is in which tenants' logs.

    Raises:
        InvalidValue: the time of its deletion has come, or another one was ordered since, or none.
    """
    async with database.system_step() as connection:
        if not await deletion_steps.take_back(connection, tenant_id, ordered, active=active, now=now):
            raise InvalidValue("the time of its deletion has come, or has changed: it cannot be resumed")
        for told_in, event in told.items():
            await connection.execute(_TELL, audit_outbox.row(event, told_in, now))
        await _hear_of(database, connection, tenant_id, now)


async def due(database: Database, now: datetime) -> Sequence[Doomed]:
    """Tenants whose deletion is due or has begun, the longest overdue first."""
    async with database.system_snapshot() as connection:
        return [Doomed(row.id, row.slug, row.issuer) for row in await connection.execute(_DUE, {"p_now": now})]


async def begun(database: Database, slug: str) -> Doomed | None:
    """The tenant of this slug, where its deletion has begun."""
    async with database.system_snapshot() as connection:
        found = await connection.execute(_DOOMED.where(tenants.c.slug == slug, _HAS_BEGUN))
        row = found.one_or_none()
    return None if row is None else Doomed(row.id, row.slug, row.issuer)


async def carry_out(database: Database, doomed: Doomed, *, platform: UUID, now: datetime, actor: str) -> bool:
    """Delete it, or go on where somebody was broken off, and tell of it in the log of ``platform``; False where it is
    gone already, or not due.

    No statement is about more than a portion. None but the last, which finds one row, keeps the sequencer waiting.
    """
    if not await _begin(database, doomed.id, now):
        return False
    await _delete_log(database, doomed.id)
    await _delete_rows(database, doomed.id)
    return await _finish(database, doomed, platform=platform, now=now, actor=actor)


async def _begin(database: Database, tenant_id: UUID, now: datetime) -> bool:
    """Whether it has begun, now or before."""
    async with database.system_step() as connection:
        await deletion_steps.begin(connection, tenant_id, now=now)
        has = (await connection.execute(_BEGUN, {"p_id": tenant_id})).one_or_none() is not None
        if has:
            await _hear_of(database, connection, tenant_id, now)
    return has


async def _delete_log(database: Database, tenant_id: UUID) -> None:
    """From its front, by position: nothing is looked for behind rows that are dead, and not swept away yet."""
    which = {"p_id": tenant_id}
    async with database.system_snapshot() as connection:
        front = (await connection.execute(_FIRST, which)).scalar_one()
        size = (await connection.execute(_SIZE, which)).scalar_one_or_none() or 0
    for first in range(size if front is None else front, size, _PORTION):
        async with database.system_step() as connection:
            await _take_turns(database, connection)
            await deletion_steps.delete_events(connection, tenant_id, first, first + _PORTION)


async def _delete_rows(database: Database, tenant_id: UUID) -> None:
    for table in _IN_PORTIONS:
        gone = _PORTION
        while gone == _PORTION:
            async with database.system_step() as connection:
                await _take_turns(database, connection)
                gone = await deletion_steps.delete_rows(connection, tenant_id, table, most=_PORTION)


async def _finish(database: Database, doomed: Doomed, *, platform: UUID, now: datetime, actor: str) -> bool:
    which = {"p_id": doomed.id}
    async with database.system_step() as connection:
        if not database.is_sqlite:
            await connection.execute(_SHORTLY)
        await audit_log.hold_sequencer(connection)
        size = (await connection.execute(_SIZE, which)).scalar_one_or_none() or 0
        if (await connection.execute(_DELETE, which)).rowcount == 0:
            return False
        event = Event(
            type="tenant.deleted",
            outcome="success",
            actor=actor,
            details={"slug": doomed.slug, "tenant": str(doomed.id), "issuer": doomed.issuer, "events": size},
        )
        await connection.execute(_TELL, audit_outbox.row(event, platform, now))
        await _hear_of(database, connection, doomed.id, now)
    return True


async def _take_turns(database: Database, connection: AsyncConnection) -> None:
    if not database.is_sqlite:  # SQLite has one writer at a time by itself
        await connection.execute(_LOCKED, {"key": _LOCK})


async def _hear_of(database: Database, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
    """Every process is told that the tenant is another one now. The last thing in a transaction."""
    writer = changes.ChangeWriter(connection, tenant_id, locked=not database.is_sqlite)
    writer.note("tenant")
    await writer.flush(now)
