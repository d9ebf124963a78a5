"""The audit log: one sequencer per cluster drains the outbox into a per-tenant, gap-free, append-only log.

Each entry carries its RFC 9162 leaf hash from the first event on. As ``yett_system``, which may append and read here;
``yett_app`` may only read its own tenant's log.
"""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Row, Select, bindparam, delete, exists, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from policies.merkle import entry_hash, leaf_hash
from policies.severity import LEVELS
from tenants import audit_outbox
from tenants.audit_event import Event
from tenants.audit_selection import EVERYTHING, Selection
from tenants.database import Database
from tenants.tables import audit_events, audit_heads, tenants
from tenants.tables import audit_outbox as outbox

_LOCK = 0x79657474_61756474  # "yettaudt"
BATCH = 1000
"""Events that are moved at once."""
_LONGEST_SUBJECT = 254
_SEVERITIES: Mapping[str | None, int] = {
    severity: place for place, severity in enumerate(LEVELS)
}  # None for a later release's
_QUICK = 128  # rows that the event loop may wait for: less than a millisecond

# As many rows as are given, of tenants that are there and stay. inline: without RETURNING.
_PUT = (
    insert(outbox)
    .from_select(
        ["tenant_id", "salt", "event"],
        select(
            bindparam("p_tenant_id", type_=outbox.c.tenant_id.type),
            bindparam("p_salt", type_=outbox.c.salt.type),
            bindparam("p_event", type_=outbox.c.event.type),
        ).where(
            exists().where(
                tenants.c.id == bindparam("p_tenant_id", type_=outbox.c.tenant_id.type),
                tenants.c.deletion_began_at.is_(None),
            )
        ),
    )
    .inline()
)
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
_WAIT_FOR_LOCK = text("SELECT pg_advisory_xact_lock(:key)")
_ANY_PENDING = select(outbox.c.seq).limit(1)
_PENDING = select(outbox).order_by(outbox.c.seq).limit(BATCH)
_FORGET_PENDING = delete(outbox).where(outbox.c.seq.in_(bindparam("p_seqs", expanding=True)))
_SIZE = select(audit_heads.c.size).where(audit_heads.c.tenant_id == bindparam("p_tenant_id"))
_INSERT_HEAD = insert(audit_heads)
_GROW = update(audit_heads).where(audit_heads.c.tenant_id == bindparam("p_tenant_id"))
_APPEND = insert(audit_events)
_POSITION = audit_events.c.position
_BEGIN: BindParameter[int] = bindparam("p_begin")
_END: BindParameter[int] = bindparam("p_end")


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in a tenant's log. ``event`` and ``salt`` are None once they were erased; ``leaf`` stays."""

    tenant: str
    position: int
    leaf: bytes
    salt: bytes | None
    event: bytes | None


def _nobody(_tenant_ids: Iterable[UUID]) -> None:
    return None


