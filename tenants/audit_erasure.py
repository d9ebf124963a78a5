"""Erasing events from a tenant's log: body, salt and subject go, the leaf stays, and every proof with it.

What is left tells when an event was and of which type, and not of whom. As ``yett_system``, some rows in each step, so
that nobody waits for all of it; each step tells in the log how many it erased, so whoever is broken off has told of all
that he did, and only has to begin again.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import audit_outbox
from tenants.audit_event import Event
from tenants.audit_retention import retention_of
from tenants.audit_tables import audit_trees
from tenants.database import Database
from tenants.tables import audit_events, audit_heads, tenants
from tenants.tables import audit_outbox as outbox
from tenants.user_names import look_up_key

AT_ONCE = 1000
ERASED = "user.erased"
"""The person is gone. It names nobody but by an id that leads nowhere any more, and is not erased with the rest."""
EVENTS_ERASED = "audit.erased"
"""Of events, in the transaction that erases them; likewise."""

_NAMED_ONLY = ("user.invited", "user.uninvited")  # of somebody who had no account yet
_TELLING = (ERASED, EVENTS_ERASED)
_MINE = audit_events.c.tenant_id == bindparam("p_tenant_id")
_POSITION = audit_events.c.position
_BEGIN: BindParameter[int] = bindparam("p_begin")
_END: BindParameter[int] = bindparam("p_end")
_OF_SUBJECT = select(_POSITION).where(
    _MINE, audit_events.c.subject == bindparam("p_subject"), audit_events.c.type.not_in(_TELLING)
)
_NAMED = select(_POSITION, audit_events.c.event).where(
    _MINE,
    audit_events.c.subject.is_(None),
    audit_events.c.event.is_not(None),
    audit_events.c.type.in_(_NAMED_ONLY),
    audit_events.c.position >= _BEGIN,
    audit_events.c.position < _END,
)
_OLDEST = (
    select(_POSITION, audit_events.c.at)
    .where(_MINE, audit_events.c.position >= _BEGIN, audit_events.c.position < _END)
    .order_by(_POSITION)
)
_ERASE = (
    update(audit_events)
    .where(_MINE, _POSITION.in_(bindparam("p_positions", expanding=True)), audit_events.c.event.is_not(None))
    .values(event=null(), salt=null(), subject=null())
)
# Held until the commit: another process that erases the same log begins where this one has ended.
_TREE = (
    select(audit_trees.c.erased, audit_trees.c.size)
    .where(audit_trees.c.tenant_id == bindparam("p_tenant_id"))
    .with_for_update()
)
_ADVANCE = update(audit_trees).where(audit_trees.c.tenant_id == bindparam("p_tenant_id"))
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == bindparam("p_tenant_id"))
_TELL = insert(outbox).inline()
# Of each log with a retention, the first event that is not erased for its age, if it stands in the tree.
_FRONTS = (
    select(tenants.c.id, tenants.c.audit_retention, audit_events.c.at)
    .join(audit_trees, audit_trees.c.tenant_id == tenants.c.id)
    .join(audit_events, (audit_events.c.tenant_id == tenants.c.id) & (audit_trees.c.erased == _POSITION))
    .where(
        tenants.c.audit_retention.is_not(None),
        tenants.c.deletion_began_at.is_(None),
        audit_trees.c.erased < audit_trees.c.size,
    )
)


class Erased(NamedTuple):
    """What was erased from one log for its age."""

    tenant_id: UUID
    events: int
    before: datetime


class AuditErasure:
    """Erases from the logs of all tenants."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def erase_subject(self, tenant_id: UUID, subject: str, *, actor: str) -> int:
        """Erase the events of one subject. Returns how many that were."""
        total, more = 0, True
        asked = {"p_tenant_id": tenant_id, "p_subject": subject}
        told = Event(type=EVENTS_ERASED, outcome="success", subject=subject, actor=actor)
        while more:
            async with self._database.system_step() as connection:
                found = (await connection.execute(_OF_SUBJECT.limit(AT_ONCE), asked)).scalars().all()
                total += await self._erase(connection, tenant_id, found, told)
            more = len(found) == AT_ONCE
        return total

    async def erase_named(self, tenant_id: UUID, names: Collection[str], *, actor: str) -> int:
        """Erase the events that tell of nobody but one of these names (keys of user_names.py): of who had no account
        when they were invited. Returns how many that were.
        """
        total, mine = 0, {"p_tenant_id": tenant_id}
        told = Event(type=EVENTS_ERASED, outcome="success", actor=actor)
        async with self._database.system_snapshot() as connection:
            size = (await connection.execute(_SIZE, mine)).scalar_one_or_none() or 0
        for begin in range(0, size, 10 * AT_ONCE):  # few of them are of these types
            window = {"p_begin": begin, "p_end": begin + 10 * AT_ONCE}
            async with self._database.system_snapshot() as connection:
                rows = (await connection.execute(_NAMED, mine | window)).all()
            found = [row.position for row in rows if look_up_key(json.loads(row.event).get("user_name", "")) in names]
            if found:
                async with self._database.system_step() as connection:
                    total += await self._erase(connection, tenant_id, found, told)
        return total

    async def erase_old(self) -> Sequence[Erased]:
        """Erase what is older than its tenant keeps events for, to the day. Nothing is written where nothing is due.

        Raises:
            ExceptionGroup: of the tenants that failed, once all had their turn.
        """
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._database.system_snapshot() as connection:
            fronts = (await connection.execute(_FRONTS)).all()
        done, failures = list[Erased](), list[Exception]()
        for front in fronts:
            try:
                done += await self._erase_where_due(*front, today)
            except Exception as error:  # noqa: BLE001 - raised below, with the others'
                failures.append(error)
        if failures:
            raise ExceptionGroup("events could not be erased", failures)
        return done

    async def _erase_where_due(
        self, tenant_id: UUID, retention: int | None, front: datetime, today: datetime
    ) -> Sequence[Erased]:
        before = today - retention_of(retention)
        if front >= before:
            return ()
        return (Erased(tenant_id, await self._erase_before(tenant_id, before), before),)

    async def _erase_before(self, tenant_id: UUID, before: datetime) -> int:
        """From the front of the log to the first event that is not as old: those behind it have their turn after it."""
        total = 0
        while True:
            async with self._database.system_step() as connection:
                passed, erased = await self._erase_some(connection, tenant_id, before)
            total += erased
            if passed < AT_ONCE:
                return total

    async def _erase_some(self, connection: AsyncConnection, tenant_id: UUID, before: datetime) -> tuple[int, int]:
        """How many were passed by, and how many of them were not erased before."""
        mine = {"p_tenant_id": tenant_id}
        tree = (await connection.execute(_TREE, mine)).one_or_none()
        if tree is None:
            return 0, 0
        window = {"p_begin": tree.erased, "p_end": min(tree.erased + AT_ONCE, tree.size)}
        rows = (await connection.execute(_OLDEST, mine | window)).all()
        old = [row.position for row in takewhile(lambda row: row.at < before, rows)]
        if not old:
            return 0, 0
        told = Event(type=EVENTS_ERASED, outcome="notice", actor="schedule", details={"before": before.isoformat()})
        erased = await self._erase(connection, tenant_id, old, told)
        await connection.execute(_ADVANCE, mine | {"erased": old[-1] + 1})
        return len(old), erased

    async def _erase(
        self, connection: AsyncConnection, tenant_id: UUID, positions: Collection[int], told: Event
    ) -> int:
        """Erase these, where they were not before, and tell of it in the same transaction."""
        if not positions:
            return 0
        found = {"p_tenant_id": tenant_id, "p_positions": list(positions)}
        erased = (await connection.execute(_ERASE, found)).rowcount
        if erased:
            event = told._replace(count=erased)
            await connection.execute(_TELL, audit_outbox.row(event, tenant_id, self._clock()))
        return erased
