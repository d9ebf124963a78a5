"""Sinks of audit events: how far each has got in each tenant's log, who delivers to it, and how that went.

A sink is claimed by one conditional UPDATE for as long as a batch may take, so that one process of the cluster delivers
to it at a time, and no transaction is open while somebody is sent to (rule 7). Who loses a claim moves no position. Who
was well served keeps it, so that in a large cluster the others look at one row and no further; who was not gives it
back, since another process may reach the receiver.
Delivery is at least once: who dies between a receiver's word and ``settle`` leaves a batch that is sent again. As
``yett_system``. What is sent, and how, is ``gateway.sinks``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, exists, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from tenants.cluster_tables import sink_positions, sinks
from tenants.database import Database
from tenants.tables import audit_events, audit_heads, tenants

BATCH = 200
"""Events that are read at once."""
BATCH_BYTES = 512 * 1024
_TENANTS_AT_ONCE = 50

_NEXT = func.coalesce(sink_positions.c.next, 0)
_MOVE = (
    update(sink_positions)
    .where(sink_positions.c.tenant_id == bindparam("p_tenant_id"), sink_positions.c.sink == bindparam("p_sink"))
    .values(next=bindparam("p_next"), tried_at=bindparam("p_tried_at"))
)


@dataclass(frozen=True, slots=True)
class Queued:
    """An entry of a tenant's log that a sink has not had. ``event`` is None where it was erased."""

    tenant_id: UUID
    slug: str
    position: int
    event: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch that is this holder's to deliver. ``behind`` counts all events that wait, of all tenants that are meant;
    ``failures`` those attempts in a row that came to nothing.
    """

    entries: Sequence[Queued]
    behind: int
    failures: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sink stands. ``tenants``: by slug, the position that it wants next, and the size of the log."""

    name: str
    began_at: datetime
    next_at: datetime
    failures: int
    problem: str | None
    failed_at: datetime | None
    delivered_at: datetime | None
    tenants: Mapping[str, tuple[int, int]] = field(repr=False)


