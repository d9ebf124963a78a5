"""An API with streams, for a benchmark: a fixed answer, one server-sent event a second, and WebSockets that echo.

    GET /...       200, a few bytes
    GET /events    an event a second until the client leaves
    GET /ws        101; every short message comes back

Run as a program with the port to listen on.
"""

import asyncio
import base64
import hashlib
import sys
from typing import cast

import httptools
import uvloop

_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + b'{"id": "7"}'
_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = b"data: {}\n\n"
_UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n\r\n"
)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._url = self._key = b""
        self._frames: bytes | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio names it)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._frames is not None:
            self._echo(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgraded:
            self._frames = b""
            self._echo(data[upgraded.args[0] :])

    def on_url(self, url: bytes) -> None:
        """For the parser."""
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """For the parser."""
        if name.lower() == b"sec-websocket-key":
            self._key = value

    def on_message_complete(self) -> None:
        """For the parser."""
        if self._url == b"/events":
            self._transport.write(_EVENTS)
            self._event()
        elif self._url == b"/ws":
            accept = base64.b64encode(hashlib.sha1(self._key + _GUID, usedforsecurity=False).digest())
            self._transport.write(_UPGRADE % accept)
        else:
            self._transport.write(_OK)

    def _event(self) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT))
        self._timer = self._loop.call_later(1.0, self._event)

    def _echo(self, data: bytes) -> None:
        """Masked frames of less than 126 bytes come back without their mask."""
        frames = (self._frames or b"") + data
        while len(frames) >= 6 and len(frames) >= (end := 6 + (frames[1] & 0x7F)):
            mask, body = frames[2:6], frames[6:end]
            plain = bytes(sign ^ mask[at % 4] for at, sign in enumerate(body))
            self._transport.write(bytes((frames[0], len(body))) + plain)
            frames = frames[end:]
        self._frames = frames


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
