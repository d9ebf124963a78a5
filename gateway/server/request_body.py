"""The part of a request body that has arrived and that the application has not taken yet."""

import asyncio


class RequestBody:
    """Filled by the connection, emptied by the application's ``receive``. ``unread`` is its size in bytes."""

    __slots__ = ("_chunks", "_ended", "_wake", "complete", "unread")

    def __init__(self, *, complete: bool = False) -> None:
        self.complete = complete
        self.unread = 0
        self._chunks: list[bytes] = []
        self._ended = False
        self._wake: asyncio.Event | None = None

    @property
    def ready(self) -> bool:
        """Whether ``take`` has something to tell: bytes, or the end, which is told once."""
        return bool(self._chunks) or (self.complete and not self._ended)

    def push(self, chunk: bytes) -> None:
        """A piece arrived."""
        self._chunks.append(chunk)
        self.unread += len(chunk)
        self.notify()

    def finish(self) -> None:
        """All of it arrived."""
        self.complete = True
        self.notify()

    def take(self) -> tuple[bytes, bool]:
        """Everything that is here, and whether more is to come."""
        body = b"".join(self._chunks)
        self._chunks = []
        self.unread = 0
        self._ended = self.complete
        return body, not self.complete

    def notify(self) -> None:
        """Wake whoever waits in ``changed``."""
        if self._wake is not None:
            self._wake.set()

    async def changed(self) -> None:
        """Wait for the next ``notify``."""
        if self._wake is None:  # most requests never wait, so the event is made by the first that does
            self._wake = asyncio.Event()
        self._wake.clear()
        await self._wake.wait()
