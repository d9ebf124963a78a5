"""Initial access tokens are forgotten a day after their time, by the same job as everything else."""

from datetime import timedelta

from sqlalchemy import func, select

from gateway.housekeeping import Housekeeping
from tenants.database import Database
from tenants.directory import Directory
from tenants.provider_tables import registration_tokens
from tenants.store import Store
from tests.conftest import Clock


async def test_an_initial_access_token_goes_a_day_after_its_time_and_not_before(
    database: Database, directory: Directory, store: Store, clock: Clock
) -> None:
    async def left() -> int:
        async with database.system_snapshot() as connection:
            count = select(func.count(registration_tokens.c.expires_at))
            return int((await connection.execute(count)).scalar_one())

    tenant = await directory.create(slug="acme", name="Acme", issuer="http://localhost/t/acme", actor="test")
    async with store.for_tenant(tenant.id) as mine:
        await mine.registration_tokens.issue("Partner", uses=1, lifetime=timedelta(hours=1))
    housekeeping = Housekeeping(database, store, clock)

    clock.advance(hours=25, seconds=-1)
    await housekeeping.prune()
    before = await left()
    clock.advance(seconds=2)
    await housekeeping.prune()
    assert (before, await left()) == (1, 0)
