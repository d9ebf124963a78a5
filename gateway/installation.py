"""An installation: the database and master key that a configuration names, opened and checked before anything is done.

Service and command line stand on it alike.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway import urls
from gateway.settings import Settings
from gateway.worker import ALONE, Worker
from policies.administration import OPERATOR_ROLES, TENANT_ROLES
from tenants import cpu_quota, migrate
from tenants.acts import tenants as acts
from tenants.acts.administration import is_set_up, set_up
from tenants.acts.by import By
from tenants.argon2_hash import Cost
from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_tree import AuditTree
from tenants.database import CONNECTIONS, Database
from tenants.directory import PLATFORM, Directory
from tenants.errors import AlreadyExists
from tenants.hashing import HashingPool
from tenants.installation import check_master_key
from tenants.people import PeoplePolicy
from tenants.sealing import MasterKeys
from tenants.store import Store
from tenants.tenant import Tenant

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, for everything that is not handed another clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Installation:
    """What stands behind every command and every request."""

    settings: Settings
    database: Database
    master_keys: MasterKeys
    store: Store
    directory: Directory
    audit_log: AuditLog
    audit_tree: AuditTree
    clock: Clock
    worker: Worker = ALONE

    async def platform(self) -> Tenant:
        """The platform tenant, made by whoever asks first: its log holds what belongs to no tenant."""
        found = await self.directory.find(PLATFORM)
        if found is not None:
            return found
        try:
            return await self.directory.create(
                slug=PLATFORM, name="Platform", issuer=urls.issuer(self.settings.public_url, PLATFORM), actor="yett"
            )
        except AlreadyExists:  # another process was first
            found = await self.directory.find(PLATFORM)
            if found is None:
                raise
            return found

    async def check_schema(self) -> None:
        """Raises SchemaMismatch: this version may not run on the database's schema."""
        await migrate.check(self.database)

    async def check_master_key(self) -> None:
        """Raises WrongMasterKey: the database was sealed under another key."""
        await check_master_key(self.database, self.master_keys)


async def administrable(installation: Installation, tenant: Tenant, by: By) -> list[str]:
    """Let a tenant be administered through the admin API: the names of what was missing. The platform's roles are
    operators', who set up a second factor when they log in for the first time.
    """
    of_platform = tenant.slug == PLATFORM
    built_in = OPERATOR_ROLES if of_platform else TENANT_ROLES
    asks_factor = of_platform and not installation.settings.unsafe_operators_by_password
    async with installation.store.for_tenant(tenant.id, read_only=True) as store:  # so a start need not write
        if await is_set_up(store, built_in):
            return []
    try:
        async with installation.store.for_tenant(tenant.id) as store:
            made = await set_up(store, by, built_in)
            if asks_factor and OPERATOR_ROLES.keys() <= set(made) and tenant.people == PeoplePolicy():
                people = tenant.people.changed(installation.clock(), otp_roles=tuple(OPERATOR_ROLES))
                await acts.configure(store, by, tenant, replace(tenant, people=people))
            return made
    except AlreadyExists:  # another process was first
        return []


@asynccontextmanager
async def hashing_pool(
    settings: Settings, *, helpers: int | None = None, worker: Worker = ALONE
) -> AsyncIterator[HashingPool]:
    """The helper processes that bear the configured cost; ``helpers`` overrides how many. Those of all workers are
    together as many as are configured, and so are their queues.
    """
    asked = settings.hashing
    cost = Cost(memory_kib=asked.memory // 1024, time_cost=asked.iterations, parallelism=asked.parallelism)
    configured = cpu_quota.cores() if asked.helpers is None else asked.helpers
    pool = HashingPool(
        cost,
        helpers=worker.share(configured) if helpers is None else helpers,
        queue=worker.share(asked.queue),
    )
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()


@asynccontextmanager
async def open_installation(
    settings: Settings, *, clock: Clock = utc_now, worker: Worker = ALONE
) -> AsyncIterator[Installation]:
    """Open what the settings name, refuse what is not in order, close it at the end. Connections to the database are
    shared out among the workers of a pod.

    Raises:
        MasterKeyProblem: the master key file is missing or malformed.
        SchemaMismatch: the database is not migrated to this version.
        UnsafeRole: row-level security would not bind.
        WrongMasterKey: the database was sealed under another key.
    """
    master_keys = MasterKeys.load(settings.master_key_file)
    system_url = settings.database_system_url
    database = Database.open(
        settings.database_url.get_secret_value(),
        None if system_url is None else system_url.get_secret_value(),
        pool_size=worker.share(CONNECTIONS, least=2),
        patience=settings.database_timeout,
    )
    try:
        await migrate.check(database)
        await database.check_roles()
        await check_master_key(database, master_keys)
        store = Store(database, master_keys, clock)
        audit_tree = AuditTree(database, AuditKeys(master_keys, urls.host(settings.public_url)), clock)
        yield Installation(
            settings,
            database,
            master_keys,
            store,
            Directory(database, store),
            AuditLog(database, audit_tree.mark),
            audit_tree,
            clock,
            worker,
        )
    finally:
        await database.close()
