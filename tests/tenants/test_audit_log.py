"""The audit log: an event is there with its change or not at all, and its place in the log is for ever."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from policies.merkle import entry_hash, leaf_hash
from tenants.audit_event import Event
from tenants.audit_log import AuditLog, Entry
from tenants.audit_outbox import row as outbox_row
from tenants.audit_selection import Selection
from tenants.database import Database
from tenants.store import Store
from tenants.tables import audit_outbox
from tenants.tenant import Tenant
from tests.conftest import Clock


@pytest.fixture
async def log(database: Database, acme: Tenant, globex: Tenant) -> AuditLog:
    """A log that holds each tenant's first event, ``tenant.created``."""
    log = AuditLog(database)
    await log.sequence()
    return log


async def tell(store: Store, tenant: Tenant, *types: str, **fields: Any) -> None:
    async with store.for_tenant(tenant.id) as mine:
        for type_ in types:
            await mine.audit.add(Event(type=type_, outcome="success", **fields))


async def drain(log: AuditLog) -> int:
    total = 0
    while moved := await log.sequence():
        total += moved
    return total


async def exported(log: AuditLog, tenant_id: UUID) -> list[Entry]:
    return [entry async for entry in log.export(tenant_id)]


def body(entry: Entry) -> dict[str, Any]:
    assert entry.event is not None
    found: dict[str, Any] = json.loads(entry.event)
    return found


def types(entries: list[Entry]) -> list[str]:
    return [body(entry)["type"] for entry in entries]


async def test_an_event_is_there_with_its_change(store: Store, acme: Tenant, log: AuditLog) -> None:
    async with store.for_tenant(acme.id) as mine:
        user = await mine.users.create("alice")
        await mine.audit.add(Event(type="user.created", outcome="success", subject=str(user.id)))
        assert await log.sequence() == 0  # not committed, so nobody sees it
    assert await log.sequence() == 1
    assert types(await exported(log, acme.id)) == ["tenant.created", "user.created"]


