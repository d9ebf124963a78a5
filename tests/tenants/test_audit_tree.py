"""The tree above a log: it is the log's, whoever lets it grow and however far it was behind."""

import asyncio
import os
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.merkle import TILE, Edge, root_of
from policies.merkle_proof import consistent, included
from tenants.audit_event import Event
from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_proofs import AuditProofs
from tenants.audit_tables import audit_keys
from tenants.audit_tree import AuditTree, LogIncomplete, SignedCheckpoint
from tenants.database import Database
from tenants.sealing import MasterKeys, Unsealable
from tenants.tables import audit_events, audit_heads, audit_outbox
from tenants.tenant import Tenant
from tests.conftest import Clock

LONG = 70_000 if os.environ.get("YETT_TEST_SOAK") else 700
ORIGIN = "auth.example.com/t/acme/audit"


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


async def tell(log: AuditLog, clock: Clock, tenant: Tenant, count: int) -> None:
    await log.observe([(tenant.id, clock(), Event(type="test", outcome="notice", count=n)) for n in range(count)])
    while await log.sequence():
        pass


async def leaves(log: AuditLog, tenant: Tenant) -> Sequence[bytes]:
    return [entry.leaf async for entry in log.export(tenant.id)]


async def checkpoint(tree: AuditTree, tenant: Tenant) -> SignedCheckpoint:
    found = await tree.newest_checkpoint(tenant.id)
    assert found is not None
    return found


