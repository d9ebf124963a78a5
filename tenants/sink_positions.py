"""Sinks of audit events: how far each has got in each tenant's log, who delivers to it, and how that went.

A sink is claimed by one conditional UPDATE for as long as a batch may take, so that one process of the cluster delivers
to it at a time, and no transaction is open while somebody is sent to (rule 7). Who loses a claim moves no position. Who
was well served keeps it, so that in a large cluster the others look at one row and no further; who was not gives it
back, since another process may reach the receiver.
A claim reads the logs that have grown since the one before, and not all of them: the database numbers them as they grow
(``audit_heads.moved``). Turns are counted and not timed, and a time from the future is not believed: clocks are set
back.
Delivery is at least once: who dies between a receiver's word and ``settle`` leaves a batch that is sent again. As
``yett_system``. What is sent, and how, is ``gateway.sinks``'s; ``sink_standing`` tells operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.cluster_tables import sink_positions, sinks
from tenants.database import Database
from tenants.schema import UtcDateTime
from tenants.sink_batch import OWING, WAITING, Batch, Terms, meant, owing, read_batch
from tenants.tables import audit_heads

_LONGEST_CLAIM = timedelta(minutes=3)  # a batch has two at most, and a little for the database

_P = sink_positions.c
_POSITION = update(sink_positions).where(_P.tenant_id == bindparam("p_tenant_id"), _P.sink == bindparam("p_sink"))
_MOVE = _POSITION.values(next=bindparam("p_next"), turn=bindparam("p_turn"))
_SENT = _POSITION.values(checkpoint=bindparam("p_size"), checkpoint_at=bindparam("p_due"))
_NEWEST_MOVE = select(func.coalesce(func.max(audit_heads.c.moved), 0)).scalar_subquery()


@dataclass(frozen=True, slots=True)
class Claim:
    """A batch that is this holder's to deliver. ``unheard``: more logs have grown. ``failures`` counts those attempts
    in a row that left something to send again.
    """

    batch: Batch
    unheard: bool
    failures: int
    term: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch went. ``moves``: of each tenant that was tried, the position that is wanted next; ``checkpoints``: of
    each whose checkpoint was tried, the size of the newest that the receiver has, the next one being due at
    ``checkpoint_due``. ``refused`` counts what it will never take.
    """

    moves: Mapping[UUID, int]
    checkpoints: Mapping[UUID, int]
    checkpoint_due: datetime
    failures: int
    problem: str | None
    delivered: bool
    refused: int
    next_at: datetime


