"""Delivery to one sink: claim it, COMMIT, send a batch, settle. What waits stays in the log; in memory is one batch.

Each tenant's events go in order, and none is passed over: what a receiver does not take is sent again until it does.
What it took is not sent again, unless this process dies before it has written that down.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog

from gateway.settings import Sink
from gateway.settings.routing import ANY_TENANT
from gateway.sinks.configured import wants
from gateway.sinks.ocsf import ocsf
from gateway.sinks.record import Receipt, Record, Transmitter, nothing, parsed, plain
from gateway.sinks.schedule import next_try
from tenants.database import DATABASE_ERRORS
from tenants.sink_positions import Claim, Queued, SinkPositions

_log = structlog.get_logger("yett.sinks")
_FOR_THE_DATABASE = timedelta(seconds=10)  # what the steps before and after may take
_FORMS = {"ocsf": ocsf, "yett": plain}
_LUCK = 1000


class Deliverer:
    """``deliver`` is the job. Every process may run it: one of them has the claim."""

    def __init__(
        self, sink: Sink, transmitter: Transmitter, positions: SinkPositions, clock: Callable[[], datetime]
    ) -> None:
        self._sink = sink
        self._transmitter = transmitter
        self._positions = positions
        self._clock = clock
        self._holder = uuid4()
        self._known = False
        self._slugs = None if ANY_TENANT in sink.tenants else sink.tenants

    async def deliver(self) -> bool:
        """Send one batch, if there is one; whether there is more to send at once."""
        if not self._known:
            await self._positions.begin(self._sink.name, from_now=self._sink.start == "now", now=self._clock())
            self._known = True
        now = self._clock()
        until = now + self._sink.timeout + _FOR_THE_DATABASE
        claim = await self._positions.claim(self._sink.name, self._holder, slugs=self._slugs, now=now, until=until)
        if claim is None:
            return False
        records = await asyncio.to_thread(self._records, claim.entries)
        sent = [record for record in records if record is not None]
        receipt = await self._sent(sent) if sent else Receipt(frozenset())
        await self._settle(claim, records, receipt)
        return receipt.problem is None and claim.behind > len(claim.entries) > 0

    async def release(self) -> None:
        """Let another process have the sink at once."""
        try:
            await self._positions.release(self._sink.name, self._holder, now=self._clock())
        except DATABASE_ERRORS as error:
            _log.warning("sink_not_released", sink=self._sink.name, error=type(error).__name__)

    def _records(self, entries: Sequence[Queued]) -> list[Record | None]:
        """None for what is not to be sent."""
        return [record_of(entry, self._sink) for entry in entries]

    async def _sent(self, records: Sequence[Record]) -> Receipt:
        try:
            async with asyncio.timeout(self._sink.timeout.total_seconds()):
                return await self._transmitter.send(records)
        except TimeoutError:
            return nothing("timed_out")

    async def _settle(self, claim: Claim, records: Sequence[Record | None], receipt: Receipt) -> None:
        now = self._clock()
        failures = 0
        if receipt.problem is not None:  # where some were taken, there is hope
            failures = 1 if receipt.taken else claim.failures + 1
        next_at = now if failures == 0 else next_try(failures, now, secrets.randbelow(_LUCK) / _LUCK)
        kept = await self._positions.settle(
            self._sink.name,
            self._holder,
            moves=_moves(claim.entries, records, receipt.taken),
            failures=failures,
            problem=receipt.problem,
            delivered=bool(receipt.taken),
            now=now,
            next_at=next_at,
        )
        if not kept:
            _log.warning("sink_claim_lost", sink=self._sink.name)
        elif receipt.problem is not None:
            behind = claim.behind - len(receipt.taken)
            _log.warning("sink_failed", sink=self._sink.name, problem=receipt.problem, failures=failures, behind=behind)
        elif claim.failures:
            _log.info("sink_recovered", sink=self._sink.name, failures=claim.failures, behind=claim.behind)


def record_of(entry: Queued, sink: Sink) -> Record | None:
    """What is sent of an entry; None where it was erased, or is of a type that the sink has not."""
    if entry.event is None:
        return None
    event = parsed(entry.event)
    if not wants(sink.types, event["type"]):
        return None
    return Record(entry.slug, entry.position, event, _FORMS[sink.format](event, entry.slug, entry.position))


def _moves(entries: Sequence[Queued], records: Sequence[Record | None], taken: frozenset[int]) -> dict[UUID, int]:
    """Of each tenant, the position behind the last event before which none is missing."""
    moves: dict[UUID, int] = {}
    held: set[UUID] = set()
    place = -1
    for entry, record in zip(entries, records, strict=True):
        moves.setdefault(entry.tenant_id, entry.position)
        if record is not None:
            place += 1
            if place not in taken:
                held.add(entry.tenant_id)
        if entry.tenant_id not in held:
            moves[entry.tenant_id] = entry.position + 1
    return moves
