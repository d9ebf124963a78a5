"""What the store's tests share: two tenants, a tenant with an application and a user in it, every row of a database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_tables import audit_nodes, audit_trees
from tenants.audit_tree import AuditTree
from tenants.clients import Client
from tenants.cluster_tables import budgets, sink_positions
from tenants.database import Database, postgresql_engine
from tenants.directory import Directory
from tenants.sealing import MasterKeys
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tables import NOBODYS_TABLES, metadata, tenants
from tenants.tenant import Tenant
from tests.conftest import Clock, DatabaseUrls

API = "https://api.example.com/orders"


def an_app(client_id: str = "app", **changes: Any) -> Client:
    """A confidential client that may do everything."""
    fields: dict[str, Any] = {
        "name": "The app",
        "confidential": True,
        "grant_types": frozenset({"password", "refresh_token", "client_credentials"}),
        "scopes": frozenset({"orders:read", "orders:write"}),
        "audiences": (API,),
    }
    return Client(client_id=client_id, **fields | changes)


@pytest.fixture
async def acme(directory: Directory) -> Tenant:
    return await directory.create(slug="acme", name="Acme", issuer="https://auth.example.com/t/acme", actor="test")


@pytest.fixture
async def globex(directory: Directory) -> Tenant:
    return await directory.create(
        slug="globex", name="Globex", issuer="https://auth.example.com/t/globex", actor="test"
    )


@dataclass(frozen=True)
class Household:
    """A tenant in which somebody can log in."""

    tenant: Tenant
    user_id: UUID
    client_id: str = "app"


@pytest.fixture
async def household(store: Store, acme: Tenant) -> Household:
    async with store.for_tenant(acme.id) as mine:
        alice = await mine.users.create("alice")
        await mine.clients.create(an_app())
    return Household(acme, alice.id)


@pytest.fixture
async def superuser(database: Database, database_urls: DatabaseUrls) -> AsyncIterator[AsyncEngine]:
    """An engine that no row hides from: on SQLite the only one that there is."""
    if database_urls.admin is None:
        yield database.app
        return
    engine = postgresql_engine(database_urls.admin, pool_size=2)
    yield engine
    await engine.dispose()


@pytest.fixture
async def snapshot(database: Database, clock: Clock) -> Snapshot:
    return Snapshot(database, clock=clock, monotonic=clock.monotonic)


LogAndTrees = Callable[[], Awaitable[None]]


@pytest.fixture
def audit_tree(database: Database, master_keys: MasterKeys, clock: Clock) -> AuditTree:
    return AuditTree(database, AuditKeys(master_keys, "auth.example.com"), clock)


@pytest.fixture
def log_and_trees(database: Database, audit_tree: AuditTree, superuser: AsyncEngine) -> LogAndTrees:
    """Moves what waits in the outbox into the logs and lets their trees grow, each as if it were long; and gives each
    tenant a place in a sink, and a budget.
    """

    async def run() -> None:
        while await AuditLog(database).sequence():
            pass
        while await audit_tree.grow():
            pass
        async with superuser.begin() as connection:
            grown = select(audit_trees.c.tenant_id, literal(1), literal(0), audit_trees.c.edge)
            await connection.execute(insert(audit_nodes).from_select(["tenant_id", "level", "position", "hash"], grown))
            sent = select(tenants.c.id, literal("siem"), literal(0))
            await connection.execute(insert(sink_positions).from_select(["tenant_id", "sink", "next"], sent))
            spent = select(tenants.c.id, literal(bytes(32)), literal(0), literal(0))
            await connection.execute(insert(budgets).from_select(["tenant_id", "digest", "until", "cost"], spent))

    return run


Row = tuple[Any, ...]


async def dump(engine: AsyncEngine) -> dict[str, list[Row]]:
    """Every row of every table, in the order of its key."""
    async with engine.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        return {
            name: [tuple(row) for row in await connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }


def of_tenant(rows: dict[str, list[Row]], tenant_id: UUID) -> dict[str, list[Row]]:
    """One tenant's part of a dump. The feed and the outbox are left in: they carry a tenant too."""
    found = {}
    for name, listed in rows.items():
        columns = [column.name for column in metadata.tables[name].columns]
        if name in NOBODYS_TABLES or name == "sinks":
            continue
        place = columns.index("id" if name == "tenants" else "tenant_id")
        found[name] = [row for row in listed if row[place] == tenant_id]
    return found
