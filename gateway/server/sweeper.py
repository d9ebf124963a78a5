"""One timer per event loop that ends connections whose time is up; a deadline is a plain number, not a timer."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.server.room import Room

log = structlog.get_logger("yett.server")


class Expiring(Protocol):
    """A connection as the sweeper sees it. Deadlines are readings of the sweeper's clock, or infinity."""

    deadline: float
    write_deadline: float

    def expire(self, now: float) -> None:
        """A deadline has passed; the connection acts and sets its next one."""


class Sweeper:
    """Looks at all connections every ``interval`` seconds while there are any."""

    __slots__ = ("_connections", "_handle", "_interval", "_loop", "clock", "room")

    def __init__(self, clock: Callable[[], float], room: Room, interval: float = 0.5) -> None:
        """``clock`` returns seconds that never go back. Whom there was no ``room`` for is told at each look."""
        self.clock = clock
        self.room = room
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
        room = self.room
        if room.turned_away:
            log.warning("connections_turned_away", count=room.turned_away, open=len(self._connections))
            room.turned_away = 0
        if room.crowded:
            log.warning("address_turned_away", count=room.crowded, address=room.crowded_by)
            room.crowded = 0
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