async def test_each_log_has_a_tree_and_a_key_of_its_own(
    log: AuditLog, audit_tree: AuditTree, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    assert await audit_tree.newest_checkpoint(acme.id) is None
    assert await audit_tree.verifier(acme.id) is None
    await tell(log, clock, acme, 5)
    assert await audit_tree.grow() is False
    keys = set()
    for tenant, size in ((acme, 6), (globex, 1)):
        key = await audit_tree.verifier(tenant.id)
        assert key is not None
        keys.add(key.public)
        signed = await checkpoint(audit_tree, tenant)
        opened = key.opened(signed.note)
        assert opened.origin == f"auth.example.com/t/{tenant.slug}/audit"
        assert (opened.size, signed.size, signed.signed_at) == (size, size, clock())
        assert opened.root == root_of(await leaves(log, tenant))
    assert len(keys) == 2


async def test_a_log_that_did_not_grow_is_not_signed_again(
    log: AuditLog, audit_tree: AuditTree, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    await tell(log, clock, acme, 1)
    await audit_tree.grow()
    before = [await checkpoint(audit_tree, tenant) for tenant in (acme, globex)]
    clock.advance(seconds=1)
    await tell(log, clock, acme, 1)
    await audit_tree.grow()
    after = [await checkpoint(audit_tree, tenant) for tenant in (acme, globex)]
    assert (after[0].size, after[0].signed_at) == (3, clock())
    assert after[1] == before[1]


async def test_a_log_that_is_older_than_the_tree_is_caught_up_in_steps(
    audit_tree: AuditTree, acme: Tenant, superuser: AsyncEngine
) -> None:
    known = [n.to_bytes(32, "big") for n in range(5100)]
    await fill(superuser, acme, known)
    assert await audit_tree.grow() is True
    assert (await checkpoint(audit_tree, acme)).size == 5000
    assert await audit_tree.grow() is False
    assert (await checkpoint(audit_tree, acme)).size == 5100
    assert await audit_tree.grow() is False


async def test_bringing_up_gives_a_checkpoint_of_everything(
    audit_tree: AuditTree, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    known = [n.to_bytes(32, "big") for n in range(5100)]
    await fill(superuser, acme, known)
    whole = await audit_tree.bring_up(acme.id, acme.slug)
    key = await audit_tree.verifier(acme.id)
    assert key is not None
    assert key.opened(whole.note).root == root_of(known)
    assert await audit_tree.bring_up(acme.id, acme.slug) == whole
    empty = await audit_tree.bring_up(globex.id, globex.slug)  # nothing of it was sequenced yet
    assert empty.size == 0
    assert await audit_tree.bring_up(globex.id, globex.slug) == empty


async def test_the_trees_of_marked_logs_follow_and_no_others(
    database: Database, audit_tree: AuditTree, acme: Tenant, globex: Tenant, clock: Clock
) -> None:
    log = AuditLog(database, audit_tree.mark)
    unmarked = AuditLog(database)
    await tell(unmarked, clock, globex, 2)  # of both, what made them
    await tell(log, clock, acme, 3)
    assert await audit_tree.follow() is False
    assert (await checkpoint(audit_tree, acme)).size == 4
    assert await audit_tree.newest_checkpoint(globex.id) is None
    await audit_tree.grow()
    assert (await checkpoint(audit_tree, globex)).size == 3


async def test_without_a_mark_nothing_is_asked(audit_tree: AuditTree, acme: Tenant, superuser: AsyncEngine) -> None:
    await fill(superuser, acme, [bytes(32)])
    assert await audit_tree.follow() is False
    assert await audit_tree.newest_checkpoint(acme.id) is None


async def test_a_mark_stays_until_the_tree_is_there(
    audit_tree: AuditTree, acme: Tenant, globex: Tenant, superuser: AsyncEngine
) -> None:
    known = [n.to_bytes(32, "big") for n in range(5100)]
    await fill(superuser, acme, known)
    audit_tree.mark([acme.id, globex.id])
    assert await audit_tree.follow() is True
    assert (await checkpoint(audit_tree, acme)).size == 5000
    assert await audit_tree.follow() is False
    assert (await checkpoint(audit_tree, acme)).size == 5100


async def test_a_mark_outlives_a_failure(
    database: Database, audit_tree: AuditTree, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await tell(AuditLog(database, audit_tree.mark), clock, acme, 9)
    async with superuser.begin() as connection:
        gone = audit_events.delete().where(audit_events.c.tenant_id == acme.id, audit_events.c.position == 4)
        await connection.execute(gone)
    for _ in range(2):
        with pytest.raises(ExceptionGroup) as raised:
            await audit_tree.follow()
        assert raised.group_contains(LogIncomplete)
    assert (await checkpoint(audit_tree, globex)).size == 1


async def test_a_mark_outlives_somebody_elses_turn(
    database: Database, audit_tree: AuditTree, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await tell(AuditLog(database, audit_tree.mark), clock, acme, 1)
    if not database.is_sqlite:  # which has one writer at a time, and no turns
        async with superuser.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": 0x79657474_74726565})
            assert await audit_tree.follow() is False
            assert await audit_tree.newest_checkpoint(acme.id) is None
    await audit_tree.follow()
    assert (await checkpoint(audit_tree, acme)).size == 2


async def test_nothing_is_marked_that_was_not_committed(
    database: Database, acme: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    marked: list[UUID] = []
    log = AuditLog(database, marked.extend)
    await log.observe([(acme.id, clock(), Event(type="test", outcome="notice"))])
    async with superuser.begin() as connection:
        await connection.execute(audit_outbox.insert().values(tenant_id=acme.id, salt=b"\0" * 16, event=b"no JSON"))
    with pytest.raises(ValueError, match="Expecting value"):
        await log.sequence()
    assert marked == []


async def test_two_that_let_it_grow_at_once_make_one_tree(
    database: Database, master_keys: MasterKeys, log: AuditLog, audit_tree: AuditTree, acme: Tenant, clock: Clock
) -> None:
    other = AuditTree(database, AuditKeys(master_keys, "auth.example.com"), clock)
    for _ in range(5):
        await tell(log, clock, acme, 40)
        await asyncio.gather(
            audit_tree.grow(), other.grow(), other.bring_up(acme.id, acme.slug), audit_tree.bring_up(acme.id, acme.slug)
        )
    key = await other.verifier(acme.id)
    assert key is not None
    found = key.opened((await checkpoint(other, acme)).note)
    assert (found.size, found.root) == (201, root_of(await leaves(log, acme)))


async def test_the_name_of_a_log_stays_when_its_host_changes(
    database: Database, master_keys: MasterKeys, log: AuditLog, audit_tree: AuditTree, acme: Tenant, clock: Clock
) -> None:
    await audit_tree.bring_up(acme.id, acme.slug)
    key = await audit_tree.verifier(acme.id)
    assert key is not None
    moved = AuditTree(database, AuditKeys(master_keys, "login.example.org:8443"), clock)
    await tell(log, clock, acme, 1)
    assert key.opened((await moved.bring_up(acme.id, acme.slug)).note).origin == ORIGIN


async def test_a_log_from_which_rows_were_taken_is_told_and_holds_up_no_other(
    log: AuditLog, audit_tree: AuditTree, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await tell(log, clock, acme, 9)
    async with superuser.begin() as connection:
        gone = audit_events.delete().where(audit_events.c.tenant_id == acme.id, audit_events.c.position == 4)
        await connection.execute(gone)
    with pytest.raises(ExceptionGroup) as raised:
        await audit_tree.grow()
    assert raised.group_contains(LogIncomplete, match="one or more of the events 0 to 9 are missing")
    assert (await checkpoint(audit_tree, globex)).size == 1
    with pytest.raises(LogIncomplete):
        await audit_tree.bring_up(acme.id, acme.slug)
    assert await audit_tree.newest_checkpoint(acme.id) is None


async def test_a_key_that_was_moved_or_altered_signs_nothing(
    log: AuditLog, audit_tree: AuditTree, acme: Tenant, globex: Tenant, superuser: AsyncEngine, clock: Clock
) -> None:
    await tell(log, clock, acme, 1)
    await audit_tree.grow()
    before = await checkpoint(audit_tree, acme)
    await tell(log, clock, acme, 1)
    async with superuser.begin() as connection:
        theirs = (await connection.execute(audit_keys.select().where(audit_keys.c.tenant_id == globex.id))).one()
        mine = (await connection.execute(audit_keys.select().where(audit_keys.c.tenant_id == acme.id))).one()
    for forged in ({"sealed_private": theirs.sealed_private}, {"public": theirs.public}):
        async with superuser.begin() as connection:
            of = update(audit_keys).where(audit_keys.c.tenant_id == acme.id)
            await connection.execute(of.values(sealed_private=mine.sealed_private, public=mine.public))
            await connection.execute(of.values(**forged))
        with pytest.raises(ExceptionGroup) as raised:
            await audit_tree.grow()
        assert raised.group_contains(Unsealable)
        assert await checkpoint(audit_tree, acme) == before


# --- proofs


async def fill(engine: AsyncEngine, tenant: Tenant, known: Sequence[bytes]) -> None:
    """A log of so many leaves, put there behind the sequencer's back: it would take too long."""
    at = tenant.created_at
    rows = [
        {"tenant_id": tenant.id, "position": n, "id": str(uuid4()), "type": "test", "at": at, "leaf": leaf}
        for n, leaf in enumerate(known)
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(audit_heads).values(tenant_id=tenant.id, size=len(rows)))
        for begin in range(0, len(rows), 1000):
            await connection.execute(insert(audit_events), rows[begin : begin + 1000])


@pytest.mark.soak
async def test_proofs_of_a_long_log_are_those_of_its_tree(
    database: Database, audit_tree: AuditTree, acme: Tenant, superuser: AsyncEngine
) -> None:
    known = [n.to_bytes(32, "big") for n in range(LONG)]
    await fill(superuser, acme, known)
    await audit_tree.bring_up(acme.id, acme.slug)
    places = sorted({0, 1, TILE - 1, TILE, LONG // 2, LONG - 1})
    for size in {1, TILE, TILE + 1, 2 * TILE, LONG - 1, LONG}:
        root = root_of(known[:size])
        proofs = AuditProofs(database, acme.id, size)
        for place in (place for place in places if place < size):
            assert included(known[place], place, size, await proofs.inclusion(place), root)
        for earlier in {0, 1, TILE - 1, TILE, size // 2, size}:
            if earlier <= size:
                then = root_of(known[:earlier])
                assert consistent(earlier, then, size, root, await proofs.consistency(earlier))
                assert await proofs.root(earlier) == then
        blocks = -(-size // TILE)
        for block in {0, blocks // 2, blocks - 1}:
            mine = root_of(known[block * TILE : min((block + 1) * TILE, size)])
            assert included(mine, block, blocks, await proofs.block(block), root)
    with pytest.raises(ValueError, match="has no leaf"):
        await AuditProofs(database, acme.id, LONG).inclusion(LONG)


async def test_a_proof_that_needs_what_was_taken_is_not_made(
    database: Database, audit_tree: AuditTree, acme: Tenant, superuser: AsyncEngine
) -> None:
    await fill(superuser, acme, [n.to_bytes(32, "big") for n in range(300)])
    await audit_tree.bring_up(acme.id, acme.slug)
    async with superuser.begin() as connection:
        gone = audit_events.delete().where(audit_events.c.tenant_id == acme.id, audit_events.c.position == 7)
        await connection.execute(gone)
    proofs = AuditProofs(database, acme.id, 300)
    with pytest.raises(LogIncomplete):
        await proofs.inclusion(8)
    assert len(await proofs.inclusion(299)) > 0


def test_the_edge_of_a_tree_is_small() -> None:
    assert len(Edge((1 << 40) - 1, [bytes(32)] * 40).stored()) == 1280
