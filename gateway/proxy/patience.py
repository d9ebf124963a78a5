"""For how long an exchange may take, and whose time that is. The pool's sweep asks; nothing here has a timer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.proxy.upstream import ClientGone, TookTooLong, UploadTooSlow, Upstream, UpstreamFault, UpstreamTimeout

_LEAST_RATE = 1024  # bytes a second of a body that is still to come
_MOST_CREDIT = 300.0  # seconds: who was fast at first has no day to be silent for


class Upload:
    """The client's side of a body that is still to come. Times are monotonic seconds."""

    __slots__ = ("_asked", "_waited", "waits")

    def __init__(self) -> None:
        self.waits = False
        self._asked = 0.0
        self._waited = 0.0  # beyond what its bytes are worth; less than nothing is credit

    def ask(self, now: float) -> None:
        """It is the client's turn."""
        self.waits = True
        self._asked = now

    def came(self, size: int, now: float) -> None:
        """It is no longer."""
        self.waits = False
        self._waited = max(self._waited + now - self._asked - size / _LEAST_RATE, -_MOST_CREDIT)

    def too_slow(self, now: float, patience: float) -> bool:
        """Whether the client has had itself waited for longer than that, and than its bytes are worth."""
        return self.waits and self._waited + now - self._asked > patience


class Timed(Protocol):
    """A connection with an exchange under way, or without. ``here``: the upstream has done its part for now."""

    started: float
    touched: float
    busy: bool
    complete: bool
    answering: bool
    upload: Upload | None
    fault: UpstreamFault | ClientGone | None
    on_slow: Callable[[], None] | None

    @property
    def here(self) -> bool:
        """Whether something has come that the client has not taken, or all has."""

    def fail(self, fault: UpstreamFault | ClientGone) -> None:
        """End the exchange."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. Silence is the upstream's only while it is its turn."""

    first_byte: float
    idle: float
    total: float | None
    upload: float

    @classmethod
    def of(cls, upstream: Upstream) -> "Patience":
        total = upstream.total_timeout
        return cls(
            (upstream.first_byte_timeout or upstream.read_timeout).total_seconds(),
            (upstream.idle_timeout or upstream.read_timeout).total_seconds(),
            None if total is None else total.total_seconds(),
            upstream.upload_timeout.total_seconds(),
        )

    def hold(self, exchange: Timed, now: float, *, watch_after: float) -> None:
        """End what is too slow. Once it is not quick, somebody watches whether its client leaves (``on_slow``)."""
        if not exchange.busy or exchange.fault is not None:
            return
        if (fault := self._fault(exchange, now)) is not None:
            exchange.fail(fault)
        if exchange.on_slow is not None and not exchange.complete and now - exchange.started >= watch_after:
            on_slow, exchange.on_slow = exchange.on_slow, None
            on_slow()

    def _fault(self, exchange: Timed, now: float) -> UpstreamFault | None:
        if self.total is not None and now - exchange.started > self.total:
            return TookTooLong("the exchange took longer than total_timeout")
        if exchange.complete:
            return None
        upload = exchange.upload
        if upload is not None and upload.waits:
            return UploadTooSlow("the client's body comes too slowly") if upload.too_slow(now, self.upload) else None
        if exchange.here:
            return None
        silent = now - exchange.touched
        if exchange.answering:
            return UpstreamTimeout("no byte for longer than idle_timeout") if silent > self.idle else None
        return UpstreamTimeout("no answer for longer than first_byte_timeout") if silent > self.first_byte else None
