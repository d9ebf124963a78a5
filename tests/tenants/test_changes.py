"""The change feed: every reader hears everything, in order, whoever writes at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from tenants import changes
from tenants.changes import Change, ChangeWriter
from tenants.database import Database
from tenants.store import Store
from tenants.tables import changes as feed
from tenants.tenant import Tenant
from tests.conftest import Clock

WRITERS, STEPS = 8, 15


async def heard(database: Database, seq: int, *, limit: int = 10_000) -> list[Change]:
    async with database.system_snapshot() as connection:
        found = await changes.since(connection, seq, limit=limit)
    assert found is not None
    return list(found)


async def position(database: Database) -> int:
    async with database.system_snapshot() as connection:
        return await changes.position(connection)


async def test_a_reader_that_follows_eight_writers_misses_nothing(
    database: Database, store: Store, acme: Tenant
) -> None:
    start = await position(database)
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for step in range(STEPS):
            async with store.for_tenant(acme.id) as mine:
                await mine.revocations.revoke("token", f"{writer}-{step}-a")
                await asyncio.sleep(0)
                await mine.revocations.revoke("token", f"{writer}-{step}-b")

    async def follow() -> list[Change]:
        seen: list[Change] = []
        while True:
            last = done.is_set()
            seen += await heard(database, seen[-1].seq if seen else start)
            if last:
                return seen
            await asyncio.sleep(0)

    reader = asyncio.create_task(follow())
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    done.set()
    seen = await reader
    assert [change.seq for change in seen] == sorted({change.seq for change in seen})
    for writer in range(WRITERS):  # each writer's own order is kept
        assert [change.ref for change in seen if change.ref.startswith(f"token:{writer}-")] == [
            f"token:{writer}-{step}-{part}" for step in range(STEPS) for part in "ab"
        ]


async def waiters_for_the_feed(superuser: AsyncEngine) -> int:
    async with superuser.connect() as connection:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return int((await connection.exec_driver_sql(waiting)).scalar_one())


async def test_a_writer_that_commits_late_is_not_skipped(
    database: Database, acme: Tenant, clock: Clock, superuser: AsyncEngine
) -> None:
    """The one that drew its number first holds the second one back until it has committed."""
    if database.is_sqlite:  # one writer at a time: there is no number that was drawn and not committed
        return
    start = await position(database)

    async with AsyncExitStack() as stack:

        async def writer(ref: str) -> tuple[ChangeWriter, Callable[[], Awaitable[None]]]:
            connection = await stack.enter_async_context(database.app.connect())
            transaction = await connection.begin()
            await connection.exec_driver_sql(f"SELECT set_config('yett.tenant', '{acme.id}', true)")
            written = ChangeWriter(connection, acme.id, locked=True)
            written.note("revocation", ref)
            return written, transaction.commit

        (early, commit_early), (late, commit_late) = await writer("token:early"), await writer("token:late")
        await early.flush(clock())
        waiting = asyncio.create_task(late.flush(clock()))
        while not await waiters_for_the_feed(superuser):
            continue
        assert await heard(database, start) == []
        await commit_early()
        await waiting
        assert [change.ref for change in await heard(database, start)] == ["token:early"]
        await commit_late()
    assert [change.ref for change in await heard(database, start)] == ["token:early", "token:late"]


async def test_the_same_change_twice_in_a_step_is_told_once(database: Database, store: Store, acme: Tenant) -> None:
    start = await position(database)
    async with store.for_tenant(acme.id) as mine:
        for _ in range(3):
            await mine.settings.set_active(True)
            await mine.revocations.revoke("token", "jti")
    assert [(change.tenant_id, change.kind, change.ref) for change in await heard(database, start)] == [
        (acme.id, "tenant", ""),
        (acme.id, "revocation", "token:jti"),
    ]


async def test_a_step_that_changed_nothing_tells_nothing(database: Database, store: Store, acme: Tenant) -> None:
    start = await position(database)
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("alice")
    assert await heard(database, start) == []


async def test_a_long_reading_is_cut_and_goes_on(database: Database, store: Store, acme: Tenant) -> None:
    start = await position(database)
    async with store.for_tenant(acme.id) as mine:
        for number in range(7):
            await mine.revocations.revoke("token", str(number))
    seen: list[Change] = []
    sizes = []
    while page := await heard(database, seen[-1].seq if seen else start, limit=3):
        seen += page
        sizes.append(len(page))
    assert sizes == [3, 3, 1]
    assert [change.ref for change in seen] == [f"token:{number}" for number in range(7)]


async def test_pruning_never_loses_the_position(database: Database, store: Store, acme: Tenant, clock: Clock) -> None:
    for _ in range(3):
        newest = await position(database)
        clock.advance(hours=2)
        async with database.system_step() as connection:
            await changes.prune(connection, clock())
            await changes.prune(connection, clock() + timedelta(days=1))
        assert await position(database) == newest
        assert await heard(database, newest) == []
        async with store.for_tenant(acme.id) as mine:
            await mine.revocations.revoke("token", "jti")
        assert [change.seq for change in await heard(database, newest)] == [await position(database)]
        assert await position(database) > newest


async def test_what_is_young_is_not_pruned(database: Database, store: Store, acme: Tenant, clock: Clock) -> None:
    start = await position(database)
    async with store.for_tenant(acme.id) as mine:
        for number in range(3):
            await mine.revocations.revoke("token", str(number))
    async with database.system_step() as connection:
        await changes.prune(connection, clock())
    assert len(await heard(database, start)) == 3


async def test_a_feed_that_lost_a_readers_place_says_so(
    database: Database, acme: Tenant, superuser: AsyncEngine
) -> None:
    async with database.system_snapshot() as connection:
        assert await changes.since(connection, await changes.position(connection) + 5) is None
    async with superuser.begin() as connection:
        await connection.execute(feed.delete())
    async with database.system_snapshot() as connection:
        assert await changes.position(connection) == 0
        assert await changes.since(connection, 0) == []
        assert await changes.since(connection, 1) is None


async def test_a_number_is_not_used_again_after_the_feed_was_emptied(
    database: Database, store: Store, acme: Tenant, superuser: AsyncEngine
) -> None:
    newest = await position(database)
    async with superuser.begin() as connection:
        await connection.execute(feed.delete())
    async with store.for_tenant(acme.id) as mine:
        await mine.revocations.revoke("token", str(uuid4()))
    assert await position(database) > newest
