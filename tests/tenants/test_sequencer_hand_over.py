"""The sequencer's lock outlives no process that holds it: one that is killed, and one that is merely stopped.

What runs out for the stopped one is the server's patience with a transaction in which nothing happens, in real time.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.store import Store
from tests.conftest import DatabaseUrls

pytestmark = pytest.mark.parametrize("database_urls", ["postgresql"], indirect=True)

_HOLDER = """
import asyncio, sys
from sqlalchemy import text
from tenants import audit_log
from tenants.database import Database

async def main():
    database = Database.open(*sys.argv[1:])
    async with database.system_step() as connection:
        held = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": audit_log._LOCK})
        print(held.scalar_one(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def holder(urls: DatabaseUrls) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process in the middle of the sequencer's transaction."""
    assert urls.system is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _HOLDER, urls.app, urls.system),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"True\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_process_goes_on_with_it(
    database: Database, store: Store, directory: Directory, database_urls: DatabaseUrls, number: signal.Signals
) -> None:
    tenant = await directory.create(slug="acme", name="Acme", issuer="http://localhost/t/acme", actor="test")
    log = AuditLog(database)
    await log.sequence()
    async with store.for_tenant(tenant.id) as mine:
        await mine.audit.add(Event(type="test", outcome="notice"))
    async with holder(database_urls) as process:
        assert await log.sequence() == 0
        process.send_signal(number)
        async with asyncio.timeout(30):
            while not await log.sequence():  # noqa: ASYNC110 - the lock is the database's, and tells nobody
                await asyncio.sleep(0.05)


async def test_the_server_waits_for_no_transaction_longer_than_that(database: Database) -> None:
    for engine in (database.app, database.system, database.feed):
        async with engine.connect() as connection:
            found = await connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout")
            assert found.scalar_one() == "4s"
