"""The ordered feed by which every process hears of a change in under a second (rule 5).

Writers take a transaction-level lock last, just before the sequence number is drawn: without it a number drawn early
and committed late would be skipped by a reader that had already gone past it. SQLite has one writer at a time anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.pruning import delete_oldest
from tenants.tables import changes

ChangeKind = Literal["tenant", "revocation", "api_key"]

_LOCK = 0x79657474_66656564  # "yettfeed"
BATCH = 1_000
"""As many are applied before others have their turn: a few milliseconds."""
_CLIENT = "client:"

_TAKE_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
# inline: without RETURNING, which needs a right to read that ``yett_app`` does not have here.
_INSERT = insert(changes).inline()
_NEWEST = select(func.max(changes.c.seq))
_SINCE = (
    select(changes.c.seq, changes.c.tenant_id, changes.c.kind, changes.c.ref)
    .where(changes.c.seq >= bindparam("p_seq"))
    .order_by(changes.c.seq)
    .limit(bindparam("p_limit", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a process may hold in memory is no longer so. ``ref`` names the row within the tenant."""

    seq: int
    tenant_id: UUID
    kind: ChangeKind
    ref: str


def of_client(client_id: str) -> str:
    """The ``ref`` of a change of kind ``tenant`` that changed this one client and nothing else of its tenant."""
    return f"{_CLIENT}{client_id}"


def client_in(ref: str) -> str | None:
    """The client that ``of_client`` made this ``ref`` of; None where more than a client may have changed."""
    return ref.removeprefix(_CLIENT) if ref.startswith(_CLIENT) else None


class ChangeWriter:
    """Collects one transaction's changes and writes them as its last act."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, *, locked: bool) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._locked = locked
        self._pending: dict[tuple[ChangeKind, str], None] = {}

    def note(self, kind: ChangeKind, ref: str = "") -> None:
        """Remember that something changed; the same change twice is one."""
        self._pending[(kind, ref)] = None

    async def flush(self, now: datetime) -> None:
        """Write what was noted. The lock lasts until the commit that follows."""
        if not self._pending:
            return
        if self._locked:
            await self._connection.execute(_TAKE_LOCK, {"key": _LOCK})
        rows = [{"tenant_id": self._tenant_id, "kind": kind, "ref": ref, "at": now} for kind, ref in self._pending]
        for row in rows:  # one by one: a multi-row insert does not promise sequence numbers in this order
            await self._connection.execute(_INSERT, row)
        self._pending.clear()


async def position(connection: AsyncConnection) -> int:
    """The newest number of the feed, 0 when it is empty. As ``yett_system``."""
    newest: int | None = (await connection.execute(_NEWEST)).scalar_one()
    return newest or 0


async def since(connection: AsyncConnection, seq: int, *, limit: int = BATCH) -> Sequence[Change] | None:
    """At most ``limit`` changes after ``seq``, oldest first. As ``yett_system``.

    None where number ``seq`` itself is not there (any more): the database was restored, or a fail-over lost it, and
    numbers that were heard once will mean other changes. Or it was pruned. All has to be loaded anew.
    """
    rows = await connection.execute(_SINCE, {"p_seq": seq, "p_limit": limit + 1})
    found = [Change(row.seq, row.tenant_id, row.kind, row.ref) for row in rows]
    if seq == 0:
        return found[:limit]
    return found[1:] if found and found[0].seq == seq else None


async def prune(connection: AsyncConnection, before: datetime) -> bool:
    """Forget some of what every living process has heard, but never the newest row, which is the position; whether
    there is more. As ``yett_system``.
    """
    newest = _NEWEST.scalar_subquery()
    return await delete_oldest(connection, changes.c.at, changes.c.at < before, changes.c.seq < newest)