async def test_what_is_rolled_back_is_not_told(store: Store, acme: Tenant, log: AuditLog) -> None:
    async def a_bug() -> None:
        async with store.for_tenant(acme.id) as mine:
            await mine.users.create("alice")
            await mine.audit.add(Event(type="user.created", outcome="success"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await a_bug()
    assert await log.sequence() == 0
    assert types(await exported(log, acme.id)) == ["tenant.created"]


async def test_each_leaf_is_the_hash_of_its_salt_and_event_as_stored(store: Store, acme: Tenant, log: AuditLog) -> None:
    await tell(store, acme, "one", "two", user_name="Ålice\ud800")
    await drain(log)
    entries = await exported(log, acme.id)
    for entry in entries:
        assert entry.salt is not None
        assert entry.event is not None
        assert len(entry.salt) == 16
        assert entry.leaf == leaf_hash(entry_hash(entry.salt, entry.event))
        assert body(entry)["tenant_id"] == str(acme.id)
    assert len({entry.salt for entry in entries}) == len({body(entry)["id"] for entry in entries}) == len(entries)


async def test_each_tenant_has_a_log_of_its_own_without_a_gap(
    store: Store, acme: Tenant, globex: Tenant, log: AuditLog
) -> None:
    for number in range(3):
        await tell(store, acme, f"a{number}")
        await tell(store, globex, f"g{number}")
        await drain(log)
    for tenant, letter in ((acme, "a"), (globex, "g")):
        entries = await exported(log, tenant.id)
        assert [entry.position for entry in entries] == [0, 1, 2, 3]
        assert types(entries) == ["tenant.created", f"{letter}0", f"{letter}1", f"{letter}2"]
        assert {entry.tenant for entry in entries} == {tenant.slug}


async def test_two_sequencers_at_once_lose_nothing_and_double_nothing(
    database: Database, store: Store, acme: Tenant, globex: Tenant, log: AuditLog
) -> None:
    done = asyncio.Event()

    async def write(tenant: Tenant, writer: int) -> None:
        for number in range(15):
            await tell(store, tenant, f"{writer}-{number}-a", f"{writer}-{number}-b")

    async def sequence(sequencer: AuditLog) -> int:
        total = 0
        while True:
            last = done.is_set()
            total += (moved := await sequencer.sequence())
            if last and not moved:
                return total
            await asyncio.sleep(0)

    sequencers = [asyncio.create_task(sequence(sequencer)) for sequencer in (log, AuditLog(database))]
    await asyncio.gather(*(write(tenant, writer) for writer in range(4) for tenant in (acme, globex)))
    done.set()
    moved = sum(await asyncio.gather(*sequencers)) + await drain(log)
    assert moved == 2 * 4 * 15 * 2
    for tenant in (acme, globex):
        entries = await exported(log, tenant.id)
        assert [entry.position for entry in entries] == list(range(1 + 4 * 15 * 2))
        for writer in range(4):
            assert [found for found in types(entries) if found.startswith(f"{writer}-")] == [
                f"{writer}-{number}-{part}" for number in range(15) for part in "ab"
            ]


async def test_a_long_log_is_exported_whole_and_in_order(
    database: Database, acme: Tenant, log: AuditLog, clock: Clock
) -> None:
    told = [(acme.id, clock(), Event(type="test", outcome="notice", count=number)) for number in range(2500)]
    await log.observe(told)
    assert await log.sequence() == 1000
    assert await drain(log) == 1500
    entries = await exported(log, acme.id)
    assert [entry.position for entry in entries] == list(range(2501))
    assert [body(entry)["count"] for entry in entries[1:]] == list(range(2500))


async def test_an_export_of_a_whole_number_of_batches_ends(acme: Tenant, log: AuditLog, clock: Clock) -> None:
    await log.observe([(acme.id, clock(), Event(type="test", outcome="notice")) for _ in range(999)])
    await drain(log)
    assert len(await exported(log, acme.id)) == 1000
    assert await exported(log, uuid4()) == []


async def test_observations_of_a_tenant_that_is_gone_are_left_out(
    acme: Tenant, globex: Tenant, log: AuditLog, clock: Clock, superuser: AsyncEngine
) -> None:
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM tenants WHERE slug = 'globex'")
    event = Event(type="request.refused", outcome="refused")
    await log.observe([(globex.id, clock(), event), (acme.id, clock(), event), (uuid4(), clock(), event)])
    assert await log.sequence() == 1
    await log.observe([(globex.id, clock(), event)])
    await log.observe([])
    assert await log.sequence() == 0


async def test_an_observation_keeps_the_time_at_which_it_was_made(acme: Tenant, log: AuditLog, clock: Clock) -> None:
    then = clock()
    clock.advance(seconds=1)
    await log.observe([(acme.id, then, Event(type="request.refused", outcome="refused"))])
    await log.sequence()
    (entry,) = (await exported(log, acme.id))[1:]
    assert body(entry)["time"] == "2026-11-25T12:00:00.000000Z"


async def test_the_newest_are_the_last_ones_oldest_first(
    store: Store, acme: Tenant, globex: Tenant, log: AuditLog, clock: Clock
) -> None:
    for number in range(4):
        clock.advance(seconds=1)
        await tell(store, acme if number % 2 else globex, f"e{number}")
    await drain(log)
    assert types(list(await log.newest(None, limit=3))) == ["e1", "e2", "e3"]
    assert types(list(await log.newest(acme.id, limit=2))) == ["e1", "e3"]
    assert types(list(await log.newest(acme.id, limit=10))) == ["tenant.created", "e1", "e3"]
    assert await log.newest(uuid4(), limit=10) == []


async def test_events_are_found_by_their_severity_and_those_that_are_worse(
    store: Store, acme: Tenant, log: AuditLog, superuser: AsyncEngine
) -> None:
    await tell(store, acme, "login.succeeded", "detection.new_device", "audit.gap", "login.alarm", "key.revoked")
    await tell(store, acme, "user.created", details={"administrative": True})
    await drain(log)
    of_medium = ["audit.gap", "login.alarm", "key.revoked", "user.created"]
    for severity, found in (
        ("low", ["detection.new_device", *of_medium]),
        ("medium", of_medium),
        ("high", ["login.alarm", "user.created"]),
        ("critical", []),
    ):
        wanted = Selection(severity=severity)  # type: ignore[arg-type]  # one of a table's
        assert types(list(await log.newest(acme.id, limit=10, selection=wanted))) == found
        assert types([entry async for entry in log.export(acme.id, selection=wanted)]) == found
    both = Selection(types=("login.*", "user.*"), severity="medium")
    assert types(list(await log.newest(None, limit=1, selection=both))) == ["user.created"]
    assert [body(entry).get("severity") for entry in await exported(log, acme.id)] == [
        *(None, None, "low", "medium", "high", "medium", "high"),
    ]
    async with superuser.begin() as connection:  # as code of before, which knows no such column, leaves it
        await connection.exec_driver_sql("UPDATE audit_events SET severity = NULL")
    assert await log.newest(acme.id, limit=10, selection=Selection(severity="low")) == []


async def test_a_severity_of_a_later_release_does_not_stop_the_sequencer(
    database: Database, acme: Tenant, log: AuditLog, clock: Clock
) -> None:
    row = outbox_row(Event("login.alarm", "notice"), acme.id, clock())
    assert isinstance(row["event"], bytes)
    await log.append([row | {"event": row["event"].replace(b'"high"', b'"fatal"')}])
    assert await log.sequence() == 1
    assert types(await exported(log, acme.id)) == ["tenant.created", "login.alarm"]


async def test_within_one_moment_the_order_is_the_logs(store: Store, acme: Tenant, log: AuditLog) -> None:
    await tell(store, acme, *(f"e{number}" for number in range(5)))
    await drain(log)
    assert types(list(await log.newest(acme.id, limit=3))) == ["e2", "e3", "e4"]


@pytest.mark.parametrize("subject", ["x" * 600, "a\0b", "a\ud800b", "\ud800" * 600, ""])
async def test_no_text_stops_the_sequencer(store: Store, acme: Tenant, log: AuditLog, subject: str) -> None:
    await tell(store, acme, "odd", subject=subject, user_name=subject, path=subject, details={"given": subject})
    await tell(store, acme, "even")
    assert await drain(log) == 2
    entries = await exported(log, acme.id)
    assert types(entries) == ["tenant.created", "odd", "even"]
    assert body(entries[1])["subject"] == subject[:500]


async def test_an_erased_event_leaves_its_leaf(
    store: Store, acme: Tenant, log: AuditLog, superuser: AsyncEngine
) -> None:
    await tell(store, acme, "one")
    await drain(log)
    before = await exported(log, acme.id)
    async with superuser.begin() as connection:
        await connection.exec_driver_sql("UPDATE audit_events SET event = NULL, salt = NULL WHERE type = 'one'")
    after = await exported(log, acme.id)
    assert [entry.leaf for entry in after] == [entry.leaf for entry in before]
    assert (after[1].event, after[1].salt) == (None, None)


async def test_the_outbox_is_empty_once_everything_is_in_the_log(
    store: Store, acme: Tenant, log: AuditLog, superuser: AsyncEngine, clock: Clock
) -> None:
    await tell(store, acme, "one")
    clock.advance(seconds=timedelta(days=1).total_seconds())
    await drain(log)
    async with superuser.connect() as connection:
        await connection.execution_options(yett_read_only=True)
        assert (await connection.execute(audit_outbox.select())).all() == []
