"""Identifiers that count once: of client assertions (RFC 7523), DPoP proofs (RFC 9449), request objects (RFC 9101).

Owns the rows, and the one INSERT that tells the first from all others. What an identifier is made of, and for how long
it has to be remembered, is its kind's own affair.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import opaque
from tenants.provider_tables import seen_ids
from tenants.pruning import delete_oldest

Kind = Literal["assertion", "dpop", "request_object"]

_INSERT: Mapping[str, Any] = {"sqlite": sqlite_insert(seen_ids), "postgresql": postgresql_insert(seen_ids)}
# Whether a row was written is asked by RETURNING: the count of an INSERT is not every driver's to tell.
_INSERT_FIRST = {
    dialect: insert.on_conflict_do_nothing().returning(seen_ids.c.kind) for dialect, insert in _INSERT.items()
}


class SeenIds:
    """One tenant's identifiers that were seen."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def first_time(self, kind: Kind, identifier: str, expires_at: datetime) -> bool:
        """Remember it. False where it was seen before.

        ``identifier`` names whose it is as well: two clients may draw the same. ``expires_at`` is when whatever carries
        it is refused for its age, or later.
        """
        row = {
            "tenant_id": self._tenant_id,
            "kind": kind,
            "digest": opaque.digest(identifier),
            "expires_at": expires_at,
        }
        written = await self._connection.execute(_INSERT_FIRST[self._connection.dialect.name], row)
        return written.one_or_none() is not None


async def prune(connection: AsyncConnection, expired_before: datetime) -> bool:
    """Forget some of those whose time is over; whether there are more. As ``yett_system``."""
    return await delete_oldest(connection, seen_ids.c.expires_at, seen_ids.c.expires_at < expired_before)