class SinkPositions:
    """Of all sinks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, name: str, *, from_now: bool, now: datetime) -> None:
        """Make the sink known, at the end of all logs or at their beginning; nothing, where it is known.

        A tenant that comes later is delivered from its first event on.
        """
        async with self._database.system_snapshot() as connection:
            if (await connection.execute(select(sinks.c.name).where(sinks.c.name == name))).one_or_none() is not None:
                return
        try:
            async with self._database.system_step() as connection:
                row = {"name": name, "began_at": now, "held_until": now, "next_at": now, "failures": 0}
                await connection.execute(insert(sinks), row)
                if from_now:
                    ends = select(audit_heads.c.tenant_id, literal(name), audit_heads.c.size)
                    await connection.execute(
                        insert(sink_positions).from_select(["tenant_id", "sink", "next"], ends).inline()
                    )
        except IntegrityError:  # another process was first, and has done the same
            return

    async def claim(
        self, name: str, holder: UUID, *, slugs: Sequence[str] | None, now: datetime, until: datetime
    ) -> Claim | None:
        """What is to be delivered next, each tenant's in order; ``slugs`` None: of all tenants.

        None where there is nothing, in which case the sink is held all the same, or another process has it, or its time
        has not come.
        """
        async with self._database.system_snapshot() as connection:  # asked first: a write lock is not free on SQLite
            row = (await connection.execute(select(sinks).where(*_free(name, holder, now)))).one_or_none()
            if row is None:
                return None
            waiting = _waiting(name, slugs).subquery()
            counted = select(func.sum(waiting.c.size - waiting.c.next))
            behind = (await connection.execute(counted)).scalar_one()
        if not behind and row.holder == holder and row.held_until - now > (until - now) / 2:
            return None
        async with self._database.system_step() as connection:
            held = update(sinks).where(*_free(name, holder, now)).values(holder=holder, held_until=until)
            if (await connection.execute(held)).rowcount != 1 or not behind:
                return None
            known = exists().where(sink_positions.c.tenant_id == audit_heads.c.tenant_id, sink_positions.c.sink == name)
            new = select(audit_heads.c.tenant_id, literal(name), literal(0)).where(~known)
            await connection.execute(insert(sink_positions).from_select(["tenant_id", "sink", "next"], new).inline())
        return Claim(await self._entries(name, slugs, row.failures), int(behind), row.failures)

    async def _entries(self, name: str, slugs: Sequence[str] | None, failures: int) -> Sequence[Queued]:
        """Of a few tenants, an equal share of the batch each; who waited longest comes first. After failures of one
        tenant, and ever fewer: what a receiver refuses or finds too large holds up nobody else then.
        """
        tenants_at_once, most = (1, max(1, BATCH >> failures)) if failures else (_TENANTS_AT_ONCE, BATCH)
        found: list[Queued] = []
        async with self._database.system_snapshot() as connection:
            turns = _waiting(name, slugs).order_by(sink_positions.c.tried_at.nulls_first(), audit_heads.c.tenant_id)
            waiting = (await connection.execute(turns.limit(tenants_at_once))).all()
            size = 0
            for row in waiting:
                query = (
                    select(audit_events.c.position, audit_events.c.event)
                    .where(audit_events.c.tenant_id == row.tenant_id, audit_events.c.position >= row.next)
                    .order_by(audit_events.c.position)
                    .limit(max(1, most // len(waiting)))
                )
                for entry in await connection.execute(query):
                    size += len(entry.event or b"")
                    if found and size > BATCH_BYTES:
                        return found
                    found.append(Queued(row.tenant_id, row.slug, entry.position, entry.event))
        return found

    async def settle(
        self,
        name: str,
        holder: UUID,
        *,
        moves: Mapping[UUID, int],
        failures: int,
        problem: str | None,
        delivered: bool,
        now: datetime,
        next_at: datetime,
    ) -> bool:
        """Write down how it went. ``moves``: of each tenant that was tried, the position that is wanted next. The last
        ``problem`` stays told of.

        False where the claim was lost: then nothing is moved, and what was sent will be sent again.
        """
        said: dict[str, Any] = {"failures": failures, "next_at": next_at}
        if problem is not None:
            said |= {"problem": problem, "failed_at": now, "holder": None, "held_until": now}
        if delivered:
            said["delivered_at"] = now
        async with self._database.system_step() as connection:
            mine = sinks.c.name == name, sinks.c.holder == holder
            if (await connection.execute(update(sinks).where(*mine).values(said))).rowcount != 1:
                return False
            rows = [
                {"p_tenant_id": tenant_id, "p_sink": name, "p_next": position, "p_tried_at": now}
                for tenant_id, position in moves.items()
            ]
            if rows:
                await connection.execute(_MOVE, rows)
            return True

    async def release(self, name: str, holder: UUID, *, now: datetime) -> None:
        """Give the sink back, where this holder has it."""
        async with self._database.system_step() as connection:
            mine = sinks.c.name == name, sinks.c.holder == holder
            await connection.execute(update(sinks).where(*mine).values(holder=None, held_until=now))

    async def standing(self) -> Sequence[Standing]:
        """Of each sink that was ever begun, by name."""
        ends = select(
            sinks.c.name, tenants.c.slug, func.coalesce(sink_positions.c.next, 0).label("next"), audit_heads.c.size
        ).select_from(
            sinks.join(audit_heads, literal(True))
            .join(tenants, tenants.c.id == audit_heads.c.tenant_id)
            .outerjoin(
                sink_positions,
                and_(sink_positions.c.tenant_id == audit_heads.c.tenant_id, sink_positions.c.sink == sinks.c.name),
            )
        )
        async with self._database.system_snapshot() as connection:
            rows = (await connection.execute(select(sinks).order_by(sinks.c.name))).all()
            by_sink: dict[str, dict[str, tuple[int, int]]] = {row.name: {} for row in rows}
            for end in await connection.execute(ends):
                by_sink[end.name][end.slug] = (end.next, end.size)
        return [
            Standing(
                row.name,
                row.began_at,
                row.next_at,
                row.failures,
                row.problem,
                row.failed_at,
                row.delivered_at,
                by_sink[row.name],
            )
            for row in rows
        ]


def _free(name: str, holder: UUID, now: datetime) -> tuple[Any, ...]:
    """The sink, where this holder may have it: an attempt is due, and nobody else is at it."""
    return sinks.c.name == name, sinks.c.next_at <= now, or_(sinks.c.held_until <= now, sinks.c.holder == holder)


def _waiting(name: str, slugs: Sequence[str] | None) -> Select[Any]:
    """Each tenant with events that the sink has not had."""
    mine = and_(sink_positions.c.tenant_id == audit_heads.c.tenant_id, sink_positions.c.sink == name)
    query = (
        select(audit_heads.c.tenant_id, tenants.c.slug, _NEXT.label("next"), audit_heads.c.size)
        .select_from(audit_heads.join(tenants, tenants.c.id == audit_heads.c.tenant_id).outerjoin(sink_positions, mine))
        .where(audit_heads.c.size > _NEXT)
    )
    return query if slugs is None else query.where(tenants.c.slug.in_(slugs))
