"""What a release says to its database, kept as a file, so that later schemas can be held against it.

A recording is a list of transactions: the role, how it ended, and its statements with their parameters and how many
rows each found or changed. Run again on another schema, each has to be accepted and to find as many. Values that a
database draws itself are drawn again in the same order, so a recording and a replay begin on an empty database.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Binary
from psycopg.types.json import Json, Jsonb
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database


@dataclass
class Statement:
    text: str
    parameters: Any
    many: bool
    rows: int


@dataclass
class Transaction:
    role: str
    statements: list[Statement] = field(default_factory=list)
    kept: bool = False


@asynccontextmanager
async def recording(database: Database) -> AsyncIterator[list[Transaction]]:
    """Everything that is said to this database in the block, one transaction after the other."""
    found: list[Transaction] = []
    listeners = [
        listener
        for engine, role in ((database.app, "app"), (database.system, "system"), (database.feed, "system"))
        for listener in _listeners(engine, role, found)
    ]
    for listener in listeners:
        event.listen(*listener)
    yield found
    for listener in listeners:
        event.remove(*listener)


def _listeners(engine: AsyncEngine, role: str, found: list[Transaction]) -> list[tuple[Any, str, Any]]:
    def begin(_: Any) -> None:
        found.append(Transaction(role))

    def note(_: Any, cursor: Any, text: str, parameters: Any, __: Any, many: bool) -> None:
        found[-1].statements.append(Statement(text, parameters, many, cursor.rowcount))

    def keep(_: Any) -> None:
        found[-1].kept = True

    on = engine.sync_engine
    # Somebody who listens for what comes before keeps statements from taking the short way (tenants/prepared.py).
    heard = [("begin", begin), ("before_cursor_execute", lambda *_: None), ("after_cursor_execute", note)]
    return [(on, name, listener) for name, listener in [*heard, ("commit", keep)]]


def write(path: Path, transactions: list[Transaction]) -> None:
    """A line a transaction; a statement's text stands once, in the first line."""
    texts = {statement.text: None for transaction in transactions for statement in transaction.statements}
    numbers = {text: number for number, text in enumerate(texts)}
    lines = [json.dumps(list(numbers))]
    for transaction in transactions:
        said = [
            [numbers[statement.text], _plain(statement.parameters), int(statement.many), statement.rows]
            for statement in transaction.statements
        ]
        lines.append(json.dumps([transaction.role, int(transaction.kept), said], separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(path: Path) -> list[Transaction]:
    """What ``write`` wrote."""
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    texts = json.loads(first)
    return [
        Transaction(
            role,
            [Statement(texts[text], _value(values), bool(many), rows) for text, values, many, rows in said],
            bool(kept),
        )
        for role, kept, said in map(json.loads, rest)
    ]


async def replay(transactions: list[Transaction], *, app: str, system: str) -> list[str]:
    """Run them; what is told is each statement that did not do what it did then."""
    told: list[str] = []
    sessions = {"app": await _connect(app), "system": await _connect(system)}
    try:
        for transaction in transactions:
            session = sessions[transaction.role]
            for statement in transaction.statements:
                told += await _one(session, statement)
            await (session.commit if transaction.kept else session.rollback)()
    finally:
        for session in sessions.values():
            await session.close()
    return told


async def _one(session: AsyncConnection, statement: Statement) -> list[str]:
    text: Any = statement.text
    async with session.cursor() as cursor:
        await (cursor.executemany if statement.many else cursor.execute)(text, statement.parameters)
        if cursor.rowcount == statement.rows:
            return []
        return [f"{cursor.rowcount} rows and not {statement.rows}: {statement.text}"]


async def _connect(url: str) -> AsyncConnection:
    parts = make_url(url)
    named: dict[str, Any] = {**parts.translate_connect_args(username="user", database="dbname"), **parts.query}
    return await AsyncConnection.connect(**named)


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return {"uuid": str(value)}
        case bytes():
            return {"bytes": value.hex()}
        case Binary():
            return {"bytes": bytes(value.obj).hex()}
        case datetime():
            return {"at": value.isoformat()}
        case Json() | Jsonb():
            text = value.dumps(value.obj) if value.dumps else json.dumps(value.obj)
            return {"jsonb" if isinstance(value, Jsonb) else "json": json.loads(text)}
        case Mapping():
            return {"row": {name: _plain(item) for name, item in value.items()}}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | str():
            return value
    raise TypeError(f"no way to keep a {type(value).__name__}")


def _value(plain: Any) -> Any:
    match plain:
        case {"uuid": text}:
            return UUID(text)
        case {"bytes": text}:
            return bytes.fromhex(text)
        case {"at": text}:
            return datetime.fromisoformat(text)
        case {"json": value}:
            return Json(value)
        case {"jsonb": value}:
            return Jsonb(value)
        case {"row": values}:
            return {name: _value(item) for name, item in values.items()}
        case list():
            return [_value(item) for item in plain]
    return plain
