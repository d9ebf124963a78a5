"""A transaction on a connection of the pool, in two of SQLAlchemy's greenlets: its own way needs one for each of five
calls, and a login is three transactions.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection as SyncConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from tenants.prepared import Connection


@asynccontextmanager
async def transaction(engine: AsyncEngine, options: Mapping[str, Any]) -> AsyncIterator[AsyncConnection]:
    """With these execution options: committed at the end of the block, rolled back by any exception."""
    connection = await begun(engine, options)
    try:
        yield Connection(engine, connection)
    except BaseException:
        await asyncio.shield(asyncio.ensure_future(given_up(connection)))
        raise
    await committed(connection)


async def begun(engine: AsyncEngine, options: Mapping[str, Any]) -> SyncConnection:
    """A connection in a transaction."""
    return await greenlet_spawn(_begin, engine, options)


async def committed(connection: SyncConnection) -> None:
    """The end of it: what fails is rolled back, and the connection is the pool's again."""
    await greenlet_spawn(_commit, connection)


async def given_up(connection: SyncConnection) -> None:
    """The other end of it."""
    await greenlet_spawn(connection.close)  # which rolls back


def _begin(engine: AsyncEngine, options: Mapping[str, Any]) -> SyncConnection:
    connection = engine.sync_engine.connect()
    try:
        if options:
            connection = connection.execution_options(**options)
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


def _commit(connection: SyncConnection) -> None:
    try:
        connection.commit()
    except BaseException:
        if not connection.invalidated:  # SQLAlchemy takes it for ended, and the pool would hand it out as it is
            _roll_back(connection)
        raise
    finally:
        connection.close()


def _roll_back(connection: SyncConnection) -> None:
    """Or throw it away: a server that ends says so in its last answer, and only what is asked next finds it gone."""
    try:
        connection.connection.rollback()
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)
