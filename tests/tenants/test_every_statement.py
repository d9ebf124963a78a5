"""Every statement that the product issues as ``yett_app``, run again for somebody else: row-level security alone holds.

The statements are those of every method of the store (``ATTEMPTS`` has a line for each, and nothing else speaks SQL as
that role), as the driver got them, parameters included. Each is run as it stands while ``yett.tenant`` names another
tenant, an unknown one or none: the ``WHERE tenant_id`` that all of them carry asks for the first tenant's rows.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection, AsyncCursor
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.errors import StoreError
from tenants.sealing import Unsealable
from tenants.store import Store, TenantStore
from tenants.tables import metadata
from tests.conftest import Clock
from tests.tenants.conftest import an_app, dump
from tests.tenants.test_isolation import ATTEMPTS, NEWCOMER, Inhabitants, settle
from tests.tenants.test_row_level_security import OWNED, PRIVILEGES, TREES, WRITABLE, as_tenant, updatable

pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)  # SQLite has no such policies

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)")
NOBODY = (None, "", str(UUID(int=7)))  # no setting, what a pooled connection keeps of one, a tenant that is not there
_EMPTY = (None, 0, False, "", [])  # what count, EXISTS and a lock's function say of no row at all


@dataclass(frozen=True)
class Issued:
    """A statement as the driver got it. ``touched``: it found or changed rows of the tenant whose it was."""

    text: str
    parameters: Any
    many: bool
    touched: bool

    @property
    def verb(self) -> str:
        return self.text.split(None, 1)[0]

    @property
    def verbs(self) -> set[str]:
        """The rights that it needs: what is told of rows is read, and a conflict may be an update."""
        more = {"UPDATE", "SELECT"} if "DO UPDATE" in self.text else set()
        return {self.verb} | more | ({"SELECT"} if "RETURNING" in self.text else set())

    @property
    def tables(self) -> set[str]:
        return set(_TABLES.findall(self.text)) & set(OWNED)

    @property
    def asks_for_rows(self) -> bool:
        """No savepoint, and not what says for whom the transaction is: to run that again would undo the question."""
        return self.verb in VERBS and "set_config('yett.tenant'" not in self.text


@contextmanager
def capturing(engine: AsyncEngine) -> Iterator[list[Issued]]:
    """All that this engine is told."""
    issued: list[Issued] = []

    def note(_: Any, cursor: Any, statement: str, parameters: Any, __: Any, many: bool) -> None:
        issued.append(Issued(statement, parameters, many, cursor.rowcount != 0))

    def no_short_way(*_: Any) -> None:
        """Who listens for this keeps statements from running past the events (tenants/prepared.py)."""

    event.listen(engine.sync_engine, "before_cursor_execute", no_short_way)
    event.listen(engine.sync_engine, "after_cursor_execute", note)
    yield issued
    event.remove(engine.sync_engine, "after_cursor_execute", note)
    event.remove(engine.sync_engine, "before_cursor_execute", no_short_way)


class NotKept(Exception):
    """Rolls back what a method did, so that the next one finds everything as it was."""


async def run_each_method(store: Store, me: Inhabitants) -> None:
    """Every method of the store on the tenant's own ids. What it answers is other tests' business."""
    for call, _ in ATTEMPTS.values():
        try:
            async with store.for_tenant(me.tenant_id) as my:
                await _once(call, my, me)
                raise NotKept
        except (NotKept, StoreError, Unsealable, DBAPIError):
            continue


async def undo_an_import(store: Store, me: Inhabitants) -> None:
    """What the attempts cannot do, whose import is not theirs: take back a user that it made."""
    async with store.for_tenant(me.tenant_id) as my:
        begun = await my.imports.begin(bytes(32), 1)
        await my.imports.write(begun, [NEWCOMER])
        await my.imports.undo(begun.id)


async def _once(call: Callable[[TenantStore, Inhabitants], Awaitable[Any]], my: TenantStore, me: Inhabitants) -> None:
    try:
        await call(my, me)
    except (StoreError, Unsealable):
        return  # its statements were issued all the same


@dataclass
class Again:
    """What came of a statement that was run for somebody else."""

    rows: list[tuple[Any, ...]]
    changed: int
    refused: bool


async def run_again(connection: AsyncConnection, issued: Issued, tenant: str | None) -> Again:
    """In a transaction of its own, as the tenant of the setting; what it does is kept, so that a dump shows it."""
    try:
        async with connection.transaction(), connection.cursor() as cursor:
            if tenant is not None:
                await cursor.execute("SELECT set_config('yett.tenant', %s, true)", [tenant])
            return await _execute(cursor, issued)
    except InsufficientPrivilege:
        return Again([], 0, True)


async def _execute(cursor: AsyncCursor[Any], issued: Issued) -> Again:
    text: Any = issued.text
    if issued.many:
        await cursor.executemany(text, issued.parameters)
    else:
        await cursor.execute(text, issued.parameters)
    rows = await cursor.fetchall() if cursor.description is not None else []
    return Again(rows, 0 if issued.verb == "SELECT" else cursor.rowcount, False)


def table_of(issued: list[Issued]) -> dict[str, Counter[str]]:
    """How many statements of each kind there are of each table, and how many of them found or changed a row."""
    table: dict[str, Counter[str]] = {name: Counter() for name in OWNED}
    for each in issued:
        for name in each.tables:
            table[name].update(each.verbs)
            table[name]["touched"] += each.touched
    return table


def as_text(table: dict[str, Counter[str]]) -> str:
    columns = (*VERBS, "touched")
    lines = [" ".join(f"{counts[column]:>8}" for column in columns) + f"  {name}" for name, counts in table.items()]
    return "\n".join([" ".join(f"{column:>8}" for column in columns), *lines])


async def test_no_statement_of_the_product_reaches_another_tenants_rows(
    database: Database, directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock
) -> None:
    with capturing(database.app) as issued:
        me = await settle(directory, store, clock, 1)
        async with store.for_tenant(me.tenant_id) as mine:  # several attempts name these
            await mine.clients.create(an_app("only-theirs"))
            await mine.roles.create("only-theirs", ["admin"])
            await mine.groups.create("only-theirs", roles=["only-theirs"])
        await AuditLog(database).sequence()
        async with store.for_tenant(me.tenant_id) as mine:
            await mine.audit.add(Event(type="test", outcome="notice"))
        await run_each_method(store, me)
        await undo_an_import(store, me)
    other = await settle(directory, store, clock, 2)
    await AuditLog(database).sequence()
    issued = [each for each in issued if each.asks_for_rows]

    table = table_of(issued)
    shown = as_text(table)
    for name in sorted(set(OWNED) - SYSTEMS):
        assert table[name]["touched"], f"nothing of {name} was found or changed:\n{shown}"
    granted = {
        (name, verb)
        for name in OWNED
        for verb in {right.split()[0] for right in PRIVILEGES["yett_app"].get(name, ())} & set(VERBS)
    }
    unissued = {(name, verb) for name, verb in granted if not table[name][verb]}
    assert unissued == NEVER_ISSUED, f"{unissued ^ NEVER_ISSUED}:\n{shown}"

    before = await dump(superuser)
    parts = database.app.url
    named: dict[str, Any] = {**parts.translate_connect_args(username="user", database="dbname"), **parts.query}
    async with await AsyncConnection.connect(**named, autocommit=True) as connection:
        for tenant in (*NOBODY, str(other.tenant_id)):
            for each in issued:
                again = await run_again(connection, each, tenant)
                if each.verb == "INSERT" and each.tables:
                    assert again.refused or again.changed == 0, (tenant, each.text)
                told = [value for row in again.rows for value in row if value not in _EMPTY]
                assert not told, (tenant, each.text, told)
                assert again.changed <= 0, (tenant, each.text)
        assert await dump(superuser) == before
        asked = [each for each in issued if each.verb == "SELECT"]
        found = [each for each in asked if (await run_again(connection, each, str(me.tenant_id))).rows]
        assert len(found) > len(asked) / 2, "whose rows they are finds them in this very way"


SYSTEMS = {"budgets", "sinks", "sink_positions"} | TREES
"""What only ``yett_system`` writes and reads."""

NEVER_ISSUED = {
    ("api_keys", "DELETE"),  # where a tenant has 5,000
}


async def test_nothing_is_written_by_hand_for_nobody(
    database: Database, directory: Directory, store: Store, superuser: AsyncEngine, clock: Clock
) -> None:
    me = await settle(directory, store, clock, 1)
    before = await dump(superuser)
    for name in WRITABLE:
        table = metadata.tables[name]
        owner = "id" if name == "tenants" else "tenant_id"
        async with superuser.connect() as connection:
            mine = (await connection.execute(table.select().where(table.c[owner] == me.tenant_id))).first()
        assert mine is not None, name
        copy = table.insert().inline().values(mine._mapping)
        writes = [f"UPDATE {name} SET {column} = {column}" for column in updatable(name)]
        if "DELETE" in PRIVILEGES["yett_app"][name]:
            writes.append(f"DELETE FROM {name}")
        for tenant in NOBODY:
            with pytest.raises(DBAPIError, match="row-level security"):
                async with as_tenant(database.app, tenant) as connection:
                    await connection.execute(copy)
            async with as_tenant(database.app, tenant) as connection:
                for write in writes:
                    assert (await connection.execute(text(write))).rowcount == 0, (tenant, write)
    assert await dump(superuser) == before
