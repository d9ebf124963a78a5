"""A server that says nothing is waited for so long, and the next step has another connection."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from tenants.bounded_connection import Connections
from tenants.database import DATABASE_ERRORS, Database, postgresql_engine
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)

A_MOMENT = timedelta(seconds=1)  # which a statement that does nothing never takes, however busy the machine is


async def hang(database: Database, begun: asyncio.Event | None = None) -> None:
    """A statement of which the server itself never says that it takes too long."""
    async with database.app_step(read_only=False) as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        if begun is not None:
            begun.set()
        await connection.execute(text("SELECT pg_sleep(60)"))


async def test_an_answer_that_does_not_come_ends_the_connection(database_urls: DatabaseUrls) -> None:
    parts = make_url(database_urls.app)
    named: dict[str, Any] = {**parts.translate_connect_args(username="user", database="dbname"), **parts.query}
    connection = await Connections().connecting(A_MOMENT)(**named)
    assert (await (await connection.execute("SELECT 1")).fetchone()) == (1,)
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT pg_sleep(60)")
    assert connection.closed


async def test_a_statement_that_takes_too_long_is_the_databases_fault_and_the_next_one_runs(
    database_urls: DatabaseUrls,
) -> None:
    database = Database.open(database_urls.app, database_urls.system, pool_size=1, patience=A_MOMENT)
    with pytest.raises(DATABASE_ERRORS):
        async with database.app_step(read_only=True) as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))
    async with database.app_step(read_only=True) as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    await database.close()


async def test_a_connection_that_was_broken_off_leaves_the_pool(database_urls: DatabaseUrls) -> None:
    database = Database.open(database_urls.app, database_urls.system, pool_size=1, patience=A_MOMENT)
    with pytest.raises(OperationalError):
        await hang(database)
    async with database.app_step(read_only=False) as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    await database.close()


async def test_who_is_given_up_is_waited_for_by_nobody_and_asked_no_more(database: Database) -> None:
    """Not for what was asked, not for its end, and not for a connection."""
    begun = asyncio.Event()
    waiting = asyncio.create_task(hang(database, begun))
    await begun.wait()
    async with asyncio.timeout(5):
        database.give_up()
        with pytest.raises(OperationalError):
            await waiting
        for step in (database.app_step(read_only=True), database.system_step(), database.feed_snapshot()):
            with pytest.raises(OperationalError):
                async with step as connection:
                    await connection.execute(text("SELECT 1"))


async def test_a_migration_takes_what_it_takes(database_urls: DatabaseUrls) -> None:
    engine = postgresql_engine(database_urls.owner or "", pool_size=1, patience=None)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "0"
    await engine.dispose()


async def test_a_server_that_was_made_read_only_is_obeyed_after_a_transaction_that_only_read(
    database_urls: DatabaseUrls,
) -> None:
    """Such a default is how hosted servers stop writers whose disk is nearly full."""
    database = Database.open(database_urls.app, database_urls.system, pool_size=1)
    async with database.app_step(read_only=True) as connection:
        await connection.execute(text("SELECT 1"))
    async with database.app_step(read_only=False) as connection:
        await connection.execute(text("SET SESSION default_transaction_read_only = on"))  # as a reload of its settings
    async with database.app_step(read_only=False) as connection:
        assert (await connection.execute(text("SHOW transaction_read_only"))).scalar_one() == "on"
    await database.close()
