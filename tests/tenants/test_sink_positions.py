"""Positions of sinks: each tenant's events once and in order, one holder at a time, and nobody starves another."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, event, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.audit_event import Event
from tenants.audit_log import AuditLog
from tenants.audit_tree import AuditTree
from tenants.cluster_tables import sink_positions as positions_table
from tenants.cluster_tables import sinks as sink_rows
from tenants.database import Database
from tenants.directory import Directory
from tenants.sink_batch import BATCH, Terms
from tenants.sink_positions import Claim, Outcome, SinkPositions
from tenants.sink_standing import Standing, standing
from tenants.store import Store
from tenants.tables import audit_events, tenants
from tenants.tenant import Tenant
from tests.conftest import Clock

LEASE = timedelta(seconds=20)
MINUTE = timedelta(minutes=1)
ME, OTHER = uuid4(), uuid4()


class House:
    """A log of two tenants, and a sink."""

    def __init__(self, database: Database, store: Store, clock: Clock, tree: AuditTree) -> None:
        self.log, self.positions, self.store, self.clock = AuditLog(database), SinkPositions(database), store, clock
        self.database, self.tree = database, tree

    async def tell(self, tenant: Tenant, *types: str) -> None:
        async with self.store.for_tenant(tenant.id) as mine:
            for type_ in types:
                await mine.audit.add(Event(type=type_, outcome="success"))
        while await self.log.sequence():
            pass

    async def sign(self) -> None:
        """Let the trees grow to the ends of their logs."""
        while await self.tree.grow():
            pass

    async def begin(self, *, from_now: bool = False) -> None:
        await self.positions.begin("siem", from_now=from_now, now=self.clock())

    async def claim(
        self, holder: UUID = ME, slugs: tuple[str, ...] | None = None, *, interval: timedelta | None = None
    ) -> Claim | None:
        terms = Terms(slugs, interval)
        return await self.positions.claim("siem", holder, terms, now=self.clock(), until=self.clock() + LEASE)

    async def settle(self, claim: Claim, holder: UUID = ME, *, problem: str | None = None) -> bool:
        moves = dict(claim.batch.begins)
        if problem is None:
            moves |= {entry.tenant_id: entry.position + 1 for entry in claim.batch.entries}
        return await self.settled(
            claim,
            holder,
            moves=moves,
            checkpoints={each.tenant_id: each.before if problem else each.size for each in claim.batch.checkpoints},
            problem=problem,
            failures=0 if problem is None else claim.failures + 1,
            delivered=problem is None,
            next_at=self.clock() + timedelta(seconds=problem is not None),
        )

    async def settled(self, claim: Claim, holder: UUID = ME, **outcome: Any) -> bool:
        said = {"moves": claim.batch.begins, "checkpoints": {}, "checkpoint_due": self.clock() + MINUTE, "refused": 0}
        said |= {"failures": 0, "problem": None, "delivered": True, "next_at": self.clock()} | outcome
        return await self.positions.settle("siem", holder, claim.term, Outcome(**said), now=self.clock())

    async def standing(self) -> Standing:
        (found,) = await standing(self.database)
        return found


@pytest.fixture
async def house(
    database: Database, store: Store, clock: Clock, acme: Tenant, globex: Tenant, audit_tree: AuditTree
) -> House:
    house = House(database, store, clock, audit_tree)
    await house.tell(acme, "a1", "a2")
    return house


Statements = Callable[[], AbstractContextManager[list[tuple[str, Any]]]]


@pytest.fixture
def statements(database: Database) -> Statements:
    """What the database is told meanwhile, for all tenants."""

    @contextmanager
    def told() -> Iterator[list[tuple[str, Any]]]:
        found: list[tuple[str, Any]] = []

        def hears(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            found.append((statement, parameters))

        event.listen(database.system.sync_engine, "before_cursor_execute", hears)
        try:
            yield found
        finally:
            event.remove(database.system.sync_engine, "before_cursor_execute", hears)

    return told


def types(claim: Claim | None, slug: str) -> list[str]:
    assert claim is not None
    return [entry.type for entry in claim.batch.entries if entry.slug == slug]


async def test_from_the_beginning_it_has_everything_and_then_nothing(house: House) -> None:
    await house.begin()
    claim = await house.claim()
    assert types(claim, "acme") == ["tenant.created", "a1", "a2"]
    assert types(claim, "globex") == ["tenant.created"]
    assert claim is not None
    assert not claim.batch.more
    assert await house.positions.behind("siem", Terms(None, None)) == 4
    assert await house.settle(claim)
    assert await house.positions.behind("siem", Terms(None, None)) == 0
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
    assert second.batch.entries == first.batch.entries
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
    # What is refused may be another's, and holds nobody up.
    assert len({entry.tenant_id for entry in second.batch.entries}) == 1
    assert await house.settle(second)
    third = await house.claim()
    assert third is not None
    assert sorted(map(str, [*second.batch.entries, *third.batch.entries])) == sorted(map(str, first.batch.entries))


async def test_what_fails_again_and_again_is_tried_in_ever_smaller_batches(house: House, acme: Tenant) -> None:
    await house.begin()
    await house.tell(acme, *(f"a{number}" for number in range(3, BATCH)))
    sizes = []
    for failures in range(1, 12):
        claim = await house.claim(slugs=("acme",))
        assert claim is not None
        sizes.append(len(claim.batch.entries))
        await house.settled(claim, failures=failures, problem="refused", delivered=False)
    assert sizes == [200, 100, 50, 25, 12, 6, 3, 1, 1, 1, 1]


async def test_only_the_tenants_that_are_named(house: House) -> None:
    await house.begin()
    claim = await house.claim(slugs=("globex",))
    assert claim is not None
    assert {entry.slug for entry in claim.batch.entries} == {"globex"}
    assert await house.positions.behind("siem", Terms(("globex",), None)) == 1
    assert await house.settle(claim)
    assert await house.claim(slugs=("globex",)) is None


async def test_a_tenant_with_many_events_leaves_others_their_turn(house: House, acme: Tenant, globex: Tenant) -> None:
    await house.begin()
    await house.tell(acme, *(f"a{number}" for number in range(3, 2 * BATCH)))
    await house.tell(globex, "g1")
    seen: list[str] = []
    while (claim := await house.claim()) is not None:
        assert len(claim.batch.entries) <= BATCH
        if not seen:
            assert types(claim, "globex") == ["tenant.created", "g1"]
        seen += types(claim, "acme")
        assert await house.settle(claim)
    assert seen == ["tenant.created", *(f"a{number}" for number in range(1, 2 * BATCH))]


async def test_the_standing_says_how_far_it_is_and_since_when(house: House, clock: Clock) -> None:
    await house.begin()
    began = clock()
    for failures in (1, 2):
        claim = await house.claim()
        assert claim is not None
        assert await house.settle(claim, problem="status_503")
        found = await house.standing()
        assert (found.name, found.failures, found.problem) == ("siem", failures, "status_503")
        assert (found.failing_since, found.delivered_at) == (began, None)
        assert found.tenants == {"acme": (0, 3, began, 0), "globex": (0, 1, began, 0)}
        clock.advance(seconds=1)
    while (claim := await house.claim()) is not None:
        assert await house.settle(claim)
    found = await house.standing()
    assert (found.failures, found.problem, found.failing_since) == (0, "status_503", None)
    assert found.tenants == {"acme": (3, 3, None, 0), "globex": (1, 1, None, 0)}


async def test_what_is_refused_for_good_is_counted_and_told_as_a_problem(house: House) -> None:
    await house.begin()
    for _ in range(2):
        claim = await house.claim()
        assert claim is not None
        assert await house.settled(claim, refused=2, problem="item_400")
    found = await house.standing()
    assert (found.refused, found.problem, found.failures) == (4, "item_400", 0)
    assert found.failed_at == house.clock()


async def test_a_clock_that_is_set_back_silences_nobody(house: House, clock: Clock, acme: Tenant) -> None:
    """Neither the claim of one that is gone, nor a pause, nor whose turn it is, nor a checkpoint's."""
    await house.begin()
    gone = await house.claim(OTHER)
    assert gone is not None
    clock.advance(hours=-5)
    claim = await house.claim()  # at once, and not when the other's time would have been over
    assert claim is not None
    assert not await house.settle(gone, OTHER)
    assert await house.settle(claim, problem="status_503")
    clock.advance(hours=-5)
    claim = await house.claim()
    assert claim is not None
    assert await house.settle(claim)
    while (claim := await house.claim()) is not None:
        assert await house.settle(claim)
    await house.tell(acme, "b1")
    assert types(await house.claim(), "acme") == ["b1"]  # the claim that it has is renewed, too
    assert await house.claim(OTHER) is None


