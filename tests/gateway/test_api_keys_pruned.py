"""API keys that ended are forgotten after thirty days, by the same job as everything else."""

from datetime import timedelta

from gateway.housekeeping import Housekeeping
from tenants.database import Database
from tenants.directory import Directory
from tenants.snapshot import Snapshot
from tenants.store import Store
from tests.conftest import Clock


async def test_a_key_goes_thirty_days_after_its_end_and_not_before(
    database: Database, directory: Directory, store: Store, clock: Clock
) -> None:
    tenant = await directory.create(slug="acme", name="Acme", issuer="http://localhost/t/acme", actor="test")

    async def left() -> list[str]:
        async with store.for_tenant(tenant.id, read_only=True) as mine:
            return sorted(key.name for key in await mine.api_keys.list())

    async with store.for_tenant(tenant.id) as mine:
        for name, lifetime in (("expires", timedelta(hours=1)), ("revoked", None), ("lasts", None)):
            await mine.api_keys.create(name, scopes=["a"], audiences=["urn:x:y"], lifetime=lifetime)
    clock.advance(hours=1)
    async with store.for_tenant(tenant.id) as mine:
        revoked = next(key for key in await mine.api_keys.list() if key.name == "revoked")
        await mine.api_keys.revoke(revoked.id)
    snapshot = Snapshot(database, clock=clock, monotonic=clock.monotonic)
    await snapshot.load()
    housekeeping = Housekeeping(database, store, clock)

    clock.advance(days=30)
    await housekeeping.prune()
    before = await left()
    clock.advance(seconds=1)
    await housekeeping.prune()
    assert (before, await left()) == (["expires", "lasts", "revoked"], ["lasts"])
