"""An API that notes every byte that reaches it and answers each whole request with what it saw, as JSON.

It reads HTTP by itself: a library that forgives would hide what the tests look for.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Seen:
    """One request. ``whole``: its end was reached."""

    head: bytes
    body: bytes = b""
    whole: bool = False

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @property
    def fields(self) -> list[tuple[str, str]]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines) if name]

    def values(self, name: str) -> list[str]:
        """All values of this field."""
        return [value for field_name, value in self.fields if field_name == name]


@dataclass
class RecordingUpstream:
    """``requests`` and ``raw`` are since the last ``clear``. It listens while the ``with`` lasts."""

    port: int = 0
    requests: list[Seen] = field(default_factory=list)
    raw: bytes = b""
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def clear(self) -> None:
        """Forget what was seen."""
        self.requests, self.raw = [], b""

    def __enter__(self) -> "RecordingUpstream":
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="recording upstream")
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self, started: threading.Event) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20))
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end_connections())
        self._loop.close()

    async def _end_connections(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # the gateway closed
                while True:
                    await self._exchange(_Noting(reader, self), writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: "_Noting", writer: asyncio.StreamWriter) -> None:
        seen = Seen(await reader.until(b"\r\n\r\n"))
        self.requests.append(seen)
        if seen.values("transfer-encoding"):
            while size := int(await reader.until(b"\r\n"), 16):
                seen.body += (await reader.exactly(size + 2))[:-2]
            while await reader.until(b"\r\n") != b"\r\n":
                pass
        else:
            seen.body = await reader.exactly(int((seen.values("content-length") or ["0"])[0]))
        seen.whole = True
        body = json.dumps({"target": seen.target, "headers": seen.fields, "length": len(seen.body)}).encode()
        without_body = seen.head.startswith(b"HEAD ")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(b"" if without_body else body)
        await writer.drain()


class _Noting:
    """A reader whose bytes are noted as they are taken, an end that came too soon included."""

    def __init__(self, reader: asyncio.StreamReader, upstream: RecordingUpstream) -> None:
        self._reader = reader
        self._upstream = upstream

    async def until(self, end: bytes) -> bytes:
        return self._note(await self._kept(self._reader.readuntil(end)))

    async def exactly(self, count: int) -> bytes:
        return self._note(await self._kept(self._reader.readexactly(count)))

    async def _kept(self, reading: Coroutine[Any, Any, bytes]) -> bytes:
        try:
            return await reading
        except asyncio.IncompleteReadError as error:
            self._note(error.partial)
            raise

    def _note(self, data: bytes) -> bytes:
        self._upstream.raw += data
        return data
