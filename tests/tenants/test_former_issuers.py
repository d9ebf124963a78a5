"""The change of an issuer, as it is stored and as every process hears of it."""

from datetime import timedelta

import pytest

from tenants.clients import Client
from tenants.directory import Directory
from tenants.errors import AlreadyExists, NotFound
from tenants.former_issuers import FormerIssuer
from tenants.issuers import Issuers
from tenants.snapshot import Snapshot
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock

OWN, NEXT = "https://login.acme.example", "https://id.acme.example"
DAY = timedelta(days=1)


async def change(store: Store, tenant: Tenant, before: str, to: str, clock: Clock, overlap: timedelta = DAY) -> None:
    async with store.for_tenant(tenant.id) as mine:
        await mine.settings.change_issuer(before, to)
        await mine.former_issuers.keep(before, clock() + overlap)


async def issuers_of(store: Store, tenant: Tenant) -> list[str]:
    async with store.for_tenant(tenant.id, read_only=True) as mine:
        return [one.issuer for one in await mine.former_issuers.list()]


async def test_both_issuers_are_the_tenants_until_the_overlap_ends(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    await change(store, acme, acme.issuer, OWN, clock)
    assert snapshot.by_issuer(OWN) is None
    await snapshot.poll()

    now, before = snapshot.by_issuer(OWN), snapshot.by_issuer(acme.issuer)
    assert now is snapshot.by_id(acme.id) is snapshot.by_slug("acme")
    assert now is not None
    assert before is not None
    assert (now.issuer, now.until) == (OWN, None)
    assert (before.id, before.issuer, before.until) == (acme.id, acme.issuer, clock() + DAY)
    assert before.keys == now.keys
    clock.advance(days=1, seconds=-1)
    assert snapshot.by_issuer(acme.issuer) is before
    clock.advance(seconds=1)  # nobody has told of anything
    assert snapshot.by_issuer(acme.issuer) is None
    assert snapshot.by_issuer(OWN) is now


async def test_what_is_over_is_not_loaded_and_not_forgotten(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await change(store, acme, acme.issuer, OWN, clock)
    clock.advance(days=1)
    await snapshot.load()
    facts = snapshot.by_id(acme.id)
    assert facts is not None
    assert facts.former == ()
    assert await issuers_of(store, acme) == [acme.issuer]


async def test_changes_follow_each_other_and_lead_back(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    await snapshot.load()
    await change(store, acme, acme.issuer, OWN, clock)
    clock.advance(hours=1)
    await change(store, acme, OWN, NEXT, clock)
    await snapshot.poll()
    for issuer in (acme.issuer, OWN, NEXT):
        facts = snapshot.by_issuer(issuer)
        assert facts is not None
        assert facts.issuer == issuer
    await change(store, acme, NEXT, acme.issuer, clock)
    await snapshot.poll()
    facts = snapshot.by_issuer(acme.issuer)
    assert facts is not None
    assert facts.until is None
    assert {one.issuer for one in facts.former} == {OWN, NEXT}
    clock.advance(days=2)
    assert snapshot.by_issuer(acme.issuer) is facts
    assert snapshot.by_issuer(OWN) is None


async def test_an_overlap_can_be_ended(store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock) -> None:
    await change(store, acme, acme.issuer, OWN, clock)
    await snapshot.load()
    assert snapshot.by_issuer(acme.issuer) is not None
    async with store.for_tenant(acme.id) as mine:
        await mine.former_issuers.end(clock())
    await snapshot.poll()
    assert snapshot.by_issuer(acme.issuer) is None
    async with store.for_tenant(acme.id) as mine:  # one that is over stays so
        await mine.former_issuers.end(clock() + DAY)
        assert await mine.former_issuers.list() == [FormerIssuer(acme.issuer, clock())]


async def test_an_issuer_is_one_tenants_at_a_time(
    store: Store, directory: Directory, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    await change(store, acme, acme.issuer, OWN, clock)
    with pytest.raises(AlreadyExists):
        await change(store, globex, globex.issuer, OWN, clock)
    assert await issuers_of(store, globex) == []
    for issuer in (OWN, acme.issuer):
        assert await directory.holder(issuer, clock()) == "acme"
    assert await directory.holder(NEXT, clock()) is None
    clock.advance(days=1)
    assert await directory.holder(acme.issuer, clock()) is None


async def test_who_has_an_issuer_today_has_it_whatever_another_tenant_keeps(
    store: Store, snapshot: Snapshot, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(globex.id) as theirs:
        await theirs.former_issuers.keep(acme.issuer, clock() + DAY)
    await snapshot.load()
    for _ in range(2):
        assert snapshot.by_issuer(acme.issuer) is snapshot.by_id(acme.id)
        async with store.for_tenant(globex.id) as theirs:
            await theirs.former_issuers.keep(acme.issuer, clock() + 2 * DAY)
        await snapshot.poll()


async def test_two_changes_at_a_time_are_one_and_a_refusal(store: Store, acme: Tenant, clock: Clock) -> None:
    await change(store, acme, acme.issuer, OWN, clock)
    with pytest.raises(NotFound):
        await change(store, acme, acme.issuer, NEXT, clock)
    async with store.for_tenant(acme.id, read_only=True) as mine:
        tenant = await mine.settings.get()
    assert tenant is not None
    assert tenant.issuer == OWN


async def test_an_oauth_server_looks_as_it_does_from_where_it_is_asked(
    store: Store, snapshot: Snapshot, acme: Tenant, clock: Clock
) -> None:
    async with store.for_tenant(acme.id) as mine:
        await mine.clients.create(Client("app", "App", False, frozenset(), frozenset(), (acme.issuer,)))
    await change(store, acme, acme.issuer, OWN, clock)
    await snapshot.load()
    issuers = Issuers(store, snapshot)
    here, there = await issuers.get(acme.id, under=OWN), await issuers.get(acme.id, under=acme.issuer)
    assert here is not None
    assert there is not None
    assert (here.tenant.issuer, there.tenant.issuer) == (OWN, acme.issuer)
    assert here.clients is there.clients
    assert here.every == there.every == {OWN, acme.issuer}
