"""Back-pressure of one transport, in both directions."""

import asyncio


class Flow:
    """Pauses and resumes reading, waits for a transport that takes no bytes, and sees whether its client reads on."""

    __slots__ = ("_reading_paused", "_transport", "_unwritten", "_writable", "write_paused")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.write_paused = False
        self._transport = transport
        self._reading_paused = False
        self._unwritten = 0
        self._writable: asyncio.Event | None = None

    def pause_reading(self) -> None:
        """Let the kernel's buffer fill, and with it the client's."""
        if not self._reading_paused:
            self._reading_paused = True
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The transport's buffer is over its high-water mark."""
        self.write_paused = True
        self.moving()

    def resume_writing(self) -> None:
        """The buffer is below its low-water mark, or the connection is lost."""
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()

    async def drained(self) -> None:
        """Wait for ``resume_writing``."""
        if self._writable is None:
            self._writable = asyncio.Event()
        while self.write_paused:
            self._writable.clear()
            await self._writable.wait()

    def moving(self) -> bool:
        """Whether bytes wait for the client and it has taken some since the last look."""
        before, self._unwritten = self._unwritten, self._transport.get_write_buffer_size()
        return 0 < self._unwritten != before
