"""Sessions: what a login starts and a logout, an expiry or a replay ends. ``id`` is the ``sid`` of its tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.logout_notices import LogoutNotices
from tenants.pruning import delete_tokens, oldest
from tenants.revocations import Revocations
from tenants.tables import refresh_families, sessions
from tenants.visitor import UNKNOWN, Visitor

MOST_SESSIONS = 200
"""Of one user, those of applications among them."""
_SEEN_EVERY = timedelta(minutes=1)  # a page view within it writes nothing

_OF_TENANT = sessions.c.tenant_id == bindparam("p_tenant_id")
_BY_ID = select(sessions).where(_OF_TENANT, sessions.c.id == bindparam("p_id"))
_BY_DIGEST = select(sessions).where(_OF_TENANT, sessions.c.digest == bindparam("p_digest"))
_OF_USER = (
    select(sessions)
    .where(
        _OF_TENANT,
        sessions.c.user_id == bindparam("p_user_id"),
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > bindparam("p_now"),
    )
    .order_by(sessions.c.auth_time.desc())
)
_INSERT = insert(sessions)
_CHANGE = update(sessions).where(_OF_TENANT, sessions.c.id == bindparam("p_id"), sessions.c.ended_at.is_(None))
_RENEW = _CHANGE.where(sessions.c.expires_at > bindparam("p_now"))
_SURPLUS = (
    select(sessions.c.id)
    .where(
        _OF_TENANT,
        sessions.c.user_id == bindparam("p_user_id"),
        sessions.c.ended_at.is_(None),
        sessions.c.id != bindparam("p_id"),
    )
    .order_by(sessions.c.auth_time.desc())
    .offset(MOST_SESSIONS - 1)
    .with_for_update(skip_locked=True)
)


@dataclass(frozen=True, slots=True)
class Session:
    """A person, authenticated at ``auth_time`` by the methods ``amr`` (RFC 8176) to the level ``acr``.

    ``factor_waived``: a trusted device stood in for the second factor. ``client_id`` is the client of a session without
    a browser (password grant, device grant).
    """

    id: UUID
    user_id: UUID
    auth_time: datetime
    acr: str
    amr: frozenset[str]
    expires_at: datetime
    ended_at: datetime | None = None
    factor_waived: bool = False
    device_id: UUID | None = None
    client_id: str | None = None
    visitor: Visitor = UNKNOWN
    created_at: datetime | None = None
    seen_at: datetime | None = None

    def lives(self, now: datetime, *, idle: timedelta) -> bool:
        """Whether it is neither ended, nor over, nor idle for too long."""
        return self.ended_at is None and now < self.expires_at and now < (self.seen_at or self.auth_time) + idle


class Sessions:
    """One tenant's sessions. Whatever ends one leaves the notices for its clients in the same transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: UUID,
        revocations: Revocations,
        notices: LogoutNotices,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._revocations = revocations
        self._notices = notices
        self._now = now

    async def start(
        self,
        user_id: UUID,
        *,
        acr: str,
        amr: Iterable[str],
        expires_at: datetime,
        visitor: Visitor = UNKNOWN,
        client_id: str | None = None,
        device_id: UUID | None = None,
        factor_waived: bool = False,
        secret: str | None = None,
        auth_time: datetime | None = None,
    ) -> Session:
        """A session that begins now; with a ``secret`` it is a browser's (see ``start_in_browser``).

        ``auth_time`` where the person authenticated earlier, in another session that this one is derived from.
        """
        session = Session(
            uuid4(),
            user_id,
            auth_time or self._now,
            acr,
            frozenset(amr),
            expires_at,
            factor_waived=factor_waived,
            device_id=device_id,
            client_id=client_id,
            visitor=visitor,
            created_at=self._now,
            seen_at=self._now,
        )
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "id": session.id,
                "user_id": user_id,
                "digest": None if secret is None else opaque.digest(secret),
                "auth_time": session.auth_time,
                "acr": acr,
                "amr": sorted(session.amr),
                "factor_waived": factor_waived,
                "device_id": device_id,
                "client_id": client_id,
                "address": visitor.address,
                "user_agent": visitor.user_agent,
                "created_at": self._now,
                "seen_at": self._now,
                "expires_at": expires_at,
            },
        )
        await self._end_surplus(session)
        return session

    async def start_in_browser(self, user_id: UUID, **facts: Any) -> tuple[Session, str]:
        """``start``, and the secret for the cookie. It is shown this once."""
        secret = opaque.new("yss_")
        return await self.start(user_id, secret=secret, **facts), secret

    async def by_secret(self, unverified_secret: str, *, idle: timedelta) -> Session | None:
        """The living session of this cookie: neither ended, nor over, nor idle for too long."""
        presented = {"p_tenant_id": self._tenant_id, "p_digest": opaque.digest(unverified_secret)}
        row = (await self._connection.execute(_BY_DIGEST, presented)).one_or_none()
        session = None if row is None else _session(row)
        return session if session is not None and session.lives(self._now, idle=idle) else None

    async def touch(self, session: Session) -> None:
        """Say that it was seen now, unless that was said within the last minute."""
        if session.seen_at is not None and self._now - session.seen_at < _SEEN_EVERY:
            return
        await self._connection.execute(_CHANGE, self._is(session.id) | {"seen_at": self._now})

    async def renew(self, session: Session, *, acr: str, amr: Iterable[str]) -> tuple[Session, str] | None:
        """Step it up: authenticated now, to this level, under a new secret (the old cookie is worth nothing any more).
        None where it has ended meanwhile, or is over.
        """
        secret = opaque.new("yss_")
        methods = frozenset(amr)
        values = {
            "digest": opaque.digest(secret),
            "auth_time": self._now,
            "acr": acr,
            "amr": sorted(methods),
            "seen_at": self._now,
        }
        renewed = await self._connection.execute(_RENEW, self._is(session.id) | {"p_now": self._now} | values)
        if renewed.rowcount == 0:
            return None
        return replace(session, auth_time=self._now, acr=acr, amr=methods, seen_at=self._now), secret

    async def change_secret(self, session: Session) -> str | None:
        """A new secret for the same session: a copy of the old cookie is worth nothing any more. None where it has
        ended meanwhile.
        """
        secret = opaque.new("yss_")
        changed = await self._connection.execute(_CHANGE, self._is(session.id) | {"digest": opaque.digest(secret)})
        return secret if changed.rowcount else None

    async def get(self, session_id: UUID) -> Session | None:
        """By id, ended ones too."""
        row = (await self._connection.execute(_BY_ID, self._is(session_id))).one_or_none()
        return None if row is None else _session(row)

    async def of_user(self, user_id: UUID) -> Sequence[Session]:
        """Those that live, newest first."""
        mine = {"p_tenant_id": self._tenant_id, "p_user_id": user_id, "p_now": self._now}
        return [_session(row) for row in await self._connection.execute(_OF_USER, mine)]

    async def end(self, session_id: UUID) -> bool:
        """End it and refuse its tokens at once. False when there was nothing to end."""
        ended = await self._connection.execute(_CHANGE, self._is(session_id) | {"ended_at": self._now})
        if ended.rowcount == 0:
            return False
        await self._revocations.forbid("session", str(session_id))
        await self._notices.add_for([session_id])
        return True

    async def end_all(self, user_id: UUID) -> int:
        """End every session of a user, expired ones too: their refresh tokens may outlast them. Says how many."""
        return await self._end(sessions.c.user_id == user_id)

    async def end_others(self, user_id: UUID, keep: UUID) -> int:
        """``end_all``, but for the session ``keep``."""
        return await self._end(sessions.c.user_id == user_id, sessions.c.id != keep)

    async def end_of_device(self, user_id: UUID, device_id: UUID) -> int:
        """End the user's sessions that began on this device."""
        return await self._end(sessions.c.user_id == user_id, sessions.c.device_id == device_id)

    async def _end_surplus(self, newest: Session) -> None:
        """End the oldest of more than ``MOST_SESSIONS``: one account must not fill the table, nor make the end of its
        sessions something that everybody waits for. What another transaction is at is left to the next login.
        """
        others = self._is(newest.id) | {"p_user_id": newest.user_id}
        ids = list((await self._connection.execute(_SURPLUS, others)).scalars())
        if ids:
            await self._end(sessions.c.id.in_(ids))

    async def _end(self, *which: Any) -> int:
        ended = await self._connection.execute(
            update(sessions)
            .where(sessions.c.tenant_id == self._tenant_id, sessions.c.ended_at.is_(None), *which)
            .values(ended_at=self._now)
            .returning(sessions.c.id)
        )
        ids = list(ended.scalars())
        await self._revocations.forbid_all("session", [str(session_id) for session_id in ids])
        await self._notices.add_for(ids)
        return len(ids)

    def _is(self, session_id: UUID) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_id": session_id}


