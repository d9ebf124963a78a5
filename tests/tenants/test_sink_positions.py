"""Positions of sinks: each tenant's events once and in order, one holder at a time, and nobody starves another."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.sink_positions import BATCH, Claim, SinkPositions
from tenants.store import Store
from tenants.tenant import Tenant
from tests.conftest import Clock

LEASE = timedelta(seconds=20)
ME, OTHER = uuid4(), uuid4()


class House:
    """A log of two tenants, and a sink."""

    def __init__(self, database: Database, store: Store, clock: Clock) -> None:
        self.log, self.positions, self.store, self.clock = AuditLog(database), SinkPositions(database), store, clock

    async def tell(self, tenant: Tenant, *types: str) -> None:
        async with self.store.for_tenant(tenant.id) as mine:
            for type_ in types:
                await mine.audit.add(Event(type=type_, outcome="success"))
        while await self.log.sequence():
            pass

    async def begin(self, *, from_now: bool = False) -> None:
        await self.positions.begin("siem", from_now=from_now, now=self.clock())

    async def claim(self, holder: UUID = ME, slugs: tuple[str, ...] | None = None) -> Claim | None:
        return await self.positions.claim("siem", holder, slugs=slugs, now=self.clock(), until=self.clock() + LEASE)

    async def settle(self, claim: Claim, holder: UUID = ME, *, problem: str | None = None) -> bool:
        moves = {entry.tenant_id: entry.position + 1 for entry in claim.entries}
        if problem is not None:
            moves = {entry.tenant_id: entry.position for entry in reversed(claim.entries)}
        return await self.positions.settle(
            "siem",
            holder,
            moves=moves,
            failures=int(problem is not None),
            problem=problem,
            delivered=problem is None,
            now=self.clock(),
            next_at=self.clock() + timedelta(seconds=problem is not None),
        )


@pytest.fixture
async def house(database: Database, store: Store, clock: Clock, acme: Tenant, globex: Tenant) -> House:
    house = House(database, store, clock)
    await house.tell(acme, "a1", "a2")
    return house


def types(claim: Claim | None, slug: str) -> list[str]:
    assert claim is not None
    return [json.loads(entry.event or b"")["type"] for entry in claim.entries if entry.slug == slug]


async def test_from_the_beginning_it_has_everything_and_then_nothing(house: House) -> None:
    await house.begin()
    claim = await house.claim()
    assert types(claim, "acme") == ["tenant.created", "a1", "a2"]
    assert types(claim, "globex") == ["tenant.created"]
    assert claim is not None
    assert claim.behind == 4
    assert await house.settle(claim)
    assert await house.claim() is None


async def test_from_now_on_it_has_what_comes_and_all_of_a_tenant_that_comes(
    house: House, acme: Tenant, directory: Directory
) -> None:
    await house.begin(from_now=True)
    assert await house.claim() is None
    await house.begin()  # as each process does at its start
    await house.tell(acme, "a3")
    new = await directory.create(slug="initech", name="I", issuer="https://i.example.com/t/initech", actor="test")
    await house.tell(new, "i1")
    claim = await house.claim()
    assert types(claim, "acme") == ["a3"]
    assert types(claim, "initech") == ["tenant.created", "i1"]


async def test_one_holder_at_a_time_until_its_time_is_over(house: House, clock: Clock, acme: Tenant) -> None:
    await house.begin()
    first = await house.claim()
    assert first is not None
    assert await house.claim(OTHER) is None
    clock.advance(seconds=20)
    second = await house.claim(OTHER)
    assert second is not None
    assert second.entries == first.entries
    assert not await house.settle(first)  # who lost the claim moves nothing
    await house.tell(acme, "a3")
    clock.advance(seconds=20)
    third = await house.claim()
    assert types(third, "acme") == ["tenant.created", "a1", "a2", "a3"]


async def test_who_was_well_served_keeps_it_and_who_was_not_gives_it_back(
    house: House, clock: Clock, acme: Tenant
) -> None:
    await house.begin()
    claim = await house.claim()
    assert claim is not None
    assert await house.settle(claim)
    for number in range(6):  # with nothing to send, it is kept all the same
        clock.advance(seconds=9)
        assert await house.claim() is None
        await house.tell(acme, f"b{number}")
        assert await house.claim(OTHER) is None
        claim = await house.claim()
        assert types(claim, "acme") == [f"b{number}"]
        assert claim is not None
        assert await house.settle(claim)
    await house.tell(acme, "last")
    claim = await house.claim()
    assert claim is not None
    assert await house.settle(claim, problem="unreachable")
    clock.advance(seconds=1)
    assert types(await house.claim(OTHER), "acme") == ["last"]
    assert await house.claim() is None
    await house.positions.release("siem", OTHER, now=clock())
    assert types(await house.claim(), "acme") == ["last"]


async def test_many_who_ask_at_once_are_one_holder(house: House) -> None:
    async def ask(holder: UUID) -> Claim | None:
        await house.begin(from_now=False)
        return await house.claim(holder)

    found = await asyncio.gather(*(ask(uuid4()) for _ in range(6)))
    assert len([claim for claim in found if claim is not None]) == 1


async def test_what_was_not_taken_comes_again_and_not_before_its_time(house: House, clock: Clock) -> None:
    await house.begin()
    first = await house.claim()
    assert first is not None
    assert await house.settle(first, problem="timed_out")
    assert await house.claim() is None
    clock.advance(seconds=1)
    second = await house.claim()
    assert second is not None
    assert second.failures == 1
    assert (
        len({entry.tenant_id for entry in second.entries}) == 1
    )  # what is refused may be another's, and holds nobody up
    assert await house.settle(second)
    third = await house.claim()
    assert third is not None
    assert sorted(map(str, second.entries + third.entries)) == sorted(map(str, first.entries))


async def test_what_fails_again_and_again_is_tried_in_ever_smaller_batches(
    house: House, clock: Clock, acme: Tenant, database: Database
) -> None:
    await house.begin()
    await house.tell(acme, *(f"a{number}" for number in range(3, BATCH)))
    sizes = []
    for failures in range(1, 12):
        claim = await house.claim(slugs=("acme",))
        assert claim is not None
        sizes.append(len(claim.entries))
        await house.positions.settle(
            "siem",
            ME,
            moves={acme.id: 0},
            failures=failures,
            problem="refused",
            delivered=False,
            now=house.clock(),
            next_at=house.clock(),
        )
    assert sizes == [200, 100, 50, 25, 12, 6, 3, 1, 1, 1, 1]


async def test_only_the_tenants_that_are_named(house: House) -> None:
    await house.begin()
    claim = await house.claim(slugs=("globex",))
    assert claim is not None
    assert {entry.slug for entry in claim.entries} == {"globex"}
    assert claim.behind == 1


async def test_a_tenant_with_many_events_leaves_others_their_turn(house: House, acme: Tenant, globex: Tenant) -> None:
    await house.begin()
    await house.tell(acme, *(f"a{number}" for number in range(3, 2 * BATCH)))
    await house.tell(globex, "g1")
    seen: list[str] = []
    while (claim := await house.claim()) is not None:
        assert len(claim.entries) <= BATCH
        if not seen:
            assert types(claim, "globex") == ["tenant.created", "g1"]
        seen += types(claim, "acme")
        assert await house.settle(claim)
    assert seen == ["tenant.created", *(f"a{number}" for number in range(1, 2 * BATCH))]


async def test_the_standing_says_how_far_it_is(house: House) -> None:
    await house.begin()
    claim = await house.claim()
    assert claim is not None
    assert await house.settle(claim, problem="status_503")
    (standing,) = await house.positions.standing()
    assert (standing.name, standing.failures, standing.problem) == ("siem", 1, "status_503")
    assert standing.tenants == {"acme": (0, 3), "globex": (0, 1)}
    assert standing.delivered_at is None
