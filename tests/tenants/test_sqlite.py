"""The SQLite driver: where its statements run, what waits for a lock, what a cancelled caller leaves behind."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.database import Database


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path / 'own.db'}")
    async with database.system_step() as connection:
        await connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT UNIQUE)"))
    yield database
    await database.close()


@pytest.fixture
def path(own: Database) -> str:
    return str(own.app.url.database)


async def threads_of(connection: AsyncConnection, act: Callable[[], Any]) -> set[int]:
    """Where SQLite was, while this was done."""
    found: set[int] = set()
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    driver.set_trace_callback(lambda _: found.add(threading.get_ident()))
    try:
        await act()
    finally:
        driver.set_trace_callback(None)
    return found


async def test_a_tenants_statements_run_where_they_are_asked_for(own: Database) -> None:
    async with own.app_step(read_only=False) as connection:
        statement = text("INSERT INTO notes (body) VALUES ('a')")
        assert await threads_of(connection, lambda: connection.execute(statement)) == {threading.get_ident()}


async def test_a_commit_that_wrote_waits_for_the_disk_in_a_thread(own: Database) -> None:
    async with own.app.connect() as connection:
        transaction = await connection.begin()
        await connection.execute(text("INSERT INTO notes (body) VALUES ('a')"))
        assert threading.get_ident() not in await threads_of(connection, transaction.commit)


async def test_a_commit_of_what_was_only_read_waits_for_nothing(own: Database) -> None:
    async with own.app.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        transaction = await connection.begin()
        await connection.execute(text("SELECT * FROM notes"))
        assert await threads_of(connection, transaction.commit) == {threading.get_ident()}


async def test_what_is_of_all_tenants_runs_in_a_thread(own: Database) -> None:
    statement = text("SELECT * FROM notes")
    async with own.system_step() as connection:
        assert threading.get_ident() not in await threads_of(connection, lambda: connection.execute(statement))
    async with own.system_snapshot() as connection:
        assert threading.get_ident() not in await threads_of(connection, lambda: connection.execute(statement))
    async with own.app_step(read_only=True) as connection:  # the pool's connection forgets it
        assert await threads_of(connection, lambda: connection.execute(statement)) == {threading.get_ident()}


async def test_who_finds_the_database_locked_waits_without_stopping_the_loop(own: Database, path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")

        async def write() -> None:
            async with own.app_step(read_only=False) as connection:
                await connection.execute(text("INSERT INTO notes (body) VALUES ('late')"))

        writing = asyncio.create_task(write())
        turns = 0
        while turns < 1000:  # the loop turns while another process has the lock
            await asyncio.sleep(0)
            turns += 1
        assert not writing.done()
        other.execute("COMMIT")
        await writing
        assert other.execute("SELECT body FROM notes").fetchall() == [("late",)]


async def test_a_cancelled_commit_has_happened_or_not_and_leaves_a_connection_that_serves(own: Database) -> None:
    async def write(body: str) -> None:
        async with own.app_step(read_only=False) as connection:
            await connection.execute(text("INSERT INTO notes (body) VALUES (:body)"), {"body": body})

    for number in range(40):
        writing = asyncio.create_task(write(f"note {number}"))
        for _ in range(number % 8):
            await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    await write("the last")
    async with own.app_step(read_only=True) as connection:
        bodies = (await connection.execute(text("SELECT body FROM notes ORDER BY id"))).scalars().all()
    assert bodies[-1] == "the last"


async def test_a_fault_is_the_drivers_own_and_the_connection_goes_on(own: Database) -> None:
    async with own.app_step(read_only=False) as connection:
        await connection.execute(text("INSERT INTO notes (body) VALUES ('a')"))
        with pytest.raises(IntegrityError):
            await connection.execute(text("INSERT INTO notes (body) VALUES ('a')"))
        with pytest.raises(OperationalError):
            await connection.execute(text("SELECT nothing"))
        assert (await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one() == 1


async def test_rows_are_read_one_by_one_in_parts_or_at_once(own: Database) -> None:
    async with own.app_step(read_only=False) as connection:
        added = text("INSERT INTO notes (body) VALUES (:body)")
        await connection.execute(added, [{"body": str(number)} for number in range(7)])
        result = await connection.execute(text("SELECT id FROM notes ORDER BY id"))
        assert result.fetchone() == (1,)
        assert result.fetchmany(2) == [(2,), (3,)]
        assert [row.id for row in result] == [4, 5, 6, 7]
        assert (await connection.execute(text("DELETE FROM notes WHERE id > 4"))).rowcount == 3
        assert (await connection.execute(text("SELECT id FROM notes WHERE id > 4"))).all() == []
