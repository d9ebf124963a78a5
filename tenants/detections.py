"""How far a tenant's log was looked through, what is kept in mind of it, and what was found.

The place moves together with what is told (``advance``): it is told once, whatever ends in between and however many are
at it. Owns the rows; what is to be told is decided by ``policies.detection``. Which logs have grown is asked for all
tenants at once, as ``yett_system``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.database import Database
from tenants.detection_tables import audit_watches, user_countries
from tenants.tables import audit_events, audit_heads, tenants, users

EVENTS_AT_ONCE = 200
"""As many are read and judged before others have their turn: a millisecond or two."""
POSITIONS_AT_ONCE = 2000
"""Of a log, however few of its events say anything."""
_BEGINS_BEFORE = timedelta(hours=1)
_TENANTS_AT_ONCE = 100

_OF_TENANT = bindparam("p_tenant_id", type_=tenants.c.id.type)
_MINE = audit_watches.c.tenant_id == _OF_TENANT
_BEHIND = (
    select(audit_heads.c.tenant_id)
    .join(tenants, tenants.c.id == audit_heads.c.tenant_id)
    .join(audit_watches, audit_watches.c.tenant_id == audit_heads.c.tenant_id, isouter=True)
    .where(
        audit_heads.c.size > func.coalesce(audit_watches.c.position, 0),
        or_(tenants.c.delete_at.is_(None), tenants.c.delete_at > bindparam("p_now")),
    )
    .order_by(audit_heads.c.tenant_id)
    .limit(_TENANTS_AT_ONCE)
)
_PROGRESS = select(audit_watches.c.position, audit_watches.c.state).where(_MINE)
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == _OF_TENANT)
_FIRST_RECENT = select(func.min(audit_events.c.position)).where(
    audit_events.c.tenant_id == _OF_TENANT, audit_events.c.at >= bindparam("p_since")
)
_EVENTS = (
    select(audit_events.c.position, audit_events.c.event)
    .where(
        audit_events.c.tenant_id == _OF_TENANT,
        audit_events.c.position >= bindparam("p_begin"),
        audit_events.c.position < bindparam("p_end"),
        audit_events.c.event.is_not(None),
        audit_events.c.type.in_(bindparam("p_types", expanding=True)),
    )
    .order_by(audit_events.c.position)
    .limit(EVENTS_AT_ONCE)
)
# What was inserted is told, and not counted: a statement that SQLAlchemy runs has no count of an INSERT's rows.
_BEGIN = {
    "sqlite": sqlite_insert(audit_watches).on_conflict_do_nothing().returning(audit_watches.c.position),
    "postgresql": postgresql_insert(audit_watches).on_conflict_do_nothing().returning(audit_watches.c.position),
}
_MOVE = update(audit_watches).where(_MINE, audit_watches.c.position == bindparam("p_position"))
_COUNTRIES = select(user_countries.c.user_id, user_countries.c.country).where(
    user_countries.c.tenant_id == _OF_TENANT, user_countries.c.user_id.in_(bindparam("p_users", expanding=True))
)


def _remember(insert_country: Any) -> Any:
    there = select(
        users.c.tenant_id, users.c.id, bindparam("p_country"), bindparam("p_at", type_=users.c.created_at.type)
    )
    mine = there.where(users.c.tenant_id == _OF_TENANT, users.c.id == bindparam("p_user_id", type_=users.c.id.type))
    return insert_country.on_conflict_do_nothing().from_select(["tenant_id", "user_id", "country", "first_at"], mine)


_REMEMBER = {
    "sqlite": _remember(sqlite_insert(user_countries)),
    "postgresql": _remember(postgresql_insert(user_countries)),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """Events before ``position`` were looked at, and ``state`` is what is kept in mind of them; ``is_new`` where nobody
    has begun yet. The log has ``size`` events.
    """

    position: int
    state: Mapping[str, Any]
    size: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Read:
    """Events that say something, as they are stored; the next to be looked at is ``end``."""

    events: Sequence[bytes]
    end: int


class Detections:
    """One tenant's."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def progress(self) -> Progress:
        """Where to go on. A log that nobody looked at begins with its last hour: what is older is nobody's alarm."""
        mine = {"p_tenant_id": self._tenant_id}
        size: int = (await self._connection.execute(_SIZE, mine)).scalar_one_or_none() or 0
        row = (await self._connection.execute(_PROGRESS, mine)).one_or_none()
        if row is not None:
            return Progress(row.position, row.state, size, is_new=False)
        since = mine | {"p_since": self._now - _BEGINS_BEFORE}
        recent: int | None = (await self._connection.execute(_FIRST_RECENT, since)).scalar_one()
        return Progress(size if recent is None else recent, {}, size, is_new=True)

    async def read(self, begin: int, end: int, types: Collection[str]) -> Read:
        """Events of these types from ``begin`` on and before ``end``, as many as are read at once."""
        end = min(end, begin + POSITIONS_AT_ONCE)
        asked = {"p_tenant_id": self._tenant_id, "p_begin": begin, "p_end": end, "p_types": sorted(types)}
        rows = (await self._connection.execute(_EVENTS, asked)).all()
        if len(rows) == EVENTS_AT_ONCE:
            end = rows[-1].position + 1
        return Read([row.event for row in rows], end)

    async def countries(self, user_ids: Collection[UUID]) -> set[tuple[UUID, str]]:
        """From where these users have logged in."""
        asked = {"p_tenant_id": self._tenant_id, "p_users": list(user_ids)}
        return {(row.user_id, row.country) for row in await self._connection.execute(_COUNTRIES, asked)}

    async def advance(self, before: Progress, position: int, state: Mapping[str, Any]) -> bool:
        """Move on. To be done first in a transaction, and False where somebody else did: then nothing is to be told."""
        if before.is_new:
            first = {"tenant_id": self._tenant_id, "position": position, "state": state}
            begin = _BEGIN[self._connection.dialect.name]
            return (await self._connection.execute(begin, first)).one_or_none() is not None
        where = {"p_tenant_id": self._tenant_id, "p_position": before.position}
        return (await self._connection.execute(_MOVE, where | {"position": position, "state": state})).rowcount > 0

    async def remember_country(self, user_id: UUID, country: str) -> None:
        """They logged in from there. A user who is gone meanwhile is not."""
        where = {"p_tenant_id": self._tenant_id, "p_user_id": user_id, "p_country": country, "p_at": self._now}
        await self._connection.execute(_REMEMBER[self._connection.dialect.name], where)


async def behind(
    database: Database, now: datetime, *, after: UUID | None = None, until: UUID | None = None
) -> Sequence[UUID]:
    """Some tenants whose log was not looked through to its end, from the one that follows ``after``, to ``until``."""
    query = _BEHIND if after is None else _BEHIND.where(audit_heads.c.tenant_id > after)
    query = query if until is None else query.where(audit_heads.c.tenant_id <= until)
    async with database.system_snapshot() as connection:
        return (await connection.execute(query, {"p_now": now})).scalars().all()
