"""The recorder of observations: told once, then counted, never without bound (rule 3, second class)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.audit import Observation, Recorder
from tenants.audit_event import Event
from tests.conftest import Clock

PLATFORM, ACME, GLOBEX = uuid4(), uuid4(), uuid4()
BUDGET = 1_000
RING = 10_000
WINDOWS = 200
ALLOWED = 8_000


class Log:
    """What was written, or a database that is away."""

    def __init__(self) -> None:
        self.written: list[tuple[UUID, datetime, Event]] = []
        self.away = False

    async def write(self, events: Sequence[tuple[UUID, datetime, Event]]) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionError
        self.written += events

    @property
    def events(self) -> list[Event]:
        return [event for _, _, event in self.written]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def recorder(log: Log, clock: Clock) -> Recorder:
    return Recorder(log.write, platform_id=PLATFORM, clock=clock)


def refusal(**changes: Any) -> Observation:
    values = {
        "outcome": "refused",
        "reason": "token_missing",
        "status": 401,
        "route": "orders",
        "method": "GET",
        "path": "/orders/7",
        "request_id": "r-1",
        "address": "203.0.113.7",
        "tenant_id": ACME,
        **changes,
    }
    return Observation(**values)


async def test_an_observation_becomes_an_event_of_its_tenant(recorder: Recorder, log: Log, clock: Clock) -> None:
    recorder.observe(refusal(subject="u-1", client_id="spa"))

    assert await recorder.flush() == 1
    assert log.written == [
        (
            ACME,
            clock(),
            Event(
                type="request.refused",
                outcome="refused",
                reason="token_missing",
                subject="u-1",
                client_id="spa",
                request_id="r-1",
                address="203.0.113.7",
                route="orders",
                method="GET",
                path="/orders/7",
                status=401,
            ),
        )
    ]


async def test_what_belongs_to_no_tenant_is_the_platforms(recorder: Recorder, log: Log) -> None:
    recorder.observe(refusal(tenant_id=None))
    await recorder.flush()

    assert [tenant_id for tenant_id, _, _ in log.written] == [PLATFORM]


async def test_an_allowed_request_is_a_success_told_each_time(recorder: Recorder, log: Log) -> None:
    for _ in range(3):
        recorder.observe(refusal(outcome="allowed", subject="u-1", status=200))
    await recorder.flush()

    assert [(event.type, event.outcome) for event in log.events] == [("request.allowed", "success")] * 3


async def test_the_first_anonymous_refusal_is_told_at_once_and_its_like_is_counted(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(100):
        recorder.observe(refusal(request_id=f"r-{number}", path=f"/orders/{number}"))
    await recorder.flush()
    assert [(event.request_id, event.count) for event in log.events] == [("r-0", None)]

    clock.advance(seconds=10)
    await recorder.flush()
    first, others = log.events
    assert others.count == 99
    assert (others.reason, others.route, others.status) == (first.reason, first.route, first.status)


async def test_the_count_says_only_what_all_of_them_have_in_common(recorder: Recorder, log: Log, clock: Clock) -> None:
    recorder.observe(refusal(address="2001:db8::1"))
    recorder.observe(refusal(address="2001:db8::2", method="POST", path="/x", request_id="r-2"))
    clock.advance(seconds=10)
    await recorder.flush()

    counted = log.events[1]
    assert (counted.count, counted.address) == (1, "2001:db8::/64")
    assert (counted.method, counted.path, counted.request_id) == (None, None, None)


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": GLOBEX},
        {"route": "invoices"},
        {"route": None},
        {"reason": "token_expired"},
        {"address": "203.0.113.8"},
        {"address": "2001:db8::1"},
        {"event": "token"},
        {"api_key_id": "k-1"},
    ],
)
async def test_what_differs_in_tenant_event_route_reason_key_or_network_is_told_apart(
    recorder: Recorder, log: Log, other: dict[str, Any]
) -> None:
    recorder.observe(refusal())
    recorder.observe(refusal(**other))
    await recorder.flush()

    assert [event.count for event in log.events] == [None, None]


async def test_each_key_that_did_not_count_is_named_and_counted_for_itself_behind_one_network(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(6):
        recorder.observe(refusal(reason="api_key_revoked", api_key_id=f"k-{number % 2}"))
    await recorder.flush()
    clock.advance(seconds=10)
    await recorder.flush()

    named = [(event.details, event.count) for event in log.events]
    assert named == [({"api_key": f"k-{number}"}, count) for count in (None, 2) for number in range(2)]


async def test_keys_open_no_more_windows_than_there_may_be_and_a_count_of_several_names_none(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(WINDOWS + 1000):
        recorder.observe(refusal(reason="api_key_revoked", api_key_id=f"k-{number}"))
    assert await recorder.flush() == WINDOWS + 1

    clock.advance(seconds=10)
    assert await recorder.flush() == 1
    assert (log.events[-1].details, log.events[-1].address, log.events[-1].count) == ({}, None, 999)


@pytest.mark.parametrize("same", [{"path": "/x"}, {"request_id": "r-9"}, {"method": "PUT"}])
async def test_what_a_stranger_chooses_freely_does_not_tell_apart(
    recorder: Recorder, log: Log, same: dict[str, Any]
) -> None:
    recorder.observe(refusal())
    recorder.observe(refusal(**same))
    await recorder.flush()

    assert len(log.events) == 1


async def test_a_window_that_is_over_begins_anew_with_the_next(recorder: Recorder, log: Log, clock: Clock) -> None:
    recorder.observe(refusal(request_id="r-1"))
    recorder.observe(refusal(request_id="r-2"))
    clock.advance(seconds=10)
    recorder.observe(refusal(request_id="r-3"))
    await recorder.flush()

    assert [(event.request_id, event.count) for event in log.events] == [("r-1", None), (None, 1), ("r-3", None)]


async def test_a_single_refusal_is_one_event_and_no_count_follows(recorder: Recorder, log: Log, clock: Clock) -> None:
    recorder.observe(refusal())
    clock.advance(seconds=60)
    await recorder.flush()
    await recorder.close()

    assert len(log.events) == 1


async def test_refusals_of_the_recognised_are_told_one_by_one_up_to_the_tenants_budget(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(BUDGET + 50):
        recorder.observe(refusal(subject=f"u-{number}"))
    recorder.observe(refusal(subject="c-1", tenant_id=GLOBEX))
    await recorder.flush()
    assert len(log.events) == BUDGET + 1 + 1  # and the first of the aggregated ones
    assert log.events[-1].subject == "c-1"

    clock.advance(seconds=10)
    await recorder.flush()
    assert log.events[-1].count == 49


async def test_a_count_names_nobody_since_it_is_of_several_people(recorder: Recorder, log: Log, clock: Clock) -> None:
    for number in range(BUDGET + 50):
        recorder.observe(refusal(subject=f"u-{number}", client_id=f"c-{number}"))
    clock.advance(seconds=10)
    await recorder.flush()

    assert (log.events[-1].subject, log.events[-1].client_id) == (None, None)


async def test_the_budget_is_new_every_ten_seconds(recorder: Recorder, log: Log, clock: Clock) -> None:
    for _ in range(BUDGET + 1):
        recorder.observe(refusal(subject="u-1"))
    clock.advance(seconds=10)
    recorder.observe(refusal(subject="u-2"))
    recorder.observe(refusal(subject="u-3"))
    await recorder.flush()

    assert [event.subject for event in log.events[-2:]] == ["u-2", "u-3"]


async def test_a_subject_of_no_tenant_is_a_stranger(recorder: Recorder, log: Log) -> None:
    for number in range(5):
        recorder.observe(refusal(subject=f"u-{number}", tenant_id=None))
    await recorder.flush()

    assert len(log.events) == 1


async def test_nothing_grows_without_bound_and_what_did_not_fit_is_a_gap(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(ALLOWED + 500):
        recorder.observe(refusal(outcome="allowed", subject="u-1", request_id=str(number)))

    assert await recorder.flush() == ALLOWED + 1
    tenant_id, _, gap = log.written[-1]
    assert (tenant_id, gap.type, gap.outcome, gap.count) == (PLATFORM, "audit.gap", "notice", 500)
    assert [event.request_id for event in log.events[:2]] == ["0", "1"]


async def test_what_was_refused_finds_room_however_much_is_allowed(recorder: Recorder, log: Log) -> None:
    for _ in range(RING):
        recorder.observe(refusal(outcome="allowed", subject="u-1"))
    recorder.observe(refusal(request_id="refused"))
    await recorder.flush()

    assert "refused" in [event.request_id for event in log.events]


async def test_strangers_who_are_allowed_are_counted_like_those_who_are_not(recorder: Recorder, log: Log) -> None:
    for _ in range(100):
        recorder.observe(refusal(outcome="allowed"))

    assert await recorder.flush() == 1


async def test_a_gap_is_told_once(recorder: Recorder, log: Log) -> None:
    for _ in range(ALLOWED + 1):
        recorder.observe(refusal(outcome="allowed", subject="u-1"))
    await recorder.flush()

    assert await recorder.flush() == 0


async def test_strangers_from_everywhere_share_a_window_once_there_are_too_many(
    recorder: Recorder, log: Log, clock: Clock
) -> None:
    for number in range(WINDOWS + 1000):
        recorder.observe(refusal(address=f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"))
    assert await recorder.flush() == WINDOWS + 1

    clock.advance(seconds=10)
    await recorder.flush()
    counted = log.events[-1]
    assert (counted.count, counted.address) == (999, None)


async def test_what_could_not_be_written_is_kept_and_written_later_in_its_order(recorder: Recorder, log: Log) -> None:
    log.away = True
    recorder.observe(refusal(request_id="r-1"))
    with pytest.raises(ConnectionError):
        await recorder.flush()
    recorder.observe(refusal(request_id="r-2", reason="other"))
    log.away = False

    assert await recorder.flush() == 2
    assert [event.request_id for event in log.events] == ["r-1", "r-2"]


async def test_the_drops_of_a_flush_that_failed_are_told_by_the_next(recorder: Recorder, log: Log) -> None:
    log.away = True
    for _ in range(ALLOWED + 7):
        recorder.observe(refusal(outcome="allowed", subject="u-1"))
    with pytest.raises(ConnectionError):
        await recorder.flush()
    recorder.observe(refusal(outcome="allowed", subject="u-1"))
    log.away = False
    await recorder.flush()

    assert log.events[-1].count == 8


async def test_what_is_observed_while_a_batch_is_written_is_neither_lost_nor_written_twice(
    recorder: Recorder, log: Log
) -> None:
    recorder.observe(refusal(request_id="r-1"))
    flush = asyncio.create_task(recorder.flush())
    await asyncio.sleep(0)
    recorder.observe(refusal(request_id="r-2", reason="other"))
    await flush
    await recorder.flush()

    assert [event.request_id for event in log.events] == ["r-1", "r-2"]


async def test_the_end_writes_open_windows_too(recorder: Recorder, log: Log) -> None:
    for _ in range(3):
        recorder.observe(refusal())
    await recorder.close()

    assert [event.count for event in log.events] == [None, 2]


async def test_nothing_to_tell_writes_nothing(recorder: Recorder, log: Log) -> None:
    log.away = True

    assert await recorder.flush() == 0
    await recorder.close()


@pytest.mark.parametrize("address", ["", "unix", "203.0.113.7:80", "fe80::1%eth0"])
async def test_no_address_makes_an_observation_fail(recorder: Recorder, log: Log, address: str) -> None:
    recorder.observe(refusal(address=address))
    await recorder.flush()

    assert len(log.events) == 1
