"""Logins that have proved something and are not complete: what a page's cookie or an ``mfa_token`` stands for.

Owns the rows, the one conditional UPDATE that uses one up, and the count of wrong codes. What is still to be proved is
decided by ``policies.login``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.login import MAX_CODES
from tenants import opaque
from tenants.people_tables import logins
from tenants.pruning import delete_oldest

Kind = Literal["page", "token"]
_PREFIXES: Mapping[Kind, opaque.Prefix] = {"page": "ylg_", "token": "ymt_"}

_OF_TENANT = logins.c.tenant_id == bindparam("p_tenant_id")
_LIVE = (
    _OF_TENANT,
    logins.c.consumed_at.is_(None),
    logins.c.expires_at > bindparam("p_now"),
    logins.c.failures < MAX_CODES,
)
_INSERT = insert(logins)
_FIND = select(logins).where(*_LIVE, logins.c.digest == bindparam("p_digest"), logins.c.kind == bindparam("p_kind"))
_CONSUME = update(logins).where(*_LIVE, logins.c.id == bindparam("p_id"))
_COUNT_FAILURE = _CONSUME.values(failures=logins.c.failures + 1)
_CONSUME_ALL = update(logins).where(
    _OF_TENANT, logins.c.user_id == bindparam("p_user_id"), logins.c.consumed_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """``amr`` are the methods proved so far; ``session_id`` is the session that is to be stepped up, where one is.

    ``password_version`` is the version of the password that was proved; ``request`` is what the way in has to remember.
    """

    id: UUID
    kind: Kind
    user_id: UUID
    session_id: UUID | None
    client_id: str | None
    password_version: int | None
    amr: frozenset[str]
    request: Mapping[str, Any] = field(repr=False)
    expires_at: datetime


class Logins:
    """One tenant's pending logins."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def begin(
        self,
        kind: Kind,
        user_id: UUID,
        *,
        amr: Iterable[str],
        lifetime: timedelta,
        request: Mapping[str, Any],
        password_version: int | None = None,
        session_id: UUID | None = None,
        client_id: str | None = None,
    ) -> str:
        """A pending login; its secret is shown this once."""
        secret = opaque.new(_PREFIXES[kind])
        await self._connection.execute(
            _INSERT,
            {
                "tenant_id": self._tenant_id,
                "id": uuid4(),
                "kind": kind,
                "digest": opaque.digest(secret),
                "user_id": user_id,
                "session_id": session_id,
                "client_id": client_id,
                "password_version": password_version,
                "amr": sorted(amr),
                "request": dict(request),
                "failures": 0,
                "created_at": self._now,
                "expires_at": self._now + lifetime,
            },
        )
        return secret

    async def find(self, kind: Kind, unverified_secret: str) -> PendingLogin | None:
        """The one that this secret stands for, while it may be gone on with."""
        presented = {
            "p_tenant_id": self._tenant_id,
            "p_now": self._now,
            "p_digest": opaque.digest(unverified_secret),
            "p_kind": kind,
        }
        row = (await self._connection.execute(_FIND, presented)).one_or_none()
        if row is None:
            return None
        return PendingLogin(
            row.id,
            kind,
            row.user_id,
            row.session_id,
            row.client_id,
            row.password_version,
            frozenset(row.amr),
            row.request,
            row.expires_at,
        )

    async def count_failure(self, login: PendingLogin) -> bool:
        """A wrong code; at the fifth the login is over. False where it was over already: the code does not count."""
        counted = await self._connection.execute(_COUNT_FAILURE, self._live(login))
        return counted.rowcount == 1

    async def consume(self, login: PendingLogin) -> bool:
        """Use it up, once. False where another request was first, or where it is over."""
        consumed = await self._connection.execute(_CONSUME, self._live(login) | {"consumed_at": self._now})
        return consumed.rowcount == 1

    async def end_all(self, user_id: UUID) -> None:
        """End every pending login of a user: the password has changed, or the user is to be gone."""
        mine = {"p_tenant_id": self._tenant_id, "p_user_id": user_id}
        await self._connection.execute(_CONSUME_ALL, mine | {"consumed_at": self._now})

    def _live(self, login: PendingLogin) -> dict[str, Any]:
        return {"p_tenant_id": self._tenant_id, "p_now": self._now, "p_id": login.id}


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, logins.c.expires_at, logins.c.expires_at < expired_before)