async def prune(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some sessions that ended before this, with their refresh families, unless one of those still lives (a
    refresh token outlasts the session that it came from), and their tokens before; whether there are more. As
    ``yett_system``."""
    living = (
        select(refresh_families.c.id)
        .where(
            refresh_families.c.tenant_id == sessions.c.tenant_id,
            refresh_families.c.session_id == sessions.c.id,
            refresh_families.c.expires_at >= before,
            refresh_families.c.revoked_at.is_(None),
        )
        .correlate(sessions)
    )
    expiry = sessions.c.expires_at
    some, more = await oldest(connection, expiry, expiry < before, ~living.exists())
    session = tuple_(refresh_families.c.tenant_id, refresh_families.c.session_id)
    if await delete_tokens(connection, session.in_(select(sessions.c.tenant_id, sessions.c.id).where(*some))):
        return True
    await connection.execute(delete(sessions).where(*some))
    return more


def _session(row: Row[Any]) -> Session:
    return Session(
        row.id,
        row.user_id,
        row.auth_time,
        row.acr,
        frozenset(row.amr),
        row.expires_at,
        row.ended_at,
        factor_waived=row.factor_waived,
        device_id=row.device_id,
        client_id=row.client_id,
        visitor=Visitor.of(ip_address(row.address), row.user_agent) if row.address else UNKNOWN,
        created_at=row.created_at,
        seen_at=row.seen_at,
    )
