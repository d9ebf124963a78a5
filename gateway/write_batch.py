"""Small writes of one turn of the event loop, done together when the turn is over.

Each write to a socket on which the other side waits wakes a process. Between two writes that are made as requests come
to their turn it has fallen asleep again; written one after the other, they find it awake [measured: a sixth of the
proxied path, with client and upstream on the same machine]. The price is that a write waits for its turn's end: with
one request under way for microseconds, with many for the time that these take.
"""

import asyncio
from typing import Protocol


class Pending(Protocol):
    """Somebody who has bytes to write."""

    def flush(self) -> None:
        """Write them, unless that was done meanwhile. Raises nothing."""


class WriteBatch:
    """Belongs to the event loop that it was last used in; a new one means that the old one has ended."""

    __slots__ = ("_loop", "_pending")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[Pending] = []

    def add(self, pending: Pending, loop: asyncio.AbstractEventLoop) -> None:
        """Have ``pending`` flushed at the end of the turn: before anything that is scheduled from here on."""
        if loop is not self._loop:
            self._loop = loop
            self._pending = []
        if not self._pending:
            loop.call_soon(self._flush)
        self._pending.append(pending)

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for each in pending:
            each.flush()
