"""Sessions: what a login starts and a logout, an expiry or a replay ends. ``id`` is the ``sid`` of its tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.revocations import Revocations
from tenants.tables import refresh_families, sessions


@dataclass(frozen=True, slots=True)
class Session:
    """A person, authenticated at ``auth_time`` by the methods ``amr`` (RFC 8176) to the level ``acr``."""

    id: UUID
    user_id: UUID
    auth_time: datetime
    acr: str
    amr: frozenset[str]
    expires_at: datetime
    ended_at: datetime | None = None


class Sessions:
    """One tenant's sessions."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, revocations: Revocations, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._revocations = revocations
        self._now = now

    async def start(self, user_id: UUID, *, acr: str, amr: Iterable[str], expires_at: datetime) -> Session:
        """A session that begins now."""
        session = Session(uuid4(), user_id, self._now, acr, frozenset(amr), expires_at)
        await self._connection.execute(
            insert(sessions).values(
                tenant_id=self._tenant_id,
                id=session.id,
                user_id=user_id,
                auth_time=session.auth_time,
                acr=acr,
                amr=sorted(session.amr),
                expires_at=expires_at,
            )
        )
        return session

    async def get(self, session_id: UUID) -> Session | None:
        """By id, ended ones too."""
        query = select(sessions).where(sessions.c.tenant_id == self._tenant_id, sessions.c.id == session_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _session(row)

    async def of_user(self, user_id: UUID) -> Sequence[Session]:
        """Those that live, newest first."""
        query = select(sessions).where(
            sessions.c.tenant_id == self._tenant_id,
            sessions.c.user_id == user_id,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > self._now,
        )
        return [_session(row) for row in await self._connection.execute(query.order_by(sessions.c.auth_time.desc()))]

    async def end(self, session_id: UUID) -> bool:
        """End it and refuse its tokens at once. False when there was nothing to end."""
        ended = await self._connection.execute(
            update(sessions)
            .where(sessions.c.tenant_id == self._tenant_id, sessions.c.id == session_id, sessions.c.ended_at.is_(None))
            .values(ended_at=self._now)
        )
        if ended.rowcount == 0:
            return False
        await self._revocations.forbid("session", str(session_id))
        return True

    async def end_all(self, user_id: UUID) -> int:
        """End every session of a user, expired ones too: their refresh tokens may outlast them. Says how many."""
        ended = await self._connection.execute(
            update(sessions)
            .where(
                sessions.c.tenant_id == self._tenant_id, sessions.c.user_id == user_id, sessions.c.ended_at.is_(None)
            )
            .values(ended_at=self._now)
            .returning(sessions.c.id)
        )
        ids = list(ended.scalars())
        for session_id in ids:
            await self._revocations.forbid("session", str(session_id))
        return len(ids)


async def prune(connection: AsyncConnection, before: datetime) -> None:
    """Forget sessions that ended before this, with their refresh families, unless one of those still lives (a refresh
    token outlasts the session that it came from). As ``yett_system``."""
    living = select(refresh_families.c.id).where(
        refresh_families.c.tenant_id == sessions.c.tenant_id,
        refresh_families.c.session_id == sessions.c.id,
        refresh_families.c.expires_at >= before,
        refresh_families.c.revoked_at.is_(None),
    )
    await connection.execute(delete(sessions).where(sessions.c.expires_at < before, ~living.exists()))


def _session(row: Row[Any]) -> Session:
    return Session(row.id, row.user_id, row.auth_time, row.acr, frozenset(row.amr), row.expires_at, row.ended_at)
