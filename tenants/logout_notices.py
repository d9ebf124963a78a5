"""Which clients a session was used for, and the notices of its end that they are still to get (OpenID Connect
Back-Channel Logout 1.0).

``Sessions`` and ``Users`` put a notice here in the transaction that ends a session; a job makes a logout token of it
and delivers that. A client that does not answer has all of its notices wait together, and no other client's.

Delivery is at least once: a process that dies between a client's answer and ``done`` leaves a notice that is sent
again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CTE, Integer, ScalarSelect, Select, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.provider_tables import logout_notices, session_clients
from tenants.pruning import delete_oldest
from tenants.tables import clients, sessions

_WANTED = clients.c.options["backchannel_logout_uri"].as_string().is_not(None)

_USED_BY = {
    "sqlite": sqlite_insert(session_clients).on_conflict_do_nothing(),
    "postgresql": postgresql_insert(session_clients).on_conflict_do_nothing(),
}
# Whoever ends the session waits until this client is seen, or this waits and finds the session ended.
_HELD = (
    select(sessions.c.ended_at)
    .where(sessions.c.tenant_id == bindparam("p_tenant_id"), sessions.c.id == bindparam("p_session_id"))
    .with_for_update(key_share=True)
)
_TO_BE_TOLD = (
    select(session_clients.c.client_id, session_clients.c.session_id, sessions.c.user_id)
    .join(
        sessions,
        (sessions.c.tenant_id == session_clients.c.tenant_id) & (sessions.c.id == session_clients.c.session_id),
    )
    .join(
        clients,
        (clients.c.tenant_id == session_clients.c.tenant_id) & (clients.c.client_id == session_clients.c.client_id),
    )
    .where(
        session_clients.c.tenant_id == bindparam("p_tenant_id"),
        session_clients.c.session_id.in_(bindparam("p_session_ids", expanding=True)),
        _WANTED,
    )
)
_INSERT = insert(logout_notices)
_MINE = (
    logout_notices.c.tenant_id == bindparam("p_tenant_id"),
    logout_notices.c.id == bindparam("p_id"),
)
_TAKE = (
    update(logout_notices)
    .where(*_MINE, logout_notices.c.next_at <= bindparam("p_now"))
    .values(next_at=bindparam("p_until"), attempts=logout_notices.c.attempts + 1)
    .returning(
        logout_notices.c.client_id,
        logout_notices.c.session_id,
        logout_notices.c.subject,
        logout_notices.c.created_at,
        logout_notices.c.attempts,
    )
)
_RETRY = update(logout_notices).where(*_MINE, logout_notices.c.attempts == bindparam("p_attempts"))
# What another process is at is skipped: two that give notices of one client back must not wait for each other.
_OTHERS = (
    select(logout_notices.c.id)
    .where(
        logout_notices.c.tenant_id == bindparam("p_tenant_id"),
        logout_notices.c.client_id == bindparam("p_client_id"),
        logout_notices.c.next_at < bindparam("p_until"),
    )
    .with_for_update(skip_locked=True)
)
_OTHERS_WAIT = (
    update(logout_notices)
    .where(logout_notices.c.tenant_id == bindparam("p_tenant_id"), logout_notices.c.id.in_(_OTHERS))
    .values(next_at=bindparam("p_until"))
)
_DONE = delete(logout_notices).where(*_MINE)


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """One that this process has taken. ``attempts`` counts this one, too; ``subject`` is whose session ended."""

    id: UUID
    client_id: str
    session_id: UUID
    subject: str
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class DueNotice:
    """One whose time has come."""

    tenant_id: UUID
    client_id: str
    id: UUID


class LogoutNotices:
    """One tenant's notices of logouts."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def used_by(self, session_id: UUID, client_id: str) -> None:
        """Say that this client got tokens of this session, each time or the first time only. Where the session has
        ended meanwhile, the client is told of that as well.
        """
        ids = {"p_tenant_id": self._tenant_id, "p_session_id": session_id}
        held = (await self._connection.execute(_HELD, ids)).one_or_none()
        row = {
            "tenant_id": self._tenant_id,
            "session_id": session_id,
            "client_id": client_id,
            "first_at": self._now,
        }
        await self._connection.execute(_USED_BY[self._connection.dialect.name], row)
        if held is not None and held.ended_at is not None:
            await self._add(session_id, only=client_id)

    async def add_for(self, session_ids: Sequence[UUID]) -> None:
        """Leave a notice for each client that these sessions, which have ended, were used for and that wants to know.

        One look-up where there is none.
        """
        if session_ids:
            await self._add(*session_ids)

    async def take(self, notice_id: UUID, *, lease: timedelta) -> LogoutNotice | None:
        """Take a notice that is due: until the lease is over nobody else can. None where another process has it."""
        values = {"p_now": self._now, "p_until": self._now + lease}
        row = (await self._connection.execute(_TAKE, self._is(notice_id) | values)).one_or_none()
        if row is None:
            return None
        return LogoutNotice(notice_id, row.client_id, row.session_id, row.subject, row.created_at, row.attempts)

    async def retry(self, notice: LogoutNotice, until: datetime, *, counted: bool = True) -> None:
        """Give a notice back, to be tried again then, and have the client's other ones wait until then as well.
        Nothing where another process has taken it since.

        Not ``counted``, in the transaction that took it: nobody has looked at it, and the next attempt is its first.
        """
        attempts = notice.attempts if counted else notice.attempts - 1
        values = {"p_attempts": notice.attempts, "next_at": until, "attempts": attempts}
        given_back = await self._connection.execute(_RETRY, self._is(notice.id) | values)
        if given_back.rowcount:
            of_client = {"p_tenant_id": self._tenant_id, "p_client_id": notice.client_id, "p_until": until}
            await self._connection.execute(_OTHERS_WAIT, of_client)

    async def done(self, notice: LogoutNotice) -> bool:
        """It has been delivered, or never will be. False where it was gone already."""
        return (await self._connection.execute(_DONE, self._is(notice.id))).rowcount == 1

    async def _add(self, *session_ids: UUID, only: str | None = None) -> None:
        ended = {"p_tenant_id": self._tenant_id, "p_session_ids": list(session_ids)}
        rows = [
            {
                "tenant_id": self._tenant_id,
                "id": uuid4(),
                "client_id": found.client_id,
                "session_id": found.session_id,
                "subject": str(found.user_id),
                "created_at": self._now,
                "next_at": self._now,
                "attempts": 0,
            }
            for found in await self._connection.execute(_TO_BE_TOLD, ended)
            if only in (None, found.client_id)
        ]
        if rows:
            await self._connection.execute(_INSERT, rows)

    def _is(self, notice_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_id": notice_id}


async def due(connection: AsyncConnection, now: datetime, *, limit: int) -> Sequence[DueNotice]:
    """Notices whose time has come: of each client its first one only, and every tenant's first client before anybody's
    second. As ``yett_system``.

    No client waits behind what another one has to get, and no more is read than a few probes of an index for each
    tenant and client that waits.
    """
    asked = {"p_now": now, "p_limit": limit}
    tenant_ids = (await connection.execute(_TENANTS_IN_TURN, asked)).scalars().all()
    turns = []
    for tenant_id in tenant_ids:
        theirs = _of_tenant(tenant_id, now, limit=-(-limit // len(tenant_ids)))
        turns.append([DueNotice(tenant_id, row.found, row.id) for row in await connection.execute(theirs)])
    return [notice for turn in zip_longest(*turns) for notice in turn if notice is not None][:limit]


def _of_tenant(tenant_id: UUID, now: datetime, *, limit: int) -> Select[Any]:
    """The first notice of each client, of those whose time has come."""
    own = logout_notices.c.tenant_id == tenant_id
    waiting = _each(logout_notices.c.client_id, own)
    of_client = own, logout_notices.c.client_id == waiting.c.found
    by_client = (
        select(
            waiting.c.found,
            _first(logout_notices.c.next_at, *of_client).label("first"),
            _first(logout_notices.c.id, *of_client).label("id"),
        )
        .where(waiting.c.found.is_not(None))
        .subquery()
    )
    found = select(by_client.c.found, by_client.c.id).where(by_client.c.first <= now)
    return found.order_by(by_client.c.first).limit(limit)


def _first(column: Any, *where: Any) -> ScalarSelect[Any]:
    """Of the notice that is due before the others: the oldest, where several are due at once."""
    in_order = select(column).where(*where).order_by(logout_notices.c.next_at, logout_notices.c.created_at)
    return in_order.limit(1).scalar_subquery()


def _each(column: Any, *where: Any) -> CTE:
    """Every value that the column has, from one to the next without reading what lies between; a NULL is the end."""
    lowest = select(column).where(*where).order_by(column).limit(1)
    found = select(lowest.scalar_subquery().label("found")).cte("waiting", recursive=True)
    following = lowest.where(column > found.c.found).scalar_subquery()
    return found.union_all(select(following).where(found.c.found.is_not(None)))


def _tenants_in_turn() -> Select[Any]:
    """Tenants that have a notice whose time has come, who waited longest first."""
    waiting = _each(logout_notices.c.tenant_id)
    theirs = select(logout_notices.c.next_at).where(logout_notices.c.tenant_id == waiting.c.found)
    first = theirs.order_by(logout_notices.c.next_at).limit(1).scalar_subquery()
    by_tenant = select(waiting.c.found, first.label("first")).where(waiting.c.found.is_not(None)).subquery()
    due_now = select(by_tenant.c.found).where(by_tenant.c.first <= bindparam("p_now", type_=by_tenant.c.first.type))
    return due_now.order_by(by_tenant.c.first).limit(bindparam("p_limit", type_=Integer))


_TENANTS_IN_TURN = _tenants_in_turn()  # asked twice a second, for nothing mostly


async def prune(connection: AsyncConnection, created_before: datetime) -> bool:
    """Forget some notices that nobody delivered; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, logout_notices.c.created_at, logout_notices.c.created_at < created_before)
