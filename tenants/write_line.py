"""SQLite's one place to write: who waits for it stands in line here, and steps that follow each other share a commit.

SQLite's own waiting is to sleep and look again, ever longer, so that the place stands empty and the unlucky starve
[measured: 8 writers at once, p99 180 ms and 645 steps/s; in line 32 ms and 810]. Other processes do meet that.

A commit waits for the disk, and most of what a short step costs is its beginning and its end. So a step that finds
others waiting leaves its transaction open for the next one, which puts a savepoint before what it does: what it undoes
is its own. When the last one is done, it is committed for all, and nobody goes on before that.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection as SyncConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tenants.prepared import Connection
from tenants.sqlite import BUSY_TIMEOUT_MS
from tenants.transaction import begun, committed, given_up

_MOST_TOGETHER = 32  # steps of one transaction: the first waits for the last
_GAP = 0.003  # seconds that the place stands empty after a full one: other processes sleep, and look again


class WriteLine:
    """The line of one database file, of those in this process. ``patience`` is how many seconds somebody waits."""

    def __init__(self, engine: AsyncEngine, *, patience: float = BUSY_TIMEOUT_MS / 1000) -> None:
        self._engine = engine
        self._patience = patience
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()  # and whether they may share a transaction
        self._taken = False
        self._shared: _Shared | None = None  # what steps have left open
        self._committing: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """The place to write, for a transaction of one's own. Raises PoolTimeout."""
        await self._take(shares=False)
        try:
            yield
        finally:
            self._pass_on()

    @asynccontextmanager
    async def step(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, perhaps shared: what the block wrote is committed when this is left, undone where it raised.

        Raises:
            PoolTimeout: the place was taken for too long.
            OperationalError: it could not be committed; nothing of the transaction is there, whoever shared it.
        """
        await self._take(shares=True)
        try:
            shared = self._shared
            if shared is None:
                shared = self._shared = _Shared(self._engine, await begun(self._engine, {}))
            else:
                shared.put_savepoint()
            try:
                yield shared.connection
                done = shared.keep()
            except BaseException as error:
                if not shared.undo():
                    self._shared = None
                    await asyncio.shield(asyncio.ensure_future(shared.give_up(error)))
                raise
        finally:
            self._pass_on()
        await done

    async def settled(self) -> None:
        """Return when nothing is being committed for somebody who did not wait for it."""
        if self._committing is not None and not self._committing.done():
            await asyncio.wait([self._committing])

    async def _take(self, *, shares: bool) -> None:
        if not self._taken:
            self._taken = True
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append((turn, shares))
        late = loop.call_later(self._patience, _too_late, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.exception() is None:  # it came, and nobody is here any more
                self._pass_on()
            raise
        finally:
            late.cancel()

    def _pass_on(self) -> None:
        """To who waits longest. Where that is nobody, or nobody who may share what is open, that is committed first."""
        while self._waiting and self._waiting[0][0].done():  # who has gone
            self._waiting.popleft()
        shared = self._shared
        if shared is not None and (shared.full or not self._waiting or not self._waiting[0][1]):
            self._shared = None
            self._committing = asyncio.create_task(self._commit(shared))
        elif self._waiting:
            self._waiting.popleft()[0].set_result(None)
        else:
            self._taken = False

    async def _commit(self, shared: "_Shared") -> None:
        """In a task of its own: nobody who goes away takes it along."""
        full = shared.full
        try:
            await shared.commit()
            if full:
                await asyncio.sleep(_GAP)
        finally:
            self._pass_on()


class _Shared:
    """An open transaction, with those who wait for its commit."""

    def __init__(self, engine: AsyncEngine, connection: SyncConnection) -> None:
        self.connection = Connection(engine, connection)
        self._sync = connection
        self._driver: Any = connection.connection.driver_connection
        self._waiting: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Whether as many share it as may."""
        return len(self._waiting) >= _MOST_TOGETHER

    def put_savepoint(self) -> None:
        """Before the work of another one than the first."""
        self._run("SAVEPOINT step")

    def keep(self) -> asyncio.Future[None]:
        """What was done since the savepoint belongs to the transaction. The future is done when that is committed."""
        if not self._in_transaction():  # a savepoint would begin another one, without what was done before
            raise _lost()
        if self._waiting:
            self._run("RELEASE step")
        done = self._loop.create_future()
        self._waiting.append(done)
        return done

    def undo(self) -> bool:
        """Undo what was done since the savepoint. False where nothing may be left: there is none before the first, and
        where the disk is full, SQLite itself has undone everything.
        """
        if not self._waiting or not self._in_transaction():
            return False
        try:
            self._run("ROLLBACK TO step")
            self._run("RELEASE step")
        except OperationalError:
            return False
        return True

    async def commit(self) -> None:
        """For all of them. What fails fails for all of them, and is raised where they wait."""
        try:
            if not self._in_transaction():
                raise _lost()
            await committed(self._sync)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever waits for it
            self._fail(error)
        except BaseException:
            for waiting in self._waiting:
                waiting.cancel()
            raise
        else:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def give_up(self, error: BaseException) -> None:
        """Close it: nothing of it is there."""
        await given_up(self._sync)
        lost = _lost()
        lost.__cause__ = error
        self._fail(lost)

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(error)

    def _run(self, statement: str) -> None:
        """Where it is asked for: it is done in memory."""
        try:
            self._driver.execute(statement)
        except sqlite3.Error as error:
            raise OperationalError(statement, None, error) from error

    def _in_transaction(self) -> bool:
        return not self._sync.invalidated and bool(self._driver.in_transaction)


def _too_late(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(PoolTimeout("the database was busy writing for too long"))


def _lost() -> OperationalError:
    return OperationalError("COMMIT", None, sqlite3.OperationalError("the transaction was rolled back"))
