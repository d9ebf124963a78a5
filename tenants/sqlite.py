"""SQLite under SQLAlchemy's asyncio: the standard library's driver, whose statements run where they are asked for.

A statement of a tenant's step reads or writes a few pages that are in memory: 10 to 50 µs, in which the event loop may
well stand. Handing it to a thread costs several times that, and beside a busy loop a hundred times, while a writer
keeps all others waiting (docs/benchmarks.md). What can take longer goes to a thread all the same: a commit, which waits
for the disk; what finds the database locked by another process; and every statement of a connection that says so.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy import URL, AdaptedConnection, AsyncAdaptedQueuePool, Pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util.concurrency import await_, in_greenlet

from tenants.give_way import GiveWay

DRIVER = "sqlite+yett"
"""The ``drivername`` of an engine's URL."""

BUSY_TIMEOUT_MS = 10_000
_PRIMARY_CODE = 0xFF
_STATEMENTS = 512  # more than there are in the code, so that each is prepared once
_THREADS = 8
_STEP = 0.0003  # seconds in which statements follow each other, before others have their turn

_T = TypeVar("_T")


class Cursor:
    """PEP 249's. Its rows are fetched as soon as there are any, since whoever asks for them cannot wait."""

    __slots__ = ("_connection", "_cursor", "_rows", "arraysize")

    def __init__(self, connection: "SqliteConnection") -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor = connection.driver_connection.cursor()
        self._rows: deque[Any] = deque()
        self.arraysize = 1

    @property
    def description(self) -> Any:
        """The columns, or None where there is no result."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """The rows that were changed; -1 where none could be."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Of the row that was inserted last."""
        return self._cursor.lastrowid

    def execute(self, statement: str, parameters: Any = ()) -> None:
        """Run one statement to its end."""
        self._rows = self._connection.run(partial(self._run, statement, parameters))

    def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        """Run one statement, which has no result, for each of the parameters."""
        self._connection.run(partial(self._cursor.executemany, statement, parameters))

    def fetchone(self) -> Any:
        """The next row, or None."""
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, as many as there are of ``size``."""
        return [self._rows.popleft() for _ in range(min(size or self.arraysize, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def setinputsizes(self, *sizes: Any) -> None:
        """Nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Forget the rows."""
        self._rows.clear()
        self._cursor.close()

    async def _async_soft_close(self) -> None:
        """What SQLAlchemy asks of a cursor whose rows it will read outside of its greenlets: they are here."""

    def _run(self, statement: str, parameters: Any) -> deque[Any]:
        self._cursor.execute(statement, parameters)
        return deque(self._cursor.fetchall() if self._cursor.description is not None else ())


class SqliteConnection(AdaptedConnection):
    """PEP 249's, of one task at a time. ``in_thread``: every statement goes there, since it may take long;
    ``query_only``: nothing is written.
    """

    __slots__ = ("_give_way", "_step_ends", "_threads", "in_thread", "query_only")

    def __init__(self, connection: sqlite3.Connection, threads: ThreadPoolExecutor, give_way: GiveWay) -> None:
        self._connection: Any = connection
        self._threads = threads
        self._give_way = give_way
        self._step_ends = 0.0
        self.in_thread = self.query_only = False

    @property
    def isolation_level(self) -> str | None:
        """None where the driver begins no transactions by itself."""
        level: str | None = self._connection.isolation_level
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        self._connection.isolation_level = level

    def run(self, act: Callable[[], _T], *, in_thread: bool = False) -> _T:
        """What ``act`` returns, which may be done twice where SQLite says that the database is locked.

        Outside of SQLAlchemy's greenlets, as when the garbage collector closes, nothing can be waited for.
        """
        return await_(self.call(act, in_thread=in_thread)) if in_greenlet() else act()

    def cursor(self) -> Cursor:
        """A new cursor."""
        return Cursor(self)

    def execute(self, statement: str, parameters: Any = ()) -> Cursor:
        """A cursor that ran the statement."""
        cursor = Cursor(self)
        cursor.execute(statement, parameters)
        return cursor

    def create_function(self, *args: Any, **kwargs: Any) -> None:
        """As ``sqlite3`` has it."""
        self._connection.create_function(*args, **kwargs)

    def begin(self, *, read_only: bool) -> None:
        """A transaction that writes from its beginning, or one that cannot write.

        A deferred BEGIN that reads and then writes fails with "locked" under load, whatever the timeout; so one that
        said it only reads is kept to it.
        """
        self.run(partial(self._begin, read_only))

    def _begin(self, read_only: bool) -> None:
        if self.query_only != read_only:
            self._connection.execute(f"PRAGMA query_only={int(read_only)}")
            self.query_only = read_only
        self._connection.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")

    def commit(self) -> None:
        """In a thread where something was written: that waits for the disk."""
        self.run(self._connection.commit, in_thread=not self.query_only)

    def rollback(self) -> None:
        """What was not committed is in memory, so nothing is waited for. A pool asks for it each time."""
        if self._connection.in_transaction:
            self.run(self._connection.rollback)

    def close(self) -> None:
        """Close the file. The last of all connections writes the log back into it."""
        self._connection.close()

    async def call(self, act: Callable[[], _T], *, in_thread: bool = False) -> _T:
        """As ``run``, for who can wait. After each ``_STEP`` others have their turn: nothing keeps them for long."""
        if not (in_thread or self.in_thread):
            if perf_counter() >= self._step_ends:
                await self._give_way.turn()
                self._step_ends = perf_counter() + _STEP
            try:
                return act()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
                    raise
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._patiently, act)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():  # the connection is the thread's until then
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            work.exception()
            raise

    def _patiently(self, act: Callable[[], _T]) -> _T:
        """Wait for whoever has locked the database; what does not wait does not stop the event loop."""
        self._connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        try:
            return act()
        finally:
            self._connection.execute("PRAGMA busy_timeout=0")


class _Driver:
    """PEP 249's module for one engine, with what its connections share."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sqlite")
        self._give_way = GiveWay()

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, *args: Any, **kwargs: Any) -> SqliteConnection:
        """As ``sqlite3`` has it, but for a connection that one thread after the other may use."""
        ours = {"timeout": 0, "check_same_thread": False, "cached_statements": _STATEMENTS}
        return SqliteConnection(sqlite3.connect(*args, **{**kwargs, **ours}), self._threads, self._give_way)


class Dialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's own for ``sqlite3``, as an engine of asyncio wants it."""

    driver = "yett"
    supports_statement_cache = True
    is_async = True
    has_terminate = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """The driver, of which every engine has its own."""
        return _Driver()

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003 - SQLAlchemy's signature
        """Of a file; there is no database in memory."""
        return AsyncAdaptedQueuePool

    def get_driver_connection(self, connection: Any) -> Any:
        """The standard library's."""
        return connection._connection

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close without waiting for anything."""
        dbapi_connection.close()


registry.register("sqlite.yett", __name__, Dialect.__name__)
