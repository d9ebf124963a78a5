"""The first master key that a database meets is its own; another one stops start-up."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.database import Database
from tenants.installation import WrongMasterKey, check_master_key
from tenants.sealing import MasterKey, MasterKeys
from tests.tenants.conftest import dump

OLD, NEW = MasterKey("old", b"o" * 32), MasterKey("new", b"n" * 32)


async def test_a_new_database_takes_the_first_key_that_it_meets(database: Database) -> None:
    await check_master_key(database, MasterKeys([OLD]))
    await check_master_key(database, MasterKeys([OLD]))


@pytest.mark.parametrize("other", [MasterKeys([NEW]), MasterKeys([MasterKey("old", b"x" * 32)])])
async def test_another_key_is_refused_with_a_sentence(
    database: Database, superuser: AsyncEngine, other: MasterKeys
) -> None:
    await check_master_key(database, MasterKeys([OLD]))
    before = await dump(superuser)
    with pytest.raises(WrongMasterKey, match="master_key_file"):
        await check_master_key(database, other)
    assert await dump(superuser) == before


async def test_a_ring_that_still_holds_the_first_key_is_accepted(database: Database) -> None:
    await check_master_key(database, MasterKeys([OLD]))
    await check_master_key(database, MasterKeys([NEW, OLD]))


async def test_of_two_keys_that_come_at_once_one_becomes_the_databases(database: Database) -> None:
    outcomes = await asyncio.gather(
        *(check_master_key(database, MasterKeys([key])) for key in (OLD, NEW) * 4), return_exceptions=True
    )
    refused = [isinstance(outcome, WrongMasterKey) for outcome in outcomes]
    assert refused in ([False, True] * 4, [True, False] * 4)
