"""What tests of logout notices share: clients that want to know, sessions that they were used for."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from tenants import logout_notices
from tenants.client_options import ClientOptions
from tenants.database import Database
from tenants.logout_notices import DueNotice, LogoutNotice
from tenants.sessions import Session
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import Household, an_app

LEASE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TOLD = ClientOptions(backchannel_logout_uri="https://rp.example.com/logout")


async def add_client(store: Store, tenant: Tenant, client_id: str = "told", options: ClientOptions = TOLD) -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.clients.create(an_app(client_id, options=options))


async def start(
    store: Store, household: Household, clock: Clock, *client_ids: str, device_id: UUID | None = None
) -> Session:
    """A session that these clients were used with."""
    async with store.for_tenant(household.tenant.id) as mine:
        session = await mine.sessions.start(
            household.user_id, acr="urn:yett:acr:pwd", amr=["pwd"], expires_at=clock() + HOUR, device_id=device_id
        )
        for client_id in client_ids:
            await mine.logout_notices.used_by(session.id, client_id)
    return session


async def end(store: Store, household: Household, session: Session) -> None:
    async with store.for_tenant(household.tenant.id) as mine:
        assert await mine.sessions.end(session.id)


async def due(database: Database, clock: Clock, *, limit: int = 100) -> Sequence[DueNotice]:
    async with database.system_snapshot() as connection:
        return await logout_notices.due(connection, clock(), limit=limit)


async def take(store: Store, notice: DueNotice) -> LogoutNotice | None:
    async with store.for_tenant(notice.tenant_id) as mine:
        return await mine.logout_notices.take(notice.id, lease=LEASE)


async def taken(store: Store, database: Database, clock: Clock) -> LogoutNotice:
    (found,) = await due(database, clock)
    notice = await take(store, found)
    assert notice is not None
    return notice
