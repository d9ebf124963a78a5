"""What waits for the collector, and its way there by OTLP/HTTP: in batches, beside requests, and never at their cost.

What waits is bounded: beyond that it is dropped and counted. A batch that the collector cannot take now (429, 502, 503,
504, or no answer) is sent again, the longer after the more it failed, and not before its ``Retry-After``; what it
refuses otherwise is lost and counted (OTLP 1.x, "OTLP/HTTP Response"). One batch is under way at a time.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, Protocol

import structlog

from gateway.metrics import Counts, Family
from gateway.otlp.wire import export
from gateway.outbound import Outbound, OutboundFailed

MOST_WAITING: Final = 8_192
BATCH: Final = 512
INTERVAL: Final = 1.0
"""Seconds between two batches that are not full."""
_AGAIN: Final = frozenset({429, 502, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_TRIES: Final = 8

log = structlog.get_logger("yett.otlp")


class Item(Protocol):
    """What is sent: a span."""

    def encoded(self) -> bytes: ...


def items(counted: Mapping[tuple[str, ...], int]) -> Family:
    """What became of them; nothing where there is no collector."""
    return Family(
        "yett_otlp_items",
        "Spans for the collector, by what became of them: sent, dropped (the queue was full), failed.",
        "counter",
        ("signal", "result"),
        dict(counted),
    )


class Exporter:
    """``signal`` is what it sends (``traces``, ``logs``) to ``url``. ``sender`` is the body of a ``Resource``;
    ``headers`` are the collector's own. ``clock`` counts seconds.
    """

    def __init__(
        self,
        signal: str,
        outbound: Outbound,
        url: str,
        *,
        headers: Mapping[str, str],
        sender: bytes,
        version: str,
        most: int = MOST_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signal = signal
        self._outbound = outbound
        self._url = url
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._sender = sender
        self._version = version
        self._most = most
        self._clock = clock
        self._waiting: deque[Item] = deque()
        self._counts = Counts()
        self._failures = 0
        self._not_before = 0.0

    def put(self, item: Item) -> None:
        """Hand over. Never waits and never raises."""
        if len(self._waiting) < self._most:
            self._waiting.append(item)
        else:
            self._counts.add(self._signal, "dropped")

    async def send(self) -> bool:
        """One batch, if there is any and it is time. Whether a full one waits behind it."""
        if not self._waiting or self._clock() < self._not_before:
            return False
        batch = list(islice(self._waiting, BATCH))
        # Writing one takes milliseconds, which belong to requests.
        body = await asyncio.to_thread(self._encoded, batch)
        try:
            answer = await self._outbound.post(self._url, body, headers=self._headers)
        except OutboundFailed as error:
            self._put_off(batch, error.reason, None)
        else:
            if 200 <= answer.status < 300:
                self._done(batch, "sent")
            elif answer.status in _AGAIN:
                self._put_off(batch, f"status_{answer.status}", answer.retry_after)
            else:
                log.error("otlp_refused", signal=self._signal, status=answer.status, items=len(batch))
                self._done(batch, "failed")
        return self._failures == 0 and len(self._waiting) >= BATCH

    async def finish(self, within: float) -> None:
        """Send what waits, for at most so many seconds; what is left then is counted as failed."""
        self._not_before = 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._waiting and self._failures == 0:
                    await self.send()
        if self._waiting:
            log.warning("otlp_lost", signal=self._signal, items=len(self._waiting))
            self._done(list(self._waiting), "failed")

    def read(self) -> Iterator[Family]:
        """As of now."""
        yield items(self._counts.values)

    def _encoded(self, batch: Sequence[Item]) -> bytes:
        return export(self._sender, "yett", self._version, [item.encoded() for item in batch])

    def _done(self, batch: Sequence[Item], result: str) -> None:
        for _ in batch:
            self._waiting.popleft()
        self._counts.add(self._signal, result, by=len(batch))
        self._failures = 0

    def _put_off(self, batch: Sequence[Item], reason: str, retry_after: int | None) -> None:
        if self._failures == 0:
            log.warning("otlp_unreachable", signal=self._signal, reason=reason)
        if self._failures + 1 >= _TRIES:
            self._done(batch, "failed")
        else:
            self._failures += 1
        pause = min(_FIRST_PAUSE * 2.0**self._failures, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._not_before = self._clock() + max(pause, min(retry_after or 0, _LONGEST_PAUSE))
