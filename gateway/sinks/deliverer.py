"""Delivery to one sink: claim it, COMMIT, send a batch, settle. What waits stays in the log; in memory is one batch.

Each tenant's events go in order, and behind them its newest checkpoint. What a receiver does not take is sent again
until it does, later and later; what it says that it will never take is told in the log of the service, and passed over.
What it took is not sent again, unless this process dies before it has written that down.
"""

import secrets
from asyncio import timeout
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import structlog

from gateway.settings import Sink
from gateway.settings.routing import ANY_TENANT
from gateway.sinks.ocsf_types import CHECKPOINT
from gateway.sinks.portions import in_portions
from gateway.sinks.record import Receipt, Record, Transmitter, nothing
from gateway.sinks.recorded import checkpoint_record, record_of, wants
from gateway.sinks.schedule import next_try
from tenants.database import DATABASE_ERRORS
from tenants.sink_batch import Batch, Terms
from tenants.sink_positions import Claim, Outcome, SinkPositions

_log = structlog.get_logger("yett.sinks")
_FOR_THE_DATABASE = timedelta(seconds=10)  # what the steps before and after may take
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
        self._terms = Terms(
            None if ANY_TENANT in sink.tenants else sink.tenants,
            sink.checkpoint_interval if wants(sink.types, CHECKPOINT) else None,
        )

    async def deliver(self) -> bool:
        """Send one batch, if there is one; whether there is more to send at once."""
        if not self._known:
            await self._positions.begin(self._sink.name, from_now=self._sink.start == "now", now=self._clock())
            self._known = True
        now = self._clock()
        until = now + self._sink.timeout + _FOR_THE_DATABASE
        claim = await self._positions.claim(self._sink.name, self._holder, self._terms, now=now, until=until)
        if claim is None:
            return False
        batch = claim.batch
        if not batch.begins and not batch.checkpoints:
            return claim.unheard
        events = await in_portions(partial(record_of, sink=self._sink), batch.entries)
        checkpoints = await in_portions(partial(checkpoint_record, sink=self._sink), batch.checkpoints)
        records = [*events, *checkpoints]
        sent = [record for record in records if record is not None]
        receipt = await self._sent(sent) if sent else Receipt(frozenset())
        await self._settle(claim, records, sent, receipt)
        return receipt.problem is None and (claim.unheard or batch.more)

    async def release(self) -> None:
        """Let another process have the sink at once."""
        try:
            await self._positions.release(self._sink.name, self._holder, now=self._clock())
        except DATABASE_ERRORS as error:
            _log.warning("sink_not_released", sink=self._sink.name, error=type(error).__name__)

    async def _sent(self, records: Sequence[Record]) -> Receipt:
        try:
            async with timeout(self._sink.timeout.total_seconds()):
                return await self._transmitter.send(records)
        except TimeoutError:
            return nothing("timed_out")

    async def _settle(
        self, claim: Claim, records: Sequence[Record | None], sent: Sequence[Record], receipt: Receipt
    ) -> None:
        now = self._clock()
        failures = 0 if receipt.problem is None else claim.failures + 1
        done = {sent[place].id for place in {*receipt.taken, *receipt.refused}}
        moves, checkpoints = _moves(claim.batch, records, done)
        outcome = Outcome(
            moves=moves,
            checkpoints=checkpoints,
            checkpoint_due=now + self._sink.checkpoint_interval,
            failures=failures,
            problem=receipt.problem or next(iter(receipt.refused.values()), None),
            delivered=bool(receipt.taken),
            refused=len(receipt.refused),
            next_at=now if failures == 0 else next_try(failures, now, secrets.randbelow(_LUCK) / _LUCK),
        )
        if await self._positions.settle(self._sink.name, self._holder, claim.term, outcome, now=now):
            await self._tell(claim, sent, receipt, failures)
        else:
            _log.warning("sink_claim_lost", sink=self._sink.name)

    async def _tell(self, claim: Claim, sent: Sequence[Record], receipt: Receipt, failures: int) -> None:
        name = self._sink.name
        if receipt.refused:
            place, problem = next(iter(receipt.refused.items()))
            first = {"tenant": sent[place].tenant, "position": sent[place].position, "id": sent[place].id}
            _log.error("sink_refused", sink=name, problem=problem, count=len(receipt.refused), **first)
        if failures:
            behind = await self._positions.behind(name, self._terms)
            _log.warning("sink_failed", sink=name, problem=receipt.problem, failures=failures, behind=behind)
        elif claim.failures:
            behind = await self._positions.behind(name, self._terms)
            _log.info("sink_recovered", sink=name, failures=claim.failures, behind=behind)


def _moves(
    batch: Batch, records: Sequence[Record | None], done: Collection[str]
) -> tuple[dict[UUID, int], dict[UUID, int]]:
    """Of each tenant the position behind the last event before which none is missing, and the size of the newest
    checkpoint that the receiver has. ``records`` are of the batch's events, and behind them of its checkpoints.
    """
    moves = dict(batch.begins)
    held: set[UUID] = set()
    for entry, record in zip(batch.entries, records, strict=False):
        if record is not None and record.id not in done:
            held.add(entry.tenant_id)
        if entry.tenant_id not in held:
            moves[entry.tenant_id] = entry.position + 1
    checkpoints = {
        each.tenant_id: each.size if record is not None and record.id in done else each.before
        for each, record in zip(batch.checkpoints, records[len(batch.entries) :], strict=True)
    }
    return moves, checkpoints
