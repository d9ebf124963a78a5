"""Steps that follow each other on SQLite share a commit, and nothing else (rule 7)."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.database import Database, sqlite_engine
from tenants.write_line import WriteLine

MOST_TOGETHER = 32
Act = Callable[[AsyncConnection], Awaitable[Any]]


class Line:
    """A line of a database, whose first step waits until it is let go on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = Database.open(f"sqlite:///{path}")
        self.commits = 0
        self.committing = asyncio.Event()
        self.gate = asyncio.Event()
        for engine in (self.database.app, self.database.system):
            event.listen(engine.sync_engine, "commit", self._commit)

    def _commit(self, _connection: Any) -> None:
        self.commits += 1
        self.committing.set()

    async def write(self, body: str, act: Act | None = None) -> None:
        """A step that writes a note and does something more."""
        async with self.database.app_step(read_only=False) as connection:
            await connection.execute(text("INSERT INTO notes (body) VALUES (:body)"), {"body": body})
            if act is not None:
                await act(connection)

    async def held(self, _connection: AsyncConnection) -> None:
        """Until the gate opens."""
        await self.gate.wait()

    async def begin(self, *steps: Any) -> list["asyncio.Task[Any]"]:
        """Each of them in its place of the line."""
        tasks = []
        for step in steps:
            tasks.append(asyncio.create_task(step))
            await settle()
        return tasks

    def notes(self) -> list[str]:
        """What is committed, as another process sees it."""
        with closing(sqlite3.connect(self.path)) as other:
            return [body for (body,) in other.execute("SELECT body FROM notes ORDER BY id")]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def a_bug(_connection: AsyncConnection) -> None:
    raise ZeroDivisionError


async def lose(connection: AsyncConnection) -> None:
    """As where the disk is full: SQLite undoes the whole transaction."""
    await connection.execute(text("INSERT INTO traps VALUES (1)"))


async def lose_and_go_on(connection: AsyncConnection) -> None:
    with pytest.raises(IntegrityError):
        await lose(connection)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    line = Line(tmp_path / "line.db")
    async with line.database.system_step() as connection:
        await connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT UNIQUE)"))
        await connection.execute(text("CREATE TABLE traps (id INTEGER PRIMARY KEY)"))
        await connection.execute(
            text("CREATE TRIGGER trap BEFORE INSERT ON traps BEGIN SELECT RAISE(ROLLBACK, 'lost'); END")
        )
    line.commits = 0
    line.committing.clear()
    yield line
    await line.database.close()


async def test_steps_that_wait_for_each_other_are_committed_at_once(line: Line) -> None:
    tasks = await line.begin(line.write("a", line.held), *(line.write(body) for body in "bcde"))
    line.gate.set()
    await asyncio.gather(*tasks)

    assert (line.notes(), line.commits) == (["a", "b", "c", "d", "e"], 1)
    await line.write("f")
    assert (line.notes()[-1], line.commits) == ("f", 2)


async def test_nobody_goes_on_before_it_is_committed(line: Line) -> None:
    seen: list[list[str]] = []

    async def write(body: str, act: Act | None = None) -> None:
        await line.write(body, act)
        seen.append(line.notes())

    second = asyncio.Event()

    async def hold_too(_connection: AsyncConnection) -> None:
        await second.wait()

    tasks = await line.begin(write("a", line.held), write("b", hold_too))
    line.gate.set()
    await settle()
    assert (seen, line.notes()) == ([], [])
    second.set()
    await asyncio.gather(*tasks)
    assert seen == [["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("failing", range(3))
async def test_one_that_fails_takes_nobody_along(line: Line, failing: int) -> None:
    async def held_bug(connection: AsyncConnection) -> None:
        await line.held(connection)
        await a_bug(connection)

    first = held_bug if failing == 0 else line.held
    later = [line.write(body, a_bug if failing == place else None) for place, body in enumerate("bc", start=1)]
    tasks = await line.begin(line.write("a", first), *later)
    line.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers].index(ZeroDivisionError) == failing
    assert [answer for answer in answers if answer is not None] == [answers[failing]]
    assert line.notes() == [body for place, body in enumerate("abc") if place != failing]


async def test_a_savepoint_of_a_steps_own_ends_within_it(line: Line) -> None:
    async def nested(connection: AsyncConnection) -> None:
        with pytest.raises(IntegrityError):
            async with connection.begin_nested():
                await connection.execute(text("INSERT INTO notes (body) VALUES ('a')"))
        async with connection.begin_nested():
            await connection.execute(text("INSERT INTO notes (body) VALUES ('d')"))

    tasks = await line.begin(line.write("a", line.held), line.write("b", nested), line.write("c", a_bug))
    line.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [type(None), type(None), ZeroDivisionError]
    assert line.notes() == ["a", "b", "d"]


async def test_of_a_transaction_that_is_lost_nobody_is_told_that_it_is_there(line: Line) -> None:
    tasks = await line.begin(line.write("a", line.held), line.write("b"), line.write("c", lose), line.write("d"))
    line.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [OperationalError, OperationalError, IntegrityError, type(None)]
    assert line.notes() == ["d"]


@pytest.mark.parametrize("place", [0, 1])
async def test_who_does_not_mind_the_loss_is_told_of_it_too(line: Line, place: int) -> None:
    async def first(connection: AsyncConnection) -> None:
        await line.held(connection)
        if place == 0:
            await lose_and_go_on(connection)

    second = lose_and_go_on if place == 1 else None
    tasks = await line.begin(line.write("a", first), line.write("b", second), line.write("c"))
    line.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    lost = [OperationalError] * (place + 1)
    assert [type(answer) for answer in answers] == [*lost, *[type(None)] * (2 - place)]
    assert line.notes() == ["b", "c"][place:]


async def test_a_commit_that_fails_is_told_to_all_who_share_it(line: Line) -> None:
    async def owe(connection: AsyncConnection) -> None:
        await connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        await connection.execute(text("INSERT INTO owing VALUES (1, 7)"))

    async with line.database.system_step() as connection:
        await connection.execute(text("CREATE TABLE owing (id INTEGER PRIMARY KEY, note REFERENCES notes (id))"))
    tasks = await line.begin(line.write("a", line.held), line.write("b", owe), line.write("c"))
    line.gate.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [IntegrityError] * 3
    assert line.notes() == []
    await line.write("d")
    assert line.notes() == ["d"]


async def test_who_is_cancelled_takes_nobody_along(line: Line) -> None:
    inside, never = asyncio.Event(), asyncio.Event()

    async def hang(_connection: AsyncConnection) -> None:
        inside.set()
        await never.wait()

    steps = [line.write("a", line.held), line.write("b"), line.write("c", hang), line.write("d"), line.write("e")]
    tasks = await line.begin(*steps)
    first, waiting, hanging, _, last = tasks
    waiting.cancel()  # in the line
    last.cancel()
    line.gate.set()
    await inside.wait()
    first.cancel()  # before its commit
    hanging.cancel()  # in its step
    answers = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, True, True, False, True]
    assert line.notes() == ["a", "d"]
    await line.write("f")
    assert line.notes() == ["a", "d", "f"]


