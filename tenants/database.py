"""Connections: engines for each database role, the settings that every connection needs, the start-up check.

SQLite knows one role. PostgreSQL knows three, on separate connections (never ``SET ROLE``): ``yett_owner`` runs the
migrations, ``yett_app`` serves tenants under row-level security, ``yett_system`` bypasses it for the named exceptions
(directory, snapshot, changes, audit sequencer).
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from typing import Any

from sqlalchemy import event, make_url, text
from sqlalchemy.dialects.postgresql.psycopg import AsyncAdapt_psycopg_connection
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from tenants.bounded_connection import Connections
from tenants.sqlite import BUSY_TIMEOUT_MS, DRIVER, SqliteConnection
from tenants.transaction import transaction
from tenants.write_line import WriteLine

CONNECTIONS = 8
"""As many ``app`` connections has a pod, unless it is told otherwise; of ``system`` half as many."""
PATIENCE = timedelta(seconds=10)
"""How long a tenant's statement may take on PostgreSQL, unless it is configured."""
_LONG_PATIENCE = timedelta(seconds=30)  # for what is done for all tenants, and by hand
_FEED_PATIENCE = timedelta(seconds=5)  # each of its statements reads a few hundred rows
_OVERDUE = timedelta(seconds=2)  # a server that runs says by then that a statement took too long
_CONNECT_SECONDS = 5
_IDLE_TIMEOUT_MS = 4_000
_READING: Mapping[str, Any] = {"postgresql_readonly": True, "yett_read_only": True}
_LONG: Mapping[str, Any] = {"yett_in_thread": True}

DATABASE_ERRORS = (OperationalError, InterfaceError, InternalError, PoolTimeout)
"""Raised for a database that is away, full, locked, read-only or too slow; a wrong statement is a bug."""


class UnsafeRole(Exception):
    """The connection that should stand under row-level security can escape it. Start-up must stop."""


