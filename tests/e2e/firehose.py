"""An API in a process of its own that sends and takes as much as it is asked, and tells what it did. Its first line of
output is its port.

GET  /public/download/N   N bytes
GET  /public/events       server-sent events, one for each POST /public/tick
POST /public/tick         {"listeners": how many were sent one}
POST /public/stall        reads the body only after the next POST /public/resume
POST /public/...          reads the body, {"length": its length}
GET  /public/streams      {"open": downloads and events on their way, "sent": bytes of the last download}
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator

_BLOCK = bytes(range(256)) * 256


class Firehose:
    """Its state is that of all connections."""

    def __init__(self) -> None:
        self.open = 0
        self.sent = 0
        self.ticks = 0
        self.listeners: set[asyncio.Queue[int]] = set()
        self.resumed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split(" ", 2)
                _, _, what, *more = target.split("/")
                if method == "POST":
                    await self._take(what, head, reader, writer)
                elif what == "streams":
                    await _answer(writer, {"open": self.open, "sent": self.sent})
                else:
                    with self._counted():
                        await (
                            self._events(reader, writer) if what == "events" else self._download(int(more[0]), writer)
                        )
        writer.close()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    async def _take(self, what: str, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.split(": ", 1) for line in head.lower().split("\r\n")[1:] if line)
        left = length = int(fields.get("content-length", "0"))
        if what == "stall":
            self.resumed.clear()
            await self.resumed.wait()
        while left:
            read = len(await reader.read(min(left, 2**20)))
            if not read:
                raise ConnectionResetError("the body ended before its end")
            left -= read
        if what == "resume":
            self.resumed.set()
        if what == "tick":
            self.ticks += 1
            for listener in self.listeners:
                listener.put_nowait(self.ticks)
            await _answer(writer, {"listeners": len(self.listeners)})
        else:
            await _answer(writer, {"length": length})

    async def _download(self, length: int, writer: asyncio.StreamWriter) -> None:
        self.sent = 0
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % length)
        while self.sent < length:
            block = _BLOCK[: length - self.sent]
            writer.write(block)
            await writer.drain()
            self.sent += len(block)

    async def _events(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: asyncio.Queue[int] = asyncio.Queue()
        self.listeners.add(mine)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while not gone.done():
                waiting = asyncio.ensure_future(mine.get())
                await asyncio.wait((gone, waiting), return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    event = b"data: %d\n\n" % waiting.result()
                    writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                waiting.cancel()
        finally:
            gone.cancel()
            self.listeners.discard(mine)
        raise ConnectionResetError("the reader of events has left")


async def _answer(writer: asyncio.StreamWriter, value: dict[str, int]) -> None:
    body = json.dumps(value).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()


async def main() -> None:
    """Until it is terminated."""
    server = await asyncio.start_server(Firehose().serve, "127.0.0.1", 0, limit=2**18)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
