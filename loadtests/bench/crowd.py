"""Clients that stay: idle connections, WebSockets, event streams, and such that never finish a request's head.

Run as a program, with what there is to be as a JSON object on standard input. It prints a line once all of them stand,
and on SIGTERM another one that says what has become of them.
"""

import asyncio
import base64
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

_AT_ONCE = 200  # connections that are being made
_MESSAGE = b"hello"
_MESSAGE_EVERY = 5.0
_BYTE_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many of each. ``host`` and ``token`` are what an API request needs."""

    port: int
    host: str
    token: str
    idle: int = 0
    websockets: int = 0
    events: int = 0
    slow: int = 0


@dataclass(slots=True)
class Seen:
    """What they were sent, and how many were cut off. ``refused``: their first answer was another than it should be."""

    standing: int = 0
    events: int = 0
    messages: int = 0
    refused: int = 0
    closed: int = 0


class _Client(asyncio.Protocol):
    """Sends a request, and is ready when the answer begins as it should."""

    def __init__(self, request: bytes, wanted: bytes, seen: Seen) -> None:
        self._request, self._wanted, self._seen = request, wanted, seen
        self._received = b""
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self.more(data)
            return
        self._received += data
        if b"\r\n\r\n" in self._received:
            if not self._received.startswith(self._wanted):
                self._seen.refused += 1
            self._seen.standing += 1
            self.ready.set_result(None)
            self.begin()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio names it)
        self._seen.closed += 1
        if not self.ready.done():
            self._seen.refused += 1
            self.ready.set_result(None)

    def begin(self) -> None:
        """It is ready."""

    def more(self, data: bytes) -> None:
        """Something came."""


class _Events(_Client):
    def more(self, data: bytes) -> None:
        """Events."""
        self._seen.events += data.count(b"data:")


class _WebSocket(_Client):
    def begin(self) -> None:
        """Speak, and again after a while."""
        mask = os.urandom(4)
        body = bytes(sign ^ mask[at % 4] for at, sign in enumerate(_MESSAGE))
        if not self.transport.is_closing():
            self.transport.write(bytes((0x81, 0x80 | len(body))) + mask + body)
            asyncio.get_running_loop().call_later(_MESSAGE_EVERY, self.begin)

    def more(self, data: bytes) -> None:
        """The echo."""
        self._seen.messages += data.count(_MESSAGE)


class _Slow(_Client):
    """Sends a byte of a head now and then; whoever is closed for that comes again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._seen.standing += 1
        self.ready.set_result(None)
        self._byte()

    def _byte(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"a")
            asyncio.get_running_loop().call_later(_BYTE_EVERY, self._byte)


def _requests(crowd: Crowd) -> list[tuple[type[_Client], bytes, bytes, int]]:
    head = f"host: {crowd.host}\r\nauthorization: Bearer {crowd.token}\r\n".encode("ascii")
    key = base64.b64encode(os.urandom(16))
    upgrade = b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: " + key
    ok, switched = b"HTTP/1.1 200", b"HTTP/1.1 101"
    return [
        (_Client, b"GET /orders/7 HTTP/1.1\r\n" + head + b"\r\n", ok, crowd.idle),
        (_WebSocket, b"GET /ws HTTP/1.1\r\n" + head + upgrade + b"\r\n\r\n", switched, crowd.websockets),
        (_Events, b"GET /events HTTP/1.1\r\n" + head + b"\r\n", ok, crowd.events),
        (_Slow, b"GET /orders/7 HTTP/1.1\r\nx-slow: ", b"", crowd.slow),
    ]


async def _stand(crowd: Crowd) -> None:
    loop, seen, room = asyncio.get_running_loop(), Seen(), asyncio.Semaphore(_AT_ONCE)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)

    async def join(client: type[_Client], request: bytes, wanted: bytes) -> None:
        async with room:
            _, made = await loop.create_connection(lambda: client(request, wanted, seen), "127.0.0.1", crowd.port)
            await made.ready

    began = time.monotonic()
    for client, request, wanted, count in _requests(crowd):
        await asyncio.gather(*(join(client, request, wanted) for _ in range(count)))
    print(json.dumps({**asdict(seen), "seconds": round(time.monotonic() - began, 1)}), flush=True)
    await stopped.wait()
    print(json.dumps(asdict(seen)), flush=True)


if __name__ == "__main__":
    uvloop.run(_stand(Crowd(**json.load(sys.stdin))))
