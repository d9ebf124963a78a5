"""A house on SQLite for what is the gateway's own, on both databases where storage matters."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tenants.hashing import HashingPool
from tests.conftest import Clock
from tests.gateway.admin.house import House, Inhabited, inhabited, moved_in
from tests.gateway.conftest import OpenWorld, settings_for
from tests.gateway.world import Seeded, World, opened

Furnished = tuple[tuple[Path, Seeded], Inhabited]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def furnished(
    tmp_path_factory: pytest.TempPathFactory,
    master_key_file: Path,
    hashing: HashingPool,
    seeded_file: tuple[Path, Seeded],
) -> Furnished:
    """A SQLite file with all administrators in it, to be copied."""
    folder = tmp_path_factory.mktemp("furnished")
    file, seeded = seeded_file
    shutil.copy(file, folder / "yett.db")
    settings = settings_for(folder, master_key_file=str(master_key_file))
    async with opened(settings, hashing, seeded, Clock()) as world:
        house = await inhabited(world)
    return (folder / "yett.db", seeded), (house.operators, house.administrators)


@pytest_asyncio.fixture(loop_scope="session")
async def house(open_world: OpenWorld, furnished: Furnished) -> AsyncIterator[House]:
    seeded_file, people = furnished
    async with open_world(seeded_file=seeded_file) as world:
        yield await moved_in(world, people)


@pytest_asyncio.fixture(loop_scope="session")
async def demo_house(open_world: OpenWorld, furnished: Furnished) -> AsyncIterator[House]:
    """Whose operators need no second factor."""
    seeded_file, people = furnished
    async with open_world(seeded_file=seeded_file, unsafe_operators_by_password=True) as world:
        yield await moved_in(world, people)


@pytest_asyncio.fixture(loop_scope="session")
async def each_house(each_world: World) -> House:
    return await inhabited(each_world)
