"""Issuers in memory: as the database has them within a change of the feed, and never another tenant's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from tenants.changed_clients import ChangedClients
from tenants.clients import Client, RegisteredClient
from tenants.database import Database
from tenants.directory import Directory
from tenants.issuers import Issuers
from tenants.keys import NoActiveKey
from tenants.snapshot import Snapshot
from tenants.store import Store, TenantStore
from tenants.tables import clients
from tenants.tenant import Tenant
from tests.conftest import Clock
from tests.tenants.conftest import an_app


@pytest.fixture
async def snapshot(database: Database, clock: Clock) -> Snapshot:
    return Snapshot(database, clock=clock, monotonic=clock.monotonic)


@pytest.fixture
def issuers(store: Store, snapshot: Snapshot, clock: Clock) -> Issuers:
    return Issuers(store, snapshot, monotonic=clock.monotonic)


class Reads:
    """How many transactions were begun."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.app.sync_engine, "begin", self._one_more)

    def _one_more(self, _: object) -> None:
        self.count += 1


async def test_an_issuer_is_read_once_and_again_after_a_change(
    database: Database, store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant
) -> None:
    await snapshot.load()
    reads = Reads(database)
    first = await issuers.get(acme.id, under=acme.issuer)
    assert first is not None
    assert first.tenant == acme
    assert await issuers.get(acme.id, under=acme.issuer) is first
    assert reads.count == 1
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    await snapshot.poll()
    second = await issuers.get(acme.id, under=acme.issuer)
    assert second is not None
    assert set(second.clients) == {"app"}


