"""One transport: its back-pressure in both directions, the time that its client has, and how it ends.

Knows nothing of HTTP: ``protocol`` says how long to wait for what, and when to end.
"""

import asyncio
from collections.abc import Callable
from math import inf

from gateway.server.limits import ServerLimits
from gateway.write_batch import WriteBatch


class Wire:
    """What the sweeper watches. ``overdue`` is called when the client has not acted by ``deadline``.

    Deadlines are readings of ``clock``; infinity is none.
    """

    __slots__ = (
        "_batch",
        "_clock",
        "_linger_time",
        "_loop",
        "_overdue",
        "_pending",
        "_reading_paused",
        "_stall_time",
        "_transport",
        "_unwritten",
        "_writable",
        "deadline",
        "ending",
        "write_deadline",
        "write_paused",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        limits: ServerLimits,
        clock: Callable[[], float],
        overdue: Callable[[], None],
        batch: WriteBatch,
    ) -> None:
        self.write_paused = False
        self.deadline = inf
        self.write_deadline = inf
        self.ending = False
        self._transport = transport
        self._clock = clock
        self._overdue = overdue
        self._linger_time = limits.linger_time.total_seconds()
        self._stall_time = limits.write_stall_time.total_seconds()
        self._reading_paused = False
        self._unwritten = 0
        self._writable: asyncio.Event | None = None
        self._batch = batch
        self._loop = asyncio.get_running_loop()
        self._pending = b""

    def hand_to(self, protocol: asyncio.Protocol) -> None:
        """Let another protocol have what the transport reads, and what it says of its buffer."""
        self._transport.set_protocol(protocol)

    # Bytes.

    @property
    def unwritten(self) -> int:
        """Bytes that wait in the transport's buffer."""
        return self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport, which buffers."""
        if self._pending:
            self.flush()
        self._transport.write(data)

    def write_soon(self, data: bytes) -> None:
        """The same at the end of this turn of the event loop, with what others write: for the end of a response."""
        if self._pending:
            self._pending += data
        else:
            self._pending = data
            self._batch.add(self, self._loop)

    def flush(self) -> None:
        """Hand over what ``write_soon`` has kept."""
        pending, self._pending = self._pending, b""
        if pending and not self._transport.is_closing():
            self._transport.write(pending)

    # Time.

    def wait_for_client(self, seconds: float) -> None:
        """From now on it is the client's turn, for so long."""
        self.deadline = self._clock() + seconds

    def wait_for_us(self) -> None:
        """It is our turn: the client owes nothing."""
        self.deadline = inf

    def expire(self, now: float) -> None:
        """Called by the sweeper when a deadline has passed."""
        if self.write_deadline <= now:
            if not self._moving():
                self.abort()
                return
            self.write_deadline = now + self._stall_time
        if self.deadline > now:
            return
        if not self.ending:
            self._overdue()
        elif self._moving():  # what is still to be written may take its time while the client takes some of it
            self.close()
        else:
            self.abort()

    def forget(self) -> None:
        """The connection is over: let go of who owns this, so that neither waits for the garbage collector."""
        self._overdue = _nobody

    # Back-pressure.

    def pause_reading(self) -> None:
        """Let the kernel's buffer fill, and with it the client's."""
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The transport's buffer is over its high-water mark."""
        self.write_paused = True
        self.write_deadline = self._clock() + self._stall_time
        self._moving()

    def resume_writing(self) -> None:
        """The buffer is below its low-water mark, or the connection is lost."""
        self.write_paused = False
        self.write_deadline = inf
        if self._writable is not None:
            self._writable.set()

    async def drained(self) -> None:
        """Wait for ``resume_writing``."""
        if self._writable is None:
            self._writable = asyncio.Event()
        while self.write_paused:
            self._writable.clear()
            await self._writable.wait()

    def _moving(self) -> bool:
        """Whether bytes wait for the client and it has taken some since the last look."""
        before, self._unwritten = self._unwritten, self._transport.get_write_buffer_size()
        return 0 < self._unwritten != before

    # The end.

    def linger(self) -> None:
        """Close our side and read on for a while: bytes that nobody read would make the kernel reset the connection,
        and the answer would be lost with it (RFC 9112 section 9.6)."""
        if not self._transport.can_write_eof():  # TLS
            self.close()
            return
        self.flush()
        self._transport.write_eof()
        self.resume_reading()
        self._end()

    def close(self) -> None:
        """Close when everything is written."""
        self.flush()
        self._transport.close()
        self._end()

    def abort(self) -> None:
        """Close at once, without what is still to be written."""
        self._pending = b""
        self._transport.abort()
        self._end()

    def _end(self) -> None:
        self.ending = True
        self._moving()
        self.deadline = self._clock() + self._linger_time


def _nobody() -> None:
    """Who is told when nobody is left."""