async def test_who_is_cancelled_when_the_turn_has_come_hands_it_on(line: Line) -> None:
    first, second, third = await line.begin(line.write("a", line.held), line.write("b"), line.write("c"))
    line.gate.set()
    while not line.notes() and not second.done():  # whenever it is, the others have theirs
        await asyncio.sleep(0)
        second.cancel()
    await asyncio.gather(first, third)
    assert set(line.notes()) >= {"a", "c"}


async def test_as_many_share_a_transaction_as_may(line: Line) -> None:
    bodies = [f"note {number:02}" for number in range(MOST_TOGETHER + 8)]
    tasks = await line.begin(line.write(bodies[0], line.held), *(line.write(body) for body in bodies[1:]))
    line.gate.set()
    await asyncio.gather(*tasks)

    assert (line.notes(), line.commits) == (bodies, 2)


async def test_what_is_of_all_tenants_shares_with_nobody_and_sees_what_was_before_it(line: Line) -> None:
    seen: list[Any] = []

    async def look() -> None:
        async with line.database.system_step(in_thread=False) as connection:
            seen.extend((await connection.execute(text("SELECT body FROM notes ORDER BY id"))).scalars())

    tasks = await line.begin(line.write("a", line.held), line.write("b"), look(), line.write("c"))
    line.gate.set()
    await asyncio.gather(*tasks)

    assert (seen, line.notes(), line.commits) == (["a", "b"], ["a", "b", "c"], 3)


async def test_who_waits_for_too_long_is_told_so(line: Line, tmp_path: Path) -> None:
    engine = sqlite_engine(f"sqlite:///{tmp_path / 'line.db'}", pool_size=2)
    impatient = WriteLine(engine, patience=0.01)
    async with impatient.alone():
        with pytest.raises(PoolTimeout):
            async with impatient.step():
                raise AssertionError("it is somebody else's turn")
    async with impatient.step() as connection:
        await connection.execute(text("INSERT INTO notes (body) VALUES ('later')"))
    assert line.notes() == ["later"]
    await engine.dispose()


async def test_what_nobody_waits_for_is_committed_before_the_database_is_closed(line: Line) -> None:
    writing = asyncio.create_task(line.write("a"))
    await line.committing.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await line.database.close()
    assert line.notes() == ["a"]
    with closing(sqlite3.connect(line.path)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, "no connection is left at it"


async def test_another_process_gets_its_turn_beside_a_line_that_never_ends(line: Line) -> None:
    """SQLite's waiting is to sleep and look again: the place has to stand empty now and then."""
    path, stop, numbers = line.path, asyncio.Event(), itertools.count()

    def other() -> None:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO notes (body) VALUES ('other')")
            connection.execute("COMMIT")

    async def busy() -> None:
        while not stop.is_set():
            await line.write(f"busy {next(numbers)}")

    writers = await line.begin(*(busy() for _ in range(2 * MOST_TOGETHER)))
    try:
        await asyncio.to_thread(other)
    finally:
        stop.set()
        await asyncio.gather(*writers)
    assert "other" in line.notes()