class Database:
    """Three engines: ``app`` for tenants' steps, ``system`` for the cluster's, and ``feed``, one connection as
    ``yett_system`` with nothing else to do, so that revocations are heard whatever keeps the others. On SQLite they are
    one.
    """

    def __init__(
        self, app: AsyncEngine, system: AsyncEngine, feed: AsyncEngine, connections: Connections | None = None
    ) -> None:
        self.app = app
        self.system = system
        self.feed = feed
        self._connections = connections
        self.is_sqlite = app.dialect.name == "sqlite"
        # A SQLite read transaction is a snapshot already.
        self._at_one_moment = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reading_all = {**_LONG, **_READING, **self._at_one_moment}
        self._line = WriteLine(app) if self.is_sqlite else None

    @classmethod
    def open(
        cls, url: str, system_url: str | None = None, *, pool_size: int = CONNECTIONS, patience: timedelta = PATIENCE
    ) -> "Database":
        """Make the engines; nothing is connected yet. ``system_url`` is required on PostgreSQL, and ``patience`` is
        with it.

        Raises:
            ValueError: the URL is of another database, or PostgreSQL's ``system_url`` is missing.
        """
        match make_url(url).get_backend_name():
            case "sqlite":
                # Apart here, too: who reads all tenants in the middle of a tenant's step waits for no such step.
                return cls(
                    sqlite_engine(url, pool_size=pool_size),
                    sqlite_engine(url, pool_size=max(2, pool_size // 2)),
                    sqlite_engine(url, pool_size=1),
                )
            case "postgresql":
                if system_url is None:
                    raise ValueError("PostgreSQL needs database_system_url beside database_url (role yett_system)")
                ours = Connections()
                return cls(
                    postgresql_engine(url, pool_size=pool_size, patience=patience, connections=ours),
                    postgresql_engine(system_url, pool_size=max(2, pool_size // 2), connections=ours),
                    postgresql_engine(system_url, pool_size=1, patience=_FEED_PATIENCE, connections=ours),
                    ours,
                )
            case other:
                raise ValueError(f"database_url must name sqlite or postgresql, not {other}")

    async def close(self) -> None:
        """Close every pooled connection."""
        if self._line is not None:
            await self._line.settled()
        for engine in (self.app, self.system, self.feed):
            await engine.dispose()

    def give_up(self) -> None:
        """Wait for the server no more: whatever is asked of it, or was, fails at once from here on. Not on SQLite."""
        if self._connections is not None:
            self._connections.give_up()

    def app_step(self, *, read_only: bool, at_one_moment: bool = False) -> AbstractAsyncContextManager[AsyncConnection]:
        """One transaction under row-level security; who it is for is the store's to say. On SQLite those that write may
        share one, in which each has what it wrote for itself (write_line.py).

        ``at_one_moment`` is for reading: all statements see what the first one saw.
        """
        if at_one_moment:
            return transaction(self.app, {**self._at_one_moment, **_READING})
        if read_only:
            return transaction(self.app, _READING)
        return transaction(self.app, {}) if self._line is None else self._line.step()

    @asynccontextmanager
    async def system_step(self, *, in_thread: bool = True) -> AsyncIterator[AsyncConnection]:
        """One transaction that sees all tenants. For the named exceptions only.

        ``in_thread`` where a statement may take long.
        """
        alone = nullcontext() if self._line is None else self._line.alone()
        async with alone, transaction(self.system, _LONG if in_thread else {}) as connection:
            yield connection

    @asynccontextmanager
    async def system_snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One read of all tenants at a single moment."""
        async with transaction(self.system, self._reading_all) as connection:
            yield connection

    @asynccontextmanager
    async def feed_snapshot(self) -> AsyncIterator[AsyncConnection]:
        """The same for the feed alone (rule 5: state and feed position belong together)."""
        async with transaction(self.feed, self._reading_all) as connection:
            yield connection

    async def check_roles(self) -> None:
        """Refuse a ``yett_app`` that row-level security does not bind, and a ``yett_system`` that it does (rule 1).

        Raises:
            UnsafeRole: with a sentence that says which attribute is wrong.
        """
        if self.is_sqlite:
            return
        async with self.app.connect() as connection:
            row = (
                await connection.execute(
                    text(
                        "SELECT current_user AS name, rolsuper, rolbypassrls,"
                        " EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                        "  WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')"
                        "  AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owns,"
                        " EXISTS (SELECT 1 FROM pg_roles r WHERE (r.rolsuper OR r.rolbypassrls)"
                        "  AND r.rolname <> current_user AND pg_has_role(current_user, r.oid, 'MEMBER')) AS may_become"
                        " FROM pg_roles WHERE rolname = current_user"
                    )
                )
            ).one()
        faults = {
            "is a superuser": row.rolsuper,
            "has BYPASSRLS": row.rolbypassrls,
            "owns tables": row.owns,
            "is a member of a role that escapes it": row.may_become,
        }
        found = [fault for fault, present in faults.items() if present]
        if found:
            raise UnsafeRole(
                f"The database role {row.name!r} of database_url {' and '.join(found)}: "
                "row-level security would not bind it. "
                "Connect as yett_app; `yett migrate --create-roles` makes the three roles."
            )
        async with self.system.connect() as connection:
            query = text(
                "SELECT rolname AS name, rolbypassrls OR rolsuper AS sees FROM pg_roles WHERE rolname = current_user"
            )
            row = (await connection.execute(query)).one()
        if not row.sees:
            raise UnsafeRole(
                f"The database role {row.name!r} of database_system_url stands under row-level security and would "
                "see no tenant. Connect as yett_system; `yett migrate --create-roles` makes the three roles."
            )


def sqlite_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """An engine whose every transaction says how it begins, writers immediately and read-only ones not, and where its
    statements run: those of all tenants, which may take long, in a thread.
    """
    engine = create_async_engine(
        make_url(url).set(drivername=DRIVER),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(dbapi_connection: SqliteConnection, _record: ConnectionPoolEntry) -> None:
        dbapi_connection.isolation_level = None  # the driver must not begin transactions of its own
        dbapi_connection.execute("PRAGMA foreign_keys=ON")
        dbapi_connection.execute("PRAGMA journal_mode=WAL")
        dbapi_connection.execute("PRAGMA synchronous=FULL")  # an answered change survives a power cut, not only a crash

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Any) -> None:
        options = connection.get_execution_options()
        driver: SqliteConnection = connection.connection.dbapi_connection
        driver.in_thread = options.get("yett_in_thread", False)
        try:
            driver.begin(read_only=options.get("yett_read_only", False))
        except sqlite3.Error as error:
            raise DBAPIError.instance("BEGIN", None, error, sqlite3.Error, hide_parameters=True) from error

    return engine


def postgresql_engine(
    url: str,
    *,
    pool_size: int,
    patience: timedelta | None = _LONG_PATIENCE,
    connections: Connections | None = None,
) -> AsyncEngine:
    """A psycopg engine. A statement that takes longer than ``patience`` is given up, by the server and, a little later,
    without it; a connection that died in the pool is replaced. None is for ever: migrations take what they take. Its
    connections are among ``connections``.

    A process that stops in the middle of a transaction (the kernel froze it, its machine is off the network) holds that
    transaction's locks until the server ends it, which is soon: others wait for the feed's, and for the sequencer's.
    Nothing of ours is idle in a transaction for longer than its own work between two statements.
    """
    session: dict[str, object] = {"timezone": "UTC"}
    wait = _LONG_PATIENCE if patience is None else patience
    bounds: dict[str, Any] = {"connect_timeout": min(_CONNECT_SECONDS, max(2, wait // timedelta(seconds=1)))}
    if patience is not None:
        session["statement_timeout"] = patience // timedelta(milliseconds=1)
        session["idle_in_transaction_session_timeout"] = _IDLE_TIMEOUT_MS
        session["tcp_user_timeout"] = _IDLE_TIMEOUT_MS  # an answer that nobody takes: no other timeout ends that
        bounds["async_creator_fn"] = (connections or Connections()).connecting(patience + _OVERDUE)
    options = " ".join(f"-c {name}={value}" for name, value in session.items())
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=min(10, wait.total_seconds()),
        pool_pre_ping=True,
        use_native_hstore=False,  # no column is one, and every engine would ask the server first
        hide_parameters=True,  # an error's text must not quote what was stored
        connect_args={**bounds, "options": options},
    )

    @event.listens_for(engine.sync_engine, "checkin")
    def _forget(connection: AsyncAdapt_psycopg_connection | None, _record: ConnectionPoolEntry) -> None:
        # After a transaction that only read, SQLAlchemy has the driver begin the next one with READ WRITE, which a
        # server that was made read-only (its disk is nearly full, say) would take for the word of an operator.
        if connection is not None and connection.read_only is False:
            connection.set_read_only(None)  # type: ignore[no-untyped-call]  # it has no annotations

    return engine
