"""One transaction per step: committed whole or not at all; the settings that every connection needs."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.lifetimes import Lifetimes
from tenants.store import Store
from tenants.tables import changes
from tenants.tenant import Tenant
from tests.tenants.conftest import Household, an_app


async def feed_length(database: Database) -> int:
    async with database.system_step() as connection:
        return len((await connection.execute(changes.select())).all())


async def test_a_step_commits_everything_or_nothing(database: Database, store: Store, acme: Tenant) -> None:
    await AuditLog(database).sequence()
    before = await feed_length(database)

    async def a_bug() -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.users.create("alice")
            await mine.clients.create(an_app())
            await mine.revocations.revoke("token", "jti")
            await mine.audit.add(Event(type="user.created", outcome="success"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await a_bug()
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert await mine.users.list() == []
        assert await mine.clients.list() == []
        assert await mine.revocations.list() == []
    assert await feed_length(database) == before
    assert await AuditLog(database).sequence() == 0


async def test_a_step_that_is_cancelled_leaves_nothing_and_gives_its_connection_back(
    store: Store, acme: Tenant
) -> None:
    inside = asyncio.Event()

    async def write() -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.users.create("alice")
            inside.set()
            await asyncio.Event().wait()

    for _ in range(12):  # more than the pool has
        inside.clear()
        step = asyncio.create_task(write())
        await inside.wait()
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
    async with store.for_tenant(acme.id) as mine:
        assert await mine.users.list() == []


async def test_a_step_that_only_reads_cannot_write(store: Store, household: Household) -> None:
    with pytest.raises(DBAPIError):
        async with store.for_tenant(household.tenant.id, read_only=True) as mine:
            await mine.users.create("bob")
    for _ in range(12):  # nor does a connection that was read with stay so
        async with store.for_tenant(household.tenant.id, read_only=True) as mine:
            assert [user.name for user in await mine.users.list()] == ["alice"]
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.roles.withdraw(household.user_id, "reader")
            await mine.settings.set_active(True)


async def test_what_a_step_has_not_committed_no_other_sees(store: Store, acme: Tenant) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.users.create("alice")
        async with store.for_tenant(acme.id, read_only=True) as other:
            assert await other.users.by_name("alice") is None


async def test_writers_wait_for_each_other_instead_of_failing(store: Store, acme: Tenant) -> None:
    async def read_and_write(number: int) -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.users.list()
            await mine.users.create(f"user-{number}")
            await mine.clients.create(an_app(f"app-{number}"))

    await asyncio.gather(*(read_and_write(number) for number in range(40)))
    async with store.for_tenant(acme.id, read_only=True) as mine:
        assert len(await mine.users.list()) == len(await mine.clients.list()) == 40


async def test_a_row_cannot_point_at_what_is_not_there(store: Store, acme: Tenant) -> None:
    with pytest.raises(IntegrityError):
        async with store.for_tenant(acme.id) as mine:
            await mine.sessions.start(uuid4(), acr="a", amr=["pwd"], expires_at=acme.created_at)


async def test_the_tenant_of_a_step_ends_with_it(database: Database, store: Store, acme: Tenant) -> None:
    if database.is_sqlite:
        return
    for _ in range(12):
        async with store.for_tenant(acme.id, read_only=True):
            pass
        async with database.app.connect() as connection:
            setting = await connection.execute(text("SELECT current_setting('yett.tenant', true)"))
            assert not setting.scalar_one()


async def test_sqlite_keeps_its_promises_on_every_connection(database: Database) -> None:
    if not database.is_sqlite:
        return
    connections = [await database.app.connect() for _ in range(8)]
    try:
        for connection in connections:
            await connection.execution_options(yett_read_only=True)
            found = {}
            for pragma in ("foreign_keys", "journal_mode", "synchronous"):
                found[pragma] = (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one()
            assert found == {"foreign_keys": 1, "journal_mode": "wal", "synchronous": 2}
    finally:
        for connection in connections:
            await connection.close()


@pytest.mark.parametrize("url", ["mysql://db/yett", "postgresql+psycopg://yett_app@db/yett"])
def test_a_url_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database"):
        Database.open(url)


async def test_an_error_does_not_quote_what_was_to_be_stored(store: Store, household: Household) -> None:
    with pytest.raises(IntegrityError) as error:
        async with store.for_tenant(household.tenant.id) as mine:
            await mine.refresh_tokens.begin_family(
                uuid4(), "the-secret-client", scopes=[], audiences=[], idle=_DAY, absolute=_DAY
            )
    assert "the-secret-client" not in str(error.value)


_DAY = Lifetimes().session
