"""One event loop and one hashing process for all tests that open a world, a new database for each."""

import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.settings import Settings, from_mapping
from tenants import migrate
from tenants.argon2_hash import Cost
from tenants.hashing import HashingPool
from tenants.sealing import MasterKeys
from tests.conftest import Clock, DatabaseUrls, LentDatabase, lent_database
from tests.gateway.world import PASSWORDS, PUBLIC_URL, Seeded, World, opened, seed

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        of_a_world = isinstance(item, pytest.Function) and "hashing" in item.fixturenames
        if of_a_world and Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def settings_for(folder: Path, **values: Any) -> Settings:
    """A configuration whose limits nobody meets."""
    defaults = {
        "public_url": PUBLIC_URL,
        "data_dir": str(folder),
        "limits": {"token": "100000/minute", "management": "100000/minute", "pages": "100000/minute"},
        "mail": {"directory": str(folder / "mail")},
    }
    return from_mapping({**defaults, **values}, source="test")


@pytest.fixture(scope="session")
def master_key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "master.key"
    MasterKeys.create(path)
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hashing() -> AsyncIterator[HashingPool]:
    """The real one, at a cost that no configuration admits: what a hash costs is for tests/tenants/test_hashing.py."""
    pool = HashingPool(Cost(memory_kib=64, time_cost=1), helpers=1)
    await pool.start()
    yield pool
    await pool.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hashes(hashing: HashingPool) -> Mapping[str, str]:
    """Each tenant's password, hashed once for all tests."""
    return {slug: await hashing.hash(password) for slug, password in PASSWORDS.items()}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seeded_file(
    tmp_path_factory: pytest.TempPathFactory, master_key_file: Path, hashes: Mapping[str, str]
) -> tuple[Path, Seeded]:
    """A SQLite file with both tenants in it, to be copied: making them anew would take most of a test's time."""
    folder = tmp_path_factory.mktemp("seeded")
    settings = settings_for(folder, master_key_file=str(master_key_file))
    await migrate.upgrade(settings.database_url.get_secret_value())
    return folder / "yett.db", await seed(settings, hashes, Clock())


@pytest.fixture
def open_world(
    tmp_path: Path,
    master_key_file: Path,
    hashing: HashingPool,
    hashes: Mapping[str, str],
    seeded_file: tuple[Path, Seeded],
    clock: Clock,
) -> OpenWorld:
    """For tests that need other settings, another database, or parts of their own."""

    @asynccontextmanager
    async def open_(*, database: DatabaseUrls | None = None, **values: Any) -> AsyncIterator[World]:
        pool = values.pop("hashing_pool", hashing)
        file, seeded = values.pop("seeded_file", seeded_file)
        if database is not None:
            values |= {"database_url": database.app, "database_system_url": database.system}
        settings = settings_for(tmp_path, master_key_file=str(master_key_file), **values)
        if database is None:
            shutil.copy(file, tmp_path / "yett.db")
        else:
            seeded = await seed(settings, hashes, clock)
        async with opened(settings, pool, seeded, clock) as world:
            yield world

    return open_


@pytest_asyncio.fixture(loop_scope="session")
async def world(open_world: OpenWorld) -> AsyncIterator[World]:
    async with open_world() as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session", params=["sqlite", "postgresql"])
async def each_world(
    request: pytest.FixtureRequest,
    open_world: OpenWorld,
    postgresql_admin_url: str,
    free_databases: list[LentDatabase],
) -> AsyncIterator[World]:
    """The world on each database."""
    if request.param == "sqlite":
        async with open_world() as world:
            yield world
        return
    async with lent_database(postgresql_admin_url, free_databases) as urls, open_world(database=urls) as world:
        yield world
