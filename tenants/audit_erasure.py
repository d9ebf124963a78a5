"""Erasing events from a tenant's log: body, salt and subject go, the leaf stays, and every proof with it.

What is left tells when an event was and of which type, and not of whom. As ``yett_system``, some rows in each step, so
that nobody waits for all of it.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.audit_tables import audit_trees
from tenants.database import Database
from tenants.tables import audit_events, audit_heads, tenants
from tenants.user_names import look_up_key

AT_ONCE = 1000
ERASED = "user.erased"
"""The event that says so; it names nobody but by an id that leads nowhere any more, and is not erased with the rest."""

_NAMED_ONLY = ("user.invited", "user.uninvited")  # of somebody who had no account yet
_MINE = audit_events.c.tenant_id == bindparam("p_tenant_id")
_POSITION = audit_events.c.position
_BEGIN: BindParameter[int] = bindparam("p_begin")
_END: BindParameter[int] = bindparam("p_end")
_OF_SUBJECT = (
    select(_POSITION)
    .where(_MINE, audit_events.c.subject == bindparam("p_subject"), audit_events.c.type != ERASED)
    .limit(AT_ONCE)
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
    .where(_MINE, _POSITION.in_(bindparam("p_positions", expanding=True)))
    .values(event=null(), salt=null(), subject=null())
)
_TREE = select(audit_trees.c.erased, audit_trees.c.size).where(audit_trees.c.tenant_id == bindparam("p_tenant_id"))
_ADVANCE = update(audit_trees).where(audit_trees.c.tenant_id == bindparam("p_tenant_id"))
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == bindparam("p_tenant_id"))


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

    async def erase_subject(self, tenant_id: UUID, subject: str, names: Collection[str] = ()) -> int:
        """Erase the events of one subject, and those that tell of nobody but one of these names (keys of
        user_names.py). Returns how many events that were.
        """
        total, mine = 0, {"p_tenant_id": tenant_id}
        while True:
            async with self._database.system_step() as connection:
                query = await connection.execute(_OF_SUBJECT, mine | {"p_subject": subject})
                found = query.scalars().all()
                await _erase(connection, tenant_id, found)
            total += len(found)
            if len(found) < AT_ONCE:
                break
        if names:
            total += await self._erase_named(tenant_id, names)
        return total

    async def erase_old(self) -> Sequence[Erased]:
        """Erase what is older than its tenant keeps events for, to the day."""
        async with self._database.system_snapshot() as connection:
            rows = (await connection.execute(select(tenants.c.id, tenants.c.lifetimes))).all()
        today = self._clock().replace(hour=0, minute=0, second=0, microsecond=0)
        done = []
        for tenant_id, lifetimes in rows:
            if "audit_events" in lifetimes:
                before = today - timedelta(seconds=lifetimes["audit_events"])
                if events := await self._erase_before(tenant_id, before):
                    done.append(Erased(tenant_id, events, before))
        return done

    async def _erase_named(self, tenant_id: UUID, names: Collection[str]) -> int:
        total, mine = 0, {"p_tenant_id": tenant_id}
        async with self._database.system_snapshot() as connection:
            size = (await connection.execute(_SIZE, mine)).scalar_one_or_none() or 0
        for begin in range(0, size, 10 * AT_ONCE):  # few of them are of these types
            window = {"p_begin": begin, "p_end": begin + 10 * AT_ONCE}
            async with self._database.system_snapshot() as connection:
                rows = (await connection.execute(_NAMED, mine | window)).all()
            found = [row.position for row in rows if look_up_key(json.loads(row.event).get("user_name", "")) in names]
            if found:
                async with self._database.system_step() as connection:
                    await _erase(connection, tenant_id, found)
                total += len(found)
        return total

    async def _erase_before(self, tenant_id: UUID, before: datetime) -> int:
        """From the front of the log to the first event that is not as old: those behind it have their turn after it."""
        total = 0
        while True:
            async with self._database.system_step() as connection:
                erased = await self._erase_some(connection, tenant_id, before)
            total += erased
            if erased < AT_ONCE:
                return total

    async def _erase_some(self, connection: AsyncConnection, tenant_id: UUID, before: datetime) -> int:
        mine = {"p_tenant_id": tenant_id}
        tree = (await connection.execute(_TREE, mine)).one_or_none()
        if tree is None:
            return 0
        window = {"p_begin": tree.erased, "p_end": min(tree.erased + AT_ONCE, tree.size)}
        rows = (await connection.execute(_OLDEST, mine | window)).all()
        old = [row.position for row in takewhile(lambda row: row.at < before, rows)]
        if old:
            await _erase(connection, tenant_id, old)
            await connection.execute(_ADVANCE, mine | {"erased": old[-1] + 1})
        return len(old)


async def _erase(connection: AsyncConnection, tenant_id: UUID, positions: Collection[int]) -> None:
    if positions:
        await connection.execute(_ERASE, {"p_tenant_id": tenant_id, "p_positions": list(positions)})
