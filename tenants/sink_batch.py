"""What a sink is sent next: events of a few tenants in order, and the checkpoints that stand behind them. Reads only;
whose claim that is, and how far each sink has got, is ``sink_positions``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.audit_tables import audit_trees
from tenants.cluster_tables import sink_positions
from tenants.tables import audit_events, tenants

BATCH = 200
"""Events that are read at once."""
BATCH_BYTES = 512 * 1024
_TENANTS_AT_ONCE = 50

_P = sink_positions.c
WAITING, OWING = _P.next < _P.size, _P.checkpoint < _P.next
"""A tenant's events, and its checkpoint. Each has an index of those rows alone."""
_EVENTS = select(
    audit_events.c.position,
    audit_events.c.id,
    audit_events.c.type,
    audit_events.c.at,
    audit_events.c.leaf,
    audit_events.c.event,
).order_by(audit_events.c.position)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sink wants: of the tenants with these ``slugs`` (None: of all); and of each a checkpoint, no more often
    than every ``checkpoint_interval`` (None: never).
    """

    slugs: Sequence[str] | None
    checkpoint_interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Queued:
    """An entry of a tenant's log that a sink has not had. ``event`` is None where it was erased; the rest stands."""

    tenant_id: UUID
    slug: str
    position: int
    id: str
    type: str
    at: datetime
    leaf: bytes
    event: bytes | None


@dataclass(frozen=True, slots=True)
class QueuedCheckpoint:
    """A tenant's newest checkpoint: the signed note, and how many events it is of. The sink has one of ``before``."""

    tenant_id: UUID
    slug: str
    note: str
    size: int
    signed_at: datetime
    before: int


@dataclass(frozen=True, slots=True)
class Batch:
    """``begins``: of each tenant whose turn it is, the position that is wanted. ``more`` waits."""

    begins: Mapping[UUID, int]
    entries: Sequence[Queued]
    checkpoints: Sequence[QueuedCheckpoint]
    more: bool


async def read_batch(connection: AsyncConnection, sink: str, terms: Terms, *, failures: int, now: datetime) -> Batch:
    """After failures of one tenant, and ever fewer: what a receiver refuses or finds too large holds up nobody else
    then; and checkpoints one by one, apart from events.
    """
    begins, entries, more = await _events(connection, sink, terms, failures)
    checkpoints: Sequence[QueuedCheckpoint] = ()
    if not (failures and entries):
        most = 1 if failures else _TENANTS_AT_ONCE
        checkpoints = await _checkpoints(connection, sink, terms, entries, most, now)
        more |= len(checkpoints) >= most
    return Batch(begins, entries, checkpoints, more)


def meant(query: Select[Any], terms: Terms) -> Select[Any]:
    """Of the tenants that are meant; it is a query of positions."""
    query = query.join(tenants, tenants.c.id == _P.tenant_id)
    return query if terms.slugs is None else query.where(tenants.c.slug.in_(terms.slugs))


def owing(sink: str) -> Select[Any]:
    """The positions for which there is a newer checkpoint than was sent."""
    newer = and_(audit_trees.c.tenant_id == _P.tenant_id, audit_trees.c.size > _P.checkpoint)
    return select(_P.tenant_id).join(audit_trees, newer).where(_P.sink == sink)


async def _events(
    connection: AsyncConnection, sink: str, terms: Terms, failures: int
) -> tuple[Mapping[UUID, int], Sequence[Queued], bool]:
    """An equal share of the batch for each tenant; who was tried longest ago comes first."""
    tenants_at_once, most = (1, max(1, BATCH >> failures)) if failures else (_TENANTS_AT_ONCE, BATCH)
    turns = meant(select(_P.tenant_id, tenants.c.slug, _P.next, _P.size).where(_P.sink == sink, WAITING), terms)
    rows = (await connection.execute(turns.order_by(_P.turn, _P.tenant_id).limit(tenants_at_once + 1))).all()
    waiting, more = rows[:tenants_at_once], len(rows) > tenants_at_once
    share = max(1, most // max(1, len(waiting)))
    begins: dict[UUID, int] = {}
    found: list[Queued] = []
    size = 0
    for row in waiting:
        begins[row.tenant_id] = row.next
        mine = audit_events.c.tenant_id == row.tenant_id, audit_events.c.position >= row.next
        entries = (await connection.execute(_EVENTS.where(*mine).limit(share))).all()
        more |= row.size - row.next > len(entries) > 0
        for entry in entries:
            size += len(entry.event or b"")
            if found and size > BATCH_BYTES:
                return begins, found, True
            found.append(Queued(row.tenant_id, row.slug, *entry))
    return begins, found, more and bool(found)  # of a log from which rows were taken out something waits for ever


async def _checkpoints(
    connection: AsyncConnection, sink: str, terms: Terms, entries: Sequence[Queued], most: int, now: datetime
) -> Sequence[QueuedCheckpoint]:
    """Those that are due and whose events the sink has, or has in this batch before them. A sink that is behind for
    longer than the interval gets them ahead of their events: what is held elsewhere early protects early.
    """
    if terms.checkpoint_interval is None:
        return ()
    ends = {entry.tenant_id: entry.position + 1 for entry in entries}
    due = (
        meant(owing(sink), terms)
        .add_columns(tenants.c.slug, _P.next, _P.checkpoint.label("before"), _P.checkpoint_at)
        .add_columns(audit_trees.c.size, audit_trees.c.checkpoint.label("note"), audit_trees.c.signed_at)
        .where(_P.checkpoint_at <= now)
    )
    owed = due.where(OWING).order_by(_P.checkpoint_at, _P.tenant_id).limit(most)
    rows: dict[UUID, Row[Any]] = {row.tenant_id: row for row in await connection.execute(owed)}
    if ends:
        rows |= {row.tenant_id: row for row in await connection.execute(due.where(_P.tenant_id.in_(ends)))}
    late = now - terms.checkpoint_interval
    return [
        QueuedCheckpoint(row.tenant_id, row.slug, row.note, row.size, row.signed_at, row.before)
        for row in rows.values()
        if row.size <= ends.get(row.tenant_id, row.next) or row.checkpoint_at <= late
    ]