class AuditLog:
    """Appends to and reads from all tenants' logs. ``appended`` is told whose have grown, once that is committed."""

    def __init__(self, database: Database, appended: Callable[[Iterable[UUID]], None] = _nobody) -> None:
        self._database = database
        self.sequenced: Counter[tuple[str, str]] = Counter()  # by type and outcome, since this process began
        self._appended = appended

    async def observe(self, events: Sequence[tuple[UUID, datetime, Event]]) -> None:
        """Put a batch of observations, of whatever tenants, into the outbox."""
        await self.append([audit_outbox.row(event, tenant_id, at) for tenant_id, at, event in events])

    async def append(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Put rows that ``audit_outbox.row`` made into the outbox. A tenant that is gone or going loses its own."""
        put = [{f"p_{name}": value for name, value in row.items()} for row in rows]
        async with self._database.system_step(in_thread=len(rows) > _QUICK) as connection:
            if put:
                await connection.execute(_PUT, put)

    async def sequence(self, *, wait: bool = False) -> int:
        """Move one batch from the outbox into the logs and say how many events it was.

        One transaction, and one sequencer at a time: a second one finds the lock taken and does nothing, or has to
        ``wait`` for its turn.
        """
        async with self._database.system_snapshot() as connection:  # asked first: a write lock is not free on SQLite
            if (await connection.execute(_ANY_PENDING)).scalar_one_or_none() is None:
                return 0
        async with self._database.system_step() as connection:
            if not self._database.is_sqlite:  # SQLite has one writer at a time by itself
                if wait:
                    await connection.execute(_WAIT_FOR_LOCK, {"key": _LOCK})
                elif not (await connection.execute(_TRY_LOCK, {"key": _LOCK})).scalar_one():
                    return 0
            pending = (await connection.execute(_PENDING)).all()
            if not pending:
                return 0
            by_tenant: dict[UUID, list[Row[Any]]] = defaultdict(list)
            for row in pending:
                by_tenant[row.tenant_id].append(row)
            kinds: Counter[tuple[str, str]] = Counter()
            for tenant_id, rows in by_tenant.items():
                kinds.update(await self._append(connection, tenant_id, rows))
            await connection.execute(_FORGET_PENDING, {"p_seqs": [row.seq for row in pending]})
        self.sequenced.update(kinds)
        self._appended(by_tenant)
        return len(pending)

    async def _append(
        self, connection: AsyncConnection, tenant_id: UUID, rows: Sequence[Row[Any]]
    ) -> list[tuple[str, str]]:
        mine = {"p_tenant_id": tenant_id}
        size = (await connection.execute(_SIZE, mine)).scalar_one_or_none()
        if size is None:
            size = 0
            await connection.execute(_INSERT_HEAD, {"tenant_id": tenant_id, "size": 0})
        events = [json.loads(row.event) for row in rows]
        positions = range(size, size + len(rows))
        entries = map(_entry_row, rows, events, repeat(tenant_id), positions)
        await connection.execute(_APPEND, list(entries))
        await connection.execute(_GROW, mine | {"size": size + len(rows)})
        return [(event["type"], event["outcome"]) for event in events]

    async def export(
        self, tenant_id: UUID, *, end: int | None = None, selection: Selection = EVERYTHING
    ) -> AsyncIterator[Entry]:
        """A tenant's log in order, in constant memory: what ``selection`` takes of the events before ``end``."""
        if end is None:
            async with self._database.system_snapshot() as connection:
                end = (await connection.execute(_SIZE, {"p_tenant_id": tenant_id})).scalar_one_or_none() or 0
        query = _entries().where(
            audit_events.c.tenant_id == tenant_id, *selection.conditions(), _POSITION >= _BEGIN, _POSITION < _END
        )
        # In steps of so many positions, not of so many that are found: no statement reads a long log for a few of them.
        for begin in range(0, end, BATCH):
            where = {"p_begin": begin, "p_end": min(begin + BATCH, end)}
            async with self._database.system_snapshot() as connection:
                rows = (await connection.execute(query.order_by(_POSITION), where)).all()
            for row in rows:
                yield _entry(row)

    async def entry(self, tenant_id: UUID, event_id: str) -> Entry | None:
        """The entry of the event that has this id."""
        query = _entries().where(audit_events.c.tenant_id == tenant_id, audit_events.c.id == event_id)
        async with self._database.system_snapshot() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _entry(row)

    async def newest(self, tenant_id: UUID | None, *, limit: int, selection: Selection = EVERYTHING) -> Sequence[Entry]:
        """The last entries of one tenant or of all that ``selection`` takes, oldest first."""
        query = _entries().where(*selection.conditions())
        query = query.order_by(audit_events.c.at.desc(), audit_events.c.tenant_id, audit_events.c.position.desc())
        if tenant_id is not None:
            query = query.where(audit_events.c.tenant_id == tenant_id)
        async with self._database.system_snapshot() as connection:
            rows = (await connection.execute(query.limit(limit))).all()
        return [_entry(row) for row in reversed(rows)]


async def hold_sequencer(connection: AsyncConnection) -> None:
    """No batch is moved until this transaction ends, which may take away whose events such a batch holds. As
    ``yett_system``.
    """
    if connection.dialect.name != "sqlite":  # which has one writer at a time by itself
        await connection.execute(_WAIT_FOR_LOCK, {"key": _LOCK})


def _entries() -> Select[Any]:
    return select(
        tenants.c.slug, audit_events.c.position, audit_events.c.leaf, audit_events.c.salt, audit_events.c.event
    ).join(tenants, tenants.c.id == audit_events.c.tenant_id)


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.slug, row.position, row.leaf, row.salt, row.event)


def _indexed(subject: str | None) -> str | None:
    """The subject as its column can hold it; the event keeps it whole. An event that no column takes would stop the
    sequencer for all tenants."""
    if subject is None:
        return None
    return subject.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST_SUBJECT]


def _entry_row(row: Row[Any], event: Mapping[str, Any], tenant_id: UUID, position: int) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "position": position,
        "id": event["id"],
        "type": event["type"],
        "subject": _indexed(event.get("subject")),
        "at": datetime.fromisoformat(event["time"]).astimezone(UTC),
        "leaf": leaf_hash(entry_hash(row.salt, row.event)),
        "salt": row.salt,
        "event": row.event,
        "severity": _SEVERITIES.get(event.get("severity")),
    }