@pytest.mark.parametrize("change", ["suspended", "secret", "secrets ended", "client disabled", "key revoked", "people"])
async def test_every_change_is_known_once_it_is_heard(
    change: str, store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
        secret = await mine.clients.add_secret("app")
        kid = (await mine.keys.signing()).kid
    await snapshot.load()
    before = await issuers.get(acme.id, under=acme.issuer)
    assert before is not None
    async with store.for_tenant(acme.id) as mine:
        match change:
            case "suspended":
                await mine.settings.set_active(False)
            case "secret":
                await mine.clients.add_secret("app")
            case "secrets ended":
                await mine.clients.end_secrets("app")
            case "client disabled":
                await mine.clients.set_active("app", False)
            case "key revoked":
                await mine.keys.revoke(kid, "ES256")
            case "people":
                await mine.settings.set_people(acme.people.changed(clock(), sign_up=True))
    assert await issuers.get(acme.id, under=acme.issuer) is before
    await snapshot.poll()
    now = await issuers.get(acme.id, under=acme.issuer)
    assert now is not None
    app = now.clients["app"]
    assert (
        now.tenant.active,
        len(app.secrets),
        app.has_secret(secret, clock()),
        app.client.active,
        now.signing_key().kid == kid,
        now.tenant.people == acme.people,
    ) == (
        change != "suspended",
        {"secret": 2, "secrets ended": 0}.get(change, 1),
        change != "secrets ended",
        change != "client disabled",
        change != "key revoked",
        change != "people",
    )


async def test_a_process_that_hears_nothing_reads_again_after_a_second(
    database: Database, store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    assert await issuers.get(acme.id, under=acme.issuer) is not None
    clock.advance(seconds=6)
    async with store.for_tenant(acme.id) as mine:
        await mine.settings.set_active(False)
    reads = Reads(database)
    for seconds, so_far in ((0, 1), (0.9, 1), (0.1, 2)):
        clock.advance(seconds=seconds)
        deaf = await issuers.get(acme.id, under=acme.issuer)
        assert deaf is not None
        assert not deaf.tenant.active
        assert reads.count == so_far


async def test_a_change_of_one_client_reads_no_other_one(
    store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant
) -> None:
    async with store.for_tenant(acme.id) as mine:
        for name in ("changed", "deleted", "kept", "rolled"):
            await mine.clients.create(an_app(name))
    await snapshot.load()
    first = await issuers.get(acme.id, under=acme.issuer)
    assert first is not None
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.replace(an_app("changed", name="Changed"))
        await mine.clients.delete("deleted")
        await mine.clients.add_secret("rolled")
        await mine.clients.create(an_app("made"))
    await snapshot.poll()
    second = await issuers.get(acme.id, under=acme.issuer)
    assert second is not None
    assert set(second.clients) == {"changed", "kept", "made", "rolled"}
    assert second.clients["changed"].client.name == "Changed"
    assert len(second.clients["rolled"].secrets) == 1
    assert second.clients["kept"] is first.clients["kept"]


@pytest.mark.parametrize("lost", ["the tenant changed too", "all was loaded anew", "too much was heard"])
async def test_all_clients_are_read_where_more_than_clients_may_have_changed(
    lost: str, store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app("kept"))
    if lost == "too much was heard":
        snapshot.changed_clients = ChangedClients(most=1)
    await snapshot.load()
    first = await issuers.get(acme.id, under=acme.issuer)
    assert first is not None
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app("made"))
        await mine.clients.create(an_app("too"))
        if lost == "the tenant changed too":
            await mine.settings.set_active(True)
    await (snapshot.load() if lost == "all was loaded anew" else snapshot.poll())
    second = await issuers.get(acme.id, under=acme.issuer)
    assert second is not None
    assert set(second.clients) == {"kept", "made", "too"}
    assert second.clients["kept"] is not first.clients["kept"]


async def test_a_client_that_a_newer_version_wrote_keeps_no_other_one_out(
    superuser: AsyncEngine, store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app("newer"))
        await mine.clients.create(an_app("app"))
    async with superuser.begin() as connection:
        of_newer = clients.c.client_id == "newer"
        await connection.execute(update(clients).where(of_newer).values(options={"require_all": True}))
    await snapshot.load()
    with capture_logs() as lines:
        issuer = await issuers.get(acme.id, under=acme.issuer)
    assert issuer is not None
    assert set(issuer.clients) == {"app"}
    assert [(line["event"], line["client_id"]) for line in lines] == [("client_unreadable", "newer")]


async def test_a_tenant_whose_rows_are_being_read_keeps_no_other_one_waiting(
    store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant, globex: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await snapshot.load()
    for_tenant, goes_on, begun = store.for_tenant, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow(tenant_id: UUID, *, read_only: bool = False) -> AsyncIterator[TenantStore]:
        if tenant_id == acme.id:
            begun.set()
            await goes_on.wait()
        async with for_tenant(tenant_id, read_only=read_only) as mine:
            yield mine

    monkeypatch.setattr(store, "for_tenant", slow)
    waiting = asyncio.create_task(issuers.get(acme.id, under=acme.issuer))
    await begun.wait()
    other = await asyncio.wait_for(issuers.get(globex.id, under=globex.issuer), 5)
    goes_on.set()
    assert other is not None
    assert await waiting is not None


async def test_what_one_tenant_has_is_not_anothers(
    store: Store, snapshot: Snapshot, issuers: Issuers, acme: Tenant, globex: Tenant
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(an_app())
    await snapshot.load()
    here, there = await issuers.get(acme.id, under=acme.issuer), await issuers.get(globex.id, under=globex.issuer)
    assert here is not None
    assert there is not None
    assert set(there.clients) == set()
    assert here.signing_key().kid != there.signing_key().kid
    assert await issuers.get(uuid4(), under="https://login.example.com") is None


async def test_memory_is_bounded_by_the_clients_that_are_kept(
    database: Database, store: Store, snapshot: Snapshot, directory: Directory, acme: Tenant, globex: Tenant
) -> None:
    for tenant in (acme, globex):
        async with store.for_tenant(tenant.id) as mine:
            for number in range(3):
                await mine.clients.create(an_app(f"app-{number}"))
    await snapshot.load()
    issuers = Issuers(store, snapshot, most_clients=5)
    first = await issuers.get(acme.id, under=acme.issuer)
    await issuers.get(globex.id, under=globex.issuer)
    reads = Reads(database)
    await issuers.get(globex.id, under=globex.issuer)
    assert reads.count == 0  # the newest is kept
    assert await issuers.get(acme.id, under=acme.issuer) is not first
    assert reads.count == 1


async def test_without_a_key_nothing_is_signed(snapshot: Snapshot, issuers: Issuers, acme: Tenant) -> None:
    await snapshot.load()
    issuer = await issuers.get(acme.id, under=acme.issuer)
    assert issuer is not None
    keyless = replace(issuer, key=None)
    with pytest.raises(NoActiveKey):
        keyless.signing_key()


def test_a_secret_is_not_shown(acme: Tenant) -> None:
    client = Client("app", "App", True, frozenset(), frozenset(), ("https://api.example.com",))

    assert "digest" not in repr(RegisteredClient(client, {b"digest": None}))
