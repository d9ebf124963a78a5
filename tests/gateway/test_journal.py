"""Group commit: one transaction for all who wait, one answer for each."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gateway.errors import Overloaded
from gateway.journal import Journal
from tenants.audit_event import Event
from tests.conftest import Clock

ACME = uuid4()
MOST = 4096
PATIENCE = timedelta(minutes=1)


class Outbox:
    """What was written, and when it is let go on."""

    def __init__(self) -> None:
        self.batches: list[list[UUID]] = []
        self.gate = asyncio.Event()
        self.away: Exception | None = None

    async def append(self, rows: Sequence[Mapping[str, object]]) -> None:
        await self.gate.wait()
        if self.away is not None:
            raise self.away
        self.batches.append([row["tenant_id"] for row in rows if isinstance(row["tenant_id"], UUID)])


@pytest.fixture
async def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def journal(outbox: Outbox, clock: Clock) -> Journal:
    return Journal(outbox.append, clock, PATIENCE)


def issued(reason: str | None = None) -> Event:
    return Event(type="token.issued", outcome="success", reason=reason)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_records_goes_on_when_it_is_committed(outbox: Outbox, journal: Journal) -> None:
    recording = asyncio.create_task(journal.record(ACME, issued()))
    await settle()
    assert not recording.done()
    outbox.gate.set()
    await recording
    assert outbox.batches == [[ACME]]


async def test_all_that_came_meanwhile_share_the_next_transaction(outbox: Outbox, journal: Journal) -> None:
    first = asyncio.create_task(journal.record(ACME, issued()))
    await settle()
    others = [asyncio.create_task(journal.record(uuid4(), issued())) for _ in range(50)]
    await settle()
    outbox.gate.set()
    await asyncio.gather(first, *others)
    assert [len(batch) for batch in outbox.batches] == [1, 50]


async def test_a_failure_of_the_database_is_told_to_all_and_the_next_are_written(
    outbox: Outbox, journal: Journal
) -> None:
    outbox.away = ConnectionError()
    outbox.gate.set()
    answers = await asyncio.gather(*(journal.record(ACME, issued()) for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError] * 3
    outbox.away = None
    await journal.record(ACME, issued())
    assert outbox.batches == [[ACME]]


async def test_an_event_that_cannot_be_written_fails_alone(outbox: Outbox, journal: Journal) -> None:
    outbox.gate.set()
    bad = Event(type="token.issued", outcome="success", details={"ratio": 0.5})  # type: ignore[dict-item]  # no floats
    answers = await asyncio.gather(
        journal.record(ACME, issued()),
        journal.record(ACME, bad),
        journal.record(ACME, issued()),
        return_exceptions=True,
    )
    assert [answer is None for answer in answers] == [True, False, True]
    assert sum(len(batch) for batch in outbox.batches) == 2


async def test_a_row_that_the_database_refuses_takes_nobody_along(clock: Clock) -> None:
    gone, written = uuid4(), []

    async def append(rows: Sequence[Mapping[str, object]]) -> None:
        if gone in [row["tenant_id"] for row in rows]:
            raise KeyError("no such tenant")
        written.extend(rows)

    journal = Journal(append, clock, PATIENCE)
    tenants = (ACME, gone, ACME)
    answers = await asyncio.gather(*(journal.record(tenant, issued()) for tenant in tenants), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), KeyError, type(None)]
    assert len(written) == 2


async def test_who_is_cancelled_takes_nobody_along(outbox: Outbox, journal: Journal) -> None:
    leaving, staying = (asyncio.create_task(journal.record(ACME, issued())) for _ in range(2))
    await settle()
    leaving.cancel()
    outbox.gate.set()
    await staying
    assert sum(len(batch) for batch in outbox.batches) == 2


async def test_no_more_wait_than_may_wait(outbox: Outbox, journal: Journal) -> None:
    first = asyncio.create_task(journal.record(ACME, issued()))
    await settle()
    waiting = [asyncio.create_task(journal.record(ACME, issued())) for _ in range(MOST)]
    await settle()
    with pytest.raises(Overloaded):
        await journal.record(ACME, issued())
    outbox.gate.set()
    await asyncio.gather(first, *waiting)


async def test_a_writer_that_is_cut_off_leaves_nobody_waiting_and_the_next_begins_anew(
    outbox: Outbox, journal: Journal
) -> None:
    before = asyncio.all_tasks()
    recording = asyncio.create_task(journal.record(ACME, issued()))
    await settle()
    (writing,) = asyncio.all_tasks() - before - {recording}
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recording

    outbox.gate.set()
    await journal.record(ACME, issued())
    assert outbox.batches == [[ACME]]


async def test_a_database_that_says_nothing_is_waited_for_so_long_and_what_waits_is_written(
    outbox: Outbox, clock: Clock
) -> None:
    journal = Journal(outbox.append, clock, timedelta(0))
    for _ in range(2):
        with pytest.raises(Overloaded) as told:
            await journal.record(ACME, issued())
        assert (told.value.reason, told.value.retry_after) == ("database_unavailable", 1)
    outbox.gate.set()
    await settle()
    await settle()
    assert outbox.batches == [[ACME], [ACME]]
