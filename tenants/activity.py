"""A user's own part of the audit log: what concerned them lately, for themselves to look at.

Reads only what the sequencer has put into the log, so the last moment's events follow a little later. What they mean in
words is the page's affair.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.tables import audit_events

AMONG = 5_000
"""Newest events of a user among which those of the wanted types are looked for. Who refreshes a token each minute has
as many in three days, and a page must not read years of them."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event. ``actor`` is who administered, where it was not the user; ``session_id`` the session that it was about
    or happened in; ``details`` are the event's own.
    """

    at: datetime
    type: str
    outcome: str
    reason: str | None
    actor: str | None
    client_id: str | None
    session_id: str | None
    address: str
    details: Mapping[str, Any]


class Activity:
    """One tenant's log, by user."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:  # noqa: ARG002 - as all
        self._connection = connection
        self._tenant_id = tenant_id

    async def of(self, user_id: UUID, *, types: Collection[str], limit: int, among: int = AMONG) -> Sequence[Happening]:
        """The newest ``limit`` events of these types, newest first, looked for among the user's newest ``among``.

        Those whose body was erased are left out.
        """
        newest = (
            select(audit_events.c.position, audit_events.c.type)
            .where(audit_events.c.tenant_id == self._tenant_id, audit_events.c.subject == str(user_id))
            .order_by(audit_events.c.position.desc())
            .limit(among)
            .subquery()
        )
        wanted = (
            select(audit_events.c.at, audit_events.c.event)
            .join(newest, newest.c.position == audit_events.c.position)
            .where(
                audit_events.c.tenant_id == self._tenant_id,
                audit_events.c.event.is_not(None),
                newest.c.type.in_(types),
            )
            .order_by(audit_events.c.position.desc())
            .limit(limit)
        )
        return [_happening(row) for row in await self._connection.execute(wanted)]

    async def any_of(self, user_id: UUID) -> bool:
        """Whether the log tells of this user at all."""
        mine = audit_events.c.tenant_id == self._tenant_id, audit_events.c.subject == str(user_id)
        return (
            await self._connection.execute(select(audit_events.c.position).where(*mine).limit(1))
        ).first() is not None


def _happening(row: Row[Any, Any]) -> Happening:
    event = json.loads(row.event)
    return Happening(
        at=row.at,
        type=event["type"],
        outcome=event["outcome"],
        reason=event.get("reason"),
        actor=event.get("actor"),
        client_id=event.get("client_id"),
        session_id=event.get("session_id"),
        address=event.get("address", ""),
        details=event.get("details", {}),
    )