class SinkPositions:
    """Of all sinks. ``heads_at_once``: of so many logs a claim hears at most that they have grown."""

    def __init__(self, database: Database, *, heads_at_once: int = 500) -> None:
        self._database = database
        self._heads_at_once = heads_at_once

    async def begin(self, name: str, *, from_now: bool, now: datetime) -> None:
        """Make the sink known, at the end of all logs or at their beginning; nothing, where it is known.

        A tenant that comes later is delivered from its first event on.
        """
        async with self._database.system_snapshot() as connection:
            if (await connection.execute(select(sinks.c.name).where(sinks.c.name == name))).one_or_none() is not None:
                return
        try:
            async with self._database.system_step() as connection:
                # The number first: a log that grows meanwhile is looked at once more, for nothing.
                seen = (await connection.execute(select(_NEWEST_MOVE))).scalar_one() if from_now else 0
                row = {"name": name, "began_at": now, "held_until": now, "next_at": now, "failures": 0}
                await connection.execute(insert(sinks), row | {"term": 0, "seen": seen, "refused": 0})
                if from_now:
                    await _make_positions(connection, name, audit_heads.c.size, now)
        except IntegrityError:  # another process was first, and has done the same
            return

    async def claim(self, name: str, holder: UUID, terms: Terms, *, now: datetime, until: datetime) -> Claim | None:
        """What is to be delivered next, each tenant's in order.

        None where there is nothing, in which case the sink is held all the same, or another process has it, or its time
        has not come.
        """
        async with self._database.system_snapshot() as connection:  # asked first: a write lock is not free on SQLite
            row = (await connection.execute(_look(name, terms, now))).one_or_none()
        if row is None or not _may_have(row, holder, now):
            return None
        idle = row.moved <= row.seen and not row.waits and not row.owes
        if idle and row.holder == holder and (until - now) / 2 < row.held_until - now <= until - now:
            return None
        term, unheard = row.term + 1, False
        as_read = sinks.c.holder.is_not_distinct_from(row.holder), sinks.c.held_until == row.held_until
        held = update(sinks).where(sinks.c.name == name, sinks.c.term == row.term, *as_read)
        async with self._database.system_step() as connection:
            taken = await connection.execute(held.values(holder=holder, held_until=until, term=term))
            if taken.rowcount != 1 or idle:
                return None
            if row.moved > row.seen:
                unheard = await self._hear(connection, name, row.seen, now)
            if terms.checkpoint_interval is not None:
                early = _P.checkpoint_at > now + terms.checkpoint_interval
                await connection.execute(
                    update(sink_positions).where(_P.sink == name, OWING, early).values(checkpoint_at=now)
                )
        async with self._database.system_snapshot() as connection:
            batch = await read_batch(connection, name, terms, failures=row.failures, now=now)
        return Claim(batch, unheard, row.failures, term)

    async def _hear(self, connection: AsyncConnection, name: str, seen: int, now: datetime) -> bool:
        """Take up the logs that have grown, in the order in which they did; whether there are more of them."""
        numbers = select(audit_heads.c.moved).where(audit_heads.c.moved > seen).order_by(audit_heads.c.moved)
        moved = (await connection.execute(numbers.limit(self._heads_at_once))).scalars().all()
        if not moved:  # the tenant of the one that was found is gone
            return False
        these = audit_heads.c.moved > seen, audit_heads.c.moved <= moved[-1]
        size = select(audit_heads.c.size).where(audit_heads.c.tenant_id == _P.tenant_id).scalar_subquery()
        due = case((or_(WAITING, OWING, _P.checkpoint_at > now), _P.checkpoint_at), else_=literal(now, UtcDateTime))
        mine = _P.sink == name, _P.tenant_id.in_(select(audit_heads.c.tenant_id).where(*these))
        await connection.execute(update(sink_positions).where(*mine).values(size=size, checkpoint_at=due))
        await _make_positions(connection, name, literal(0), now, *these)
        await connection.execute(update(sinks).where(sinks.c.name == name).values(seen=moved[-1]))
        return len(moved) == self._heads_at_once

    async def settle(self, name: str, holder: UUID, term: int, outcome: Outcome, *, now: datetime) -> bool:
        """Write down how it went. The last problem stays told of.

        False where the claim was lost: then nothing is moved, and what was sent will be sent again.
        """
        said: dict[str, Any] = {"failures": outcome.failures, "next_at": outcome.next_at, "failing_since": None}
        if outcome.problem is not None:
            said |= {"problem": outcome.problem, "failed_at": now}
        if outcome.failures:
            said |= {"holder": None, "held_until": now, "failing_since": func.coalesce(sinks.c.failing_since, now)}
        if outcome.delivered:
            said["delivered_at"] = now
        if outcome.refused:
            said["refused"] = sinks.c.refused + outcome.refused
        async with self._database.system_step() as connection:
            mine = sinks.c.name == name, sinks.c.holder == holder, sinks.c.term == term
            if (await connection.execute(update(sinks).where(*mine).values(said))).rowcount != 1:
                return False
            if moves := [
                {"p_tenant_id": tenant_id, "p_sink": name, "p_next": position, "p_turn": term}
                for tenant_id, position in outcome.moves.items()
            ]:
                await connection.execute(_MOVE, moves)
            if checkpoints := [
                {"p_tenant_id": tenant_id, "p_sink": name, "p_size": size, "p_due": outcome.checkpoint_due}
                for tenant_id, size in outcome.checkpoints.items()
            ]:
                await connection.execute(_SENT, checkpoints)
            return True

    async def behind(self, name: str, terms: Terms) -> int:
        """How many events wait, as far as was heard."""
        count = func.coalesce(func.sum(_P.size - _P.next), 0)
        async with self._database.system_snapshot() as connection:
            found = await connection.execute(meant(select(count).where(_P.sink == name, WAITING), terms))
        return int(found.scalar_one())

    async def release(self, name: str, holder: UUID, *, now: datetime) -> None:
        """Give the sink back, where this holder has it."""
        async with self._database.system_step() as connection:
            mine = sinks.c.name == name, sinks.c.holder == holder
            await connection.execute(update(sinks).where(*mine).values(holder=None, held_until=now))


def _may_have(row: Row[Any], holder: UUID, now: datetime) -> bool:
    """An attempt is due, and nobody else is at it. A failure in the future, and a claim for longer than there are any,
    are of a clock that was set back since: neither may silence the sink.
    """
    others = row.holder is not None and row.holder != holder and now < row.held_until <= now + _LONGEST_CLAIM
    pauses = row.failures > 0 and row.failed_at is not None and row.failed_at <= now < row.next_at
    return not others and not pauses


def _look(name: str, terms: Terms, now: datetime) -> Select[Any]:
    """The sink, and whether there is anything to do: each time a look at the end of one index."""
    waits = _any(meant(select(_P.turn).where(_P.sink == name, WAITING), terms).order_by(_P.turn))
    owes: Any = literal(False)
    if terms.checkpoint_interval is not None:
        owed = meant(owing(name).with_only_columns(_P.checkpoint_at).where(OWING), terms)
        due = owed.where(_P.checkpoint_at <= now).order_by(_P.checkpoint_at)
        early = owed.where(_P.checkpoint_at > now + terms.checkpoint_interval).order_by(_P.checkpoint_at)
        owes = or_(_any(due), _any(early))
    columns = _NEWEST_MOVE.label("moved"), waits.label("waits"), owes.label("owes")
    return select(sinks, *columns).where(sinks.c.name == name)


def _any(ordered: Select[Any]) -> ColumnElement[bool]:
    """Whether there is one. In order, though EXISTS would ask for none: PostgreSQL guesses that a comparison of two
    columns finds a third of all rows, and would read the table in place of the few that the index has.
    """
    return ordered.limit(1).scalar_subquery().is_not(None)


async def _make_positions(connection: AsyncConnection, name: str, begins: Any, now: datetime, *of: Any) -> None:
    """For those logs that the sink has none in."""
    known = exists().where(_P.tenant_id == audit_heads.c.tenant_id, _P.sink == name)
    made: dict[str, Any] = {
        "tenant_id": audit_heads.c.tenant_id,
        "sink": literal(name),
        "next": begins,
        "size": audit_heads.c.size,
        "turn": literal(0),
        "checkpoint": literal(0),
        "checkpoint_at": literal(now, UtcDateTime),
    }
    await connection.execute(
        insert(sink_positions).from_select(list(made), select(*made.values()).where(*of, ~known)).inline()
    )
