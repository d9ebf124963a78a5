"""The move of all that is sealed to another master key: the walk over the rows, and what is sealed under which key.

Which columns those are, their type says (``schema.Sealed``). A row's place in an envelope is its table, its column, its
tenant and the rest of its primary key as text; the tenant's id where there is no rest, and no tenant for what is
nobody's. A named exception that looks across tenants, as ``yett_system``.

A portion is one transaction of bounded size. On PostgreSQL it takes rows that nobody holds and leaves the others for
the next time, so that it never waits for a writer while writers wait for it; SQLite has one writer at a time. A row is
written only if its envelope is the one that was opened. What is moved already is found no more, so that a walk which
was broken off is gone on with by beginning anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Row,
    Table,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import audit_outbox
from tenants.audit_event import Event
from tenants.database import Database
from tenants.schema import Sealed
from tenants.sealing import MasterKeys, Unsealable, envelope_head
from tenants.tables import audit_outbox as outbox
from tenants.tables import installation, metadata

_PORTION: Final = 500

_TELL = insert(outbox).inline()


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column of envelopes."""

    table: Table
    column: Column[Any]

    @property
    def name(self) -> str:
        """As ``table.column``."""
        return f"{self.table.name}.{self.column.name}"

    @property
    def key(self) -> tuple[Column[Any], ...]:
        """The primary key, in which a walk goes."""
        return tuple(self.table.primary_key)

    def place(self, key: Sequence[Any]) -> dict[str, str]:
        """Where the row of this key is, as its seal names it."""
        rest = list(zip(self.key, key, strict=True))
        tenant = str(rest.pop(0)[1]) if rest[0][0].name == "tenant_id" else ""
        row = _text(rest[0][1]) if rest else tenant
        return {"tenant": tenant, "table": self.table.name, "row": row, "column": self.column.name}


def sealed_columns() -> Sequence[SealedColumn]:
    """All of them. The check of start-up comes last: while it is under the old key, no process without that starts."""
    found = [
        SealedColumn(table, column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Sealed)
    ]
    return sorted(found, key=lambda each: (each.table is installation, each.name))


@dataclass(frozen=True, slots=True)
class Count:
    """``rows`` of a column are sealed under this key; under None, what is no envelope."""

    column: str
    key_id: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Portion:
    """What became of some rows. ``unopened`` names those that could not be opened and why, ``last`` is where the next
    portion goes on; None at the end.
    """

    resealed: int
    unopened: Sequence[str] = field(default=())
    last: Sequence[Any] | None = None


class Resealing:
    """Moves to the key of the ring that seals. ``portion`` is how many rows a transaction has."""

    def __init__(
        self, database: Database, master_keys: MasterKeys, clock: Callable[[], datetime], *, portion: int = _PORTION
    ) -> None:
        self._database = database
        self._master_keys = master_keys
        self._clock = clock
        self._portion = portion

    async def counts(self) -> Sequence[Count]:
        """What is sealed under which key, of each column. Reads all of them."""
        found = []
        async with self._database.system_snapshot() as connection:
            for sealed in sealed_columns():
                key_id = _key_id(sealed.column, on_sqlite=self._database.is_sqlite)
                query = select(key_id, func.count()).where(sealed.column.is_not(None)).group_by(key_id)
                for id_, rows in await connection.execute(query):
                    shown = None if id_ is None else bytes(id_).decode("ascii", errors="backslashreplace")
                    found.append(Count(sealed.name, shown, rows))
        return found

    async def rehearse(self, sealed: SealedColumn, after: Sequence[Any] | None = None) -> Portion:
        """What ``reseal`` would do to the next rows after this key."""
        async with self._database.system_snapshot() as connection:
            rows = (await connection.execute(self._query(sealed, after))).all()
        changes, unopened = self._resealed(sealed, rows)
        return Portion(len(changes), unopened, self._last(sealed, rows))

    async def reseal(
        self, sealed: SealedColumn, after: Sequence[Any] | None = None, *, platform: UUID, actor: str
    ) -> Portion:
        """Move the next rows after this key, and tell of it in the log of ``platform``, in one transaction."""
        held = self._query(sealed, after).with_for_update(key_share=True, skip_locked=True)
        async with self._database.system_step() as connection:
            rows = (await connection.execute(held)).all()
            changes, unopened = self._resealed(sealed, rows)
            done = await self._write(connection, sealed, changes) if changes else 0
            if done:
                event = Event(
                    type="master_key.resealed",
                    outcome="success",
                    actor=actor,
                    count=done,
                    details={"column": sealed.name, "master_key": self._master_keys.active_id},
                )
                await connection.execute(_TELL, audit_outbox.row(event, platform, self._clock()))
        return Portion(done, unopened, self._last(sealed, rows))

    def _query(self, sealed: SealedColumn, after: Sequence[Any] | None) -> Any:
        head = envelope_head(self._master_keys.active_id)
        wanted: list[ColumnElement[bool]] = [
            sealed.column.is_not(None),
            func.substr(sealed.column, 1, len(head)) != head,
        ]
        if after is not None:
            values = (literal(value, column.type) for column, value in zip(sealed.key, after, strict=True))
            wanted.append(tuple_(*sealed.key) > tuple_(*values))
        return select(*sealed.key, sealed.column).where(*wanted).order_by(*sealed.key).limit(self._portion)

    def _resealed(self, sealed: SealedColumn, rows: Sequence[Row[Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        changes, unopened = [], []
        for row in rows:
            *key, before = tuple(row)
            place = sealed.place(key)
            try:
                secret = self._master_keys.open(bytes(before), **place)
            except Unsealable as error:
                unopened.append(f"{sealed.name} of row {place['row']}, tenant {place['tenant'] or '-'}: {error}")
                continue
            values = {f"p_{column.name}": value for column, value in zip(sealed.key, key, strict=True)}
            changes.append({**values, "p_before": before, "p_after": self._master_keys.seal(secret, **place)})
        return changes, unopened

    def _last(self, sealed: SealedColumn, rows: Sequence[Row[Any]]) -> Sequence[Any] | None:
        return tuple(rows[-1])[: len(sealed.key)] if len(rows) == self._portion else None

    async def _write(self, connection: AsyncConnection, sealed: SealedColumn, changes: list[dict[str, Any]]) -> int:
        same = [column == bindparam(f"p_{column.name}") for column in sealed.key]
        values: dict[str, Any] = {sealed.column.name: bindparam("p_after")}
        if sealed.table is installation:  # what stands in for unknown users is drawn by it, and must not change
            values["stand_in_secret"] = func.coalesce(installation.c.stand_in_secret, bindparam("p_before"))
        write = update(sealed.table).where(*same, sealed.column == bindparam("p_before")).values(**values)
        return (await connection.execute(write, changes)).rowcount


def _key_id(column: Column[Any], *, on_sqlite: bool) -> ColumnElement[Any]:
    """The id in an envelope's head (sealing.py), in SQL; NULL for what is none."""
    length = func.unicode(func.substr(column, 2, 1)) if on_sqlite else func.get_byte(column, 1)
    is_one = and_(func.length(column) > 2, func.substr(column, 1, 1) == envelope_head("")[:1])
    return case((is_one, func.substr(column, 3, length)), else_=None)


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