async def test_a_clock_that_is_set_back_keeps_no_checkpoint_at_home(house: House, clock: Clock, acme: Tenant) -> None:
    await house.sign()
    await house.begin()
    while (claim := await house.claim(interval=MINUTE)) is not None:
        assert await house.settle(claim)
    clock.advance(hours=-5)
    await house.tell(acme, "b1")
    await house.sign()
    came = []
    while (claim := await house.claim(interval=MINUTE)) is not None:
        came.append(sizes(claim))
        assert await house.settle(claim)
    assert came == [{}, {"acme": 4}]


async def test_a_log_whose_end_was_taken_out_is_no_endless_loop_and_holds_up_nobody(
    house: House, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    await house.begin()
    async with superuser.begin() as connection:
        await connection.execute(delete(audit_events).where(audit_events.c.tenant_id == acme.id))
    claim = await house.claim()
    assert claim is not None
    assert types(claim, "globex") == ["tenant.created"]
    assert await house.settle(claim)
    claim = await house.claim()
    assert claim is not None
    assert (claim.batch.begins, claim.batch.entries, claim.batch.more) == ({acme.id: 0}, [], False)


async def test_turns_go_round_whatever_the_clock_says(house: House, clock: Clock, acme: Tenant, globex: Tenant) -> None:
    await house.begin()
    turns = []
    for _ in range(6):
        claim = await house.claim()
        assert claim is not None
        turns += [entry.tenant_id for entry in claim.batch.entries]
        await house.settled(claim, problem="status_503", failures=9, delivered=False)
        clock.advance(hours=-1)
    assert sorted(turns[-4:], key=str) == sorted(2 * [acme.id, globex.id], key=str)


async def test_a_claim_looks_at_no_log_that_has_not_grown(
    house: House, acme: Tenant, statements: Statements, database: Database, superuser: AsyncEngine
) -> None:
    """However many tenants there are: what is idle is one statement, and each part of it ends with the first row."""
    await house.begin()
    while (claim := await house.claim(interval=MINUTE)) is not None:
        assert await house.settle(claim)
    with statements() as idle:
        assert await house.claim(interval=MINUTE) is None
    ((look, parameters),) = idle
    assert "max(audit_heads.moved)" in look
    await house.tell(acme, "b1")
    with statements() as busy:
        claim = await house.claim()
    assert claim is not None
    assert {entry.tenant_id for entry in claim.batch.entries} == {acme.id} == set(claim.batch.begins)
    if database.is_sqlite:  # PostgreSQL reads a table of two rows as it likes
        async with superuser.connect() as connection:
            for statement, values in [(look, parameters), *busy]:
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                assert not [row.detail for row in plan if row.detail.startswith("SCAN")], statement


async def test_logs_that_grew_are_heard_of_in_portions(house: House, database: Database) -> None:
    house.positions = SinkPositions(database, heads_at_once=1)
    await house.begin()
    seen: list[list[str]] = []
    while (claim := await house.claim()) is not None:
        assert claim.unheard
        seen.append([entry.type for entry in claim.batch.entries])
        assert await house.settle(claim)
    assert sorted(seen) == [["tenant.created"], ["tenant.created", "a1", "a2"]]


async def test_a_number_is_not_given_twice_where_the_last_tenant_to_move_is_gone(
    house: House, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    await house.begin()
    await house.tell(globex, "g1")
    while (claim := await house.claim()) is not None:
        assert await house.settle(claim)
    async with superuser.begin() as connection:
        await connection.execute(delete(tenants).where(tenants.c.id == globex.id))
    await house.tell(acme, "b1")
    assert types(await house.claim(), "acme") == ["b1"]


async def test_the_release_before_may_serve_beside_this_one(house: House, acme: Tenant, superuser: AsyncEngine) -> None:
    """It claims, moves positions and makes new ones without what this one counts by."""
    await house.begin()
    while (claim := await house.claim()) is not None:
        assert await house.settle(claim)
    await house.tell(acme, "b1", "b2")
    async with superuser.begin() as connection:
        await connection.execute(update(sink_rows).values(holder=OTHER, held_until=house.clock() + LEASE))
    assert await house.claim() is None
    async with superuser.begin() as connection:
        await connection.execute(
            update(positions_table).where(positions_table.c.tenant_id == acme.id).values(next=4, tried_at=house.clock())
        )
        await connection.execute(update(sink_rows).values(holder=None, held_until=house.clock()))
    assert types(await house.claim(), "acme") == ["b2"]


def sizes(claim: Claim | None) -> dict[str, int]:
    return {} if claim is None else {each.slug: each.size for each in claim.batch.checkpoints}


async def test_a_checkpoint_follows_its_events_in_their_batch(house: House, acme: Tenant) -> None:
    await house.sign()
    await house.begin()
    claim = await house.claim(interval=MINUTE)
    assert sizes(claim) == {"acme": 3, "globex": 1}
    assert claim is not None
    newest = await house.tree.newest_checkpoint(acme.id)
    assert newest is not None
    (mine,) = [each for each in claim.batch.checkpoints if each.tenant_id == acme.id]
    assert (mine.note, mine.signed_at, mine.before) == (newest.note, newest.signed_at, 0)
    assert await house.settle(claim)
    assert await house.claim(interval=MINUTE) is None
    assert {slug: place.checkpoint for slug, place in (await house.standing()).tenants.items()} == {
        "acme": 3,
        "globex": 1,
    }


async def test_one_that_is_signed_later_comes_alone(house: House, acme: Tenant) -> None:
    await house.begin()
    claim = await house.claim(interval=MINUTE)
    assert sizes(claim) == {}
    assert claim is not None
    assert await house.settle(claim)
    assert await house.claim(interval=MINUTE) is None
    await house.sign()
    claim = await house.claim(interval=MINUTE)
    assert sizes(claim) == {"acme": 3, "globex": 1}
    assert claim is not None
    assert not claim.batch.entries


async def test_checkpoints_have_their_interval_and_a_quiet_log_has_none(
    house: House, acme: Tenant, clock: Clock
) -> None:
    await house.begin()
    came = []
    for second in range(0, 200, 10):
        if second < 80:
            await house.tell(acme, f"b{second}")
            await house.sign()
        while (claim := await house.claim(slugs=("acme",), interval=MINUTE)) is not None:
            came += [(second, each.size) for each in claim.batch.checkpoints]
            assert await house.settle(claim)
        clock.advance(seconds=10)
    assert came == [(0, 4), (60, 10), (120, 11)]


async def test_what_was_not_taken_is_sent_again_when_it_is_due_and_only_the_newest(
    house: House, acme: Tenant, clock: Clock
) -> None:
    await house.sign()
    await house.begin()
    claim = await house.claim(slugs=("acme",), interval=MINUTE)
    assert sizes(claim) == {"acme": 3}
    assert claim is not None
    assert await house.settle(claim, problem="status_503")
    clock.advance(seconds=1)
    claim = await house.claim(slugs=("acme",), interval=MINUTE)
    assert sizes(claim) == {}  # what may be the cause is left out, so that events go on
    assert claim is not None
    assert await house.settle(claim)
    await house.tell(acme, "b1")
    await house.sign()
    clock.advance(seconds=60)
    claim = await house.claim(slugs=("acme",), interval=MINUTE)
    assert sizes(claim) == {"acme": 4}


async def test_a_sink_that_is_far_behind_has_a_checkpoint_ahead_of_its_events(
    house: House, acme: Tenant, clock: Clock
) -> None:
    """Else whoever floods a log would keep its checkpoints in the database."""
    await house.begin()
    await house.tell(acme, *(f"b{number}" for number in range(3 * BATCH)))
    await house.sign()
    came = []
    for _ in range(3):
        claim = await house.claim(slugs=("acme",), interval=MINUTE)
        assert claim is not None
        assert claim.batch.more
        came.append(sizes(claim))
        assert await house.settle(claim)
        clock.advance(seconds=30)
    assert came == [{}, {}, {"acme": 3 * BATCH + 3}]


async def test_who_wants_no_checkpoints_has_none_and_is_idle(house: House) -> None:
    await house.sign()
    await house.begin()
    claim = await house.claim()
    assert sizes(claim) == {}
    assert claim is not None
    assert await house.settle(claim)
    assert await house.claim() is None


async def test_a_sink_that_begins_now_has_a_checkpoint_of_all_that_was_before(house: House) -> None:
    await house.sign()
    await house.begin(from_now=True)
    claim = await house.claim(interval=MINUTE)
    assert sizes(claim) == {"acme": 3, "globex": 1}
    assert claim is not None
    assert not claim.batch.entries


async def test_what_was_erased_comes_with_what_stands(house: House, acme: Tenant, superuser: AsyncEngine) -> None:
    await house.begin()
    async with superuser.begin() as connection:
        erased = update(audit_events).where(audit_events.c.tenant_id == acme.id, audit_events.c.position == 1)
        await connection.execute(erased.values(event=None, salt=None))
    claim = await house.claim(slugs=("acme",))
    assert claim is not None
    entry = claim.batch.entries[1]
    assert (entry.position, entry.type, entry.event, entry.at) == (1, "a1", None, house.clock())
    assert len(entry.leaf) == 32
