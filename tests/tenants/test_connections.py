"""Who reads all tenants in the middle of a tenant's step waits for no such step, and keeps nobody from the feed."""

import asyncio

from sqlalchemy import select

from tenants.database import Database
from tenants.tables import tenants


async def test_as_many_nested_reads_as_there_are_connections_get_on(database: Database) -> None:
    inside = asyncio.Barrier(8)

    async def nested() -> int:
        async with database.app_step(read_only=True) as own:
            await own.execute(select(tenants.c.id))
            await inside.wait()  # all of them have one, and want another
            async with database.system_snapshot() as every:
                return len((await every.execute(select(tenants.c.id))).all())

    async with asyncio.timeout(5):
        found = await asyncio.gather(*(nested() for _ in range(8)))
        async with database.feed_snapshot() as feed:
            assert len((await feed.execute(select(tenants.c.id))).all()) == found[0]
