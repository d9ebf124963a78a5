"""A tenant's log, page by page, newest first. As ``yett_app``, so under row-level security like all that is a tenant's.

What the sequencer has not put into the log yet follows a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.audit_selection import Selection
from tenants.tables import audit_events, audit_heads

AT_ONCE = 5_000
"""Places of a log that one page looks through: no request reads years of it for a few events."""


class ReadEvent(NamedTuple):
    """``event`` None: it was erased."""

    position: int
    event: bytes | None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """``goes_on_at`` is where the next page begins, None at the end of the log."""

    rows: Sequence[ReadEvent]
    goes_on_at: int | None


class AuditReading:
    """One tenant's log."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def before(
        self, position: int | None, *, selection: Selection, limit: int, at_once: int = AT_ONCE
    ) -> ReadPage:
        """What ``selection`` takes of the events before this position (None: of all), at most ``limit`` of them."""
        end = await self._size() if position is None else position
        begin = max(0, end - at_once)
        query = (
            select(audit_events.c.position, audit_events.c.event)
            .where(
                audit_events.c.tenant_id == self._tenant_id,
                audit_events.c.position >= begin,
                audit_events.c.position < end,
                *selection.conditions(),
            )
            .order_by(audit_events.c.position.desc())
            .limit(limit)
        )
        rows = [ReadEvent(row.position, row.event) for row in await self._connection.execute(query)]
        follows = rows[-1].position if len(rows) == limit else begin
        return ReadPage(rows, follows or None)

    async def _size(self) -> int:
        query = select(audit_heads.c.size).where(audit_heads.c.tenant_id == self._tenant_id)
        return (await self._connection.execute(query)).scalar_one_or_none() or 0
