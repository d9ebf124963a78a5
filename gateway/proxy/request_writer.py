"""The sending side of a connection to an upstream: what leaves at once, what at the end of the turn, and when to wait.

Owns the order of bytes and the upstream's back-pressure. Not what is sent, nor what becomes of the exchange.
"""

import asyncio

from gateway.write_batch import WriteBatch


class RequestWriter:
    """``paused`` while the transport's buffer is full. A closed transport takes nothing, and says nothing."""

    __slots__ = ("_batch", "_loop", "_pending", "_transport", "_waiter", "paused")

    def __init__(self, loop: asyncio.AbstractEventLoop, batch: WriteBatch) -> None:
        self.paused = False
        self._transport: asyncio.Transport | None = None
        self._batch = batch
        self._loop = loop
        self._pending = b""
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether nothing of what ``begin`` was given has been sent."""
        return bool(self._pending)

    def attach(self, transport: asyncio.Transport) -> None:
        """The connection stands."""
        self._transport = transport

    def begin(self, head: bytes) -> None:
        """Send the head of a request at the end of this turn of the event loop, with what others write."""
        self._pending = head
        self._batch.add(self, self._loop)

    def flush(self) -> None:
        """Send what ``begin`` was given. The batch calls it."""
        pending, self._pending = self._pending, b""
        if pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(pending)

    def write(self, data: bytes) -> None:
        """Send more of the request."""
        self._pending += data
        self.flush()

    def drop(self) -> None:
        """Send nothing any more, and let nobody wait."""
        self._pending = b""
        self.resume()

    def pause(self) -> None:
        """The transport's buffer is over its high-water mark."""
        self.paused = True

    def resume(self) -> None:
        """It is below its low-water mark, or the connection is lost."""
        self.paused = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def drained(self) -> None:
        """Wait for ``resume``."""
        if self.paused:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
