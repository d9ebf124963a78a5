"""One timer per event loop that ends connections whose time is up; a deadline is a plain number, not a timer."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger("yett.server")


class Expiring(Protocol):
    """A connection as the sweeper sees it. Deadlines are readings of the sweeper's clock, or infinity."""

    deadline: float
    write_deadline: float

    def expire(self, now: float) -> None:
        """A deadline has passed; the connection acts and sets its next one."""


class Sweeper:
    """Looks at all connections every ``interval`` seconds while there are any."""

    __slots__ = ("_connections", "_handle", "_interval", "_loop", "clock", "crowded", "crowded_by", "turned_away")

    def __init__(self, clock: Callable[[], float], interval: float = 0.5) -> None:
        """``clock`` returns seconds that never go back."""
        self.clock = clock
        self.turned_away = 0  # connections that found no room since the last look
        self.crowded = 0  # likewise those whose address had enough
        self.crowded_by = ""  # the last of these addresses
        self._interval = interval
        self._connections: set[Expiring] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None

    def add(self, connection: Expiring, loop: asyncio.AbstractEventLoop) -> None:
        """Watch ``connection``. All watched ones share the loop; a new loop means that the old one has ended."""
        if loop is not self._loop:
            self._connections.clear()
            self._loop = loop
            self._handle = None
        self._connections.add(connection)
        if self._handle is None:
            self._handle = loop.call_later(self._interval, self._tick, loop)

    def discard(self, connection: Expiring) -> None:
        """Stop watching. The timer runs out by itself when nothing is left, which costs less than to cancel it."""
        self._connections.discard(connection)

    def sweep(self) -> None:
        """Let every connection act whose deadline has passed."""
        if self.turned_away:
            log.warning("connections_turned_away", count=self.turned_away, open=len(self._connections))
            self.turned_away = 0
        if self.crowded:
            log.warning("address_turned_away", count=self.crowded, address=self.crowded_by)
            self.crowded = 0
        now = self.clock()
        for connection in [c for c in self._connections if c.deadline <= now or c.write_deadline <= now]:
            connection.expire(now)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = None
        try:
            self.sweep()
        finally:
            if self._connections:
                self._handle = loop.call_later(self._interval, self._tick, loop)
