"""WebSockets through a data plane: a client in memory on the server's own protocol, an upstream on a socket."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.proxy.plane_config import PlaneConfig
from gateway.server.cycle import Cycle
from gateway.server.limits import ServerLimits
from policies.cross_origin import PageRules
from policies.route import Route
from policies.route_table import RouteTable
from policies.rule import Anonymous, Scopes
from tests.frames_by_hand import CLOSE, PING, PONG, Frame, accept_of, frames, handshake, written
from tests.gateway.proxy.harness import HOST, READ, ROUTES, Peer, Script, World, eventually, world
from tests.gateway.server.memory import MemoryConnection

ORIGIN = "https://app.example.com"
LISTED = PageRules(origins=frozenset({ORIGIN}))
OF_CLIENTS = PageRules(registered=True)
GET = frozenset({"GET"})
SOCKETS = (
    Route("ws", (HOST,), "/ws", READ, "orders", methods=GET, websocket=True, pages=LISTED),
    Route("ws-on", (HOST,), "/ws-on", READ, "orders", methods=GET, websocket=True, outlives_token=True),
    Route("public-ws", (HOST,), "/public-ws", Anonymous(), "orders", methods=GET, websocket=True, pages=OF_CLIENTS),
    Route("clients-ws", (HOST,), "/clients-ws", READ, "orders", methods=GET, websocket=True, pages=OF_CLIENTS),
    Route("silent-ws", (HOST,), "/silent-ws", READ, "orders", methods=GET, websocket=True),
    Route("admin-ws", (HOST,), "/admin-ws", Scopes(frozenset({"admin"})), "orders", methods=GET, websocket=True),
    Route("events-on", (HOST,), "/events-on", READ, "orders", methods=GET, outlives_token=True),
)


class Socket:
    """A client. ``head`` is what it was answered; ``frames`` what came behind a 101."""

    def __init__(self, made: World, limits: ServerLimits | None = None) -> None:
        self.wire = MemoryConnection(made.plane, limits)

    async def ask(self, data: bytes) -> "Socket":
        """Send a handshake, and wait for the end of the answer's head."""
        await self.wire.send(data)
        await eventually(lambda: b"\r\n\r\n" in self.wire.output or self.wire.ended)
        return self

    async def open(self, path: str = "/ws", *fields: tuple[str, str], token: str | None = "alice") -> "Socket":
        """Connect."""
        bearer = () if token is None else (("Authorization", f"Bearer {token}"),)
        await self.ask(handshake(path, HOST, *fields, *bearer))
        assert self.status == 101, self.wire.output
        return self

    async def send(self, *pieces: bytes) -> None:
        await self.wire.send(*pieces)

    async def receives(self, count: int) -> list[Frame]:
        """All frames so far, once there are this many."""
        await eventually(lambda: len(self.frames) >= count)
        return self.frames

    async def ended(self) -> None:
        await eventually(lambda: self.wire.ended)

    def leave(self) -> None:
        """The network takes it away."""
        self.wire.transport.abort()

    @property
    def head(self) -> str:
        return self.wire.output.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])

    @property
    def fields(self) -> dict[str, str]:
        lines = (line.split(": ", 1) for line in self.head.split("\r\n")[1:])
        return {name.lower(): value for name, value in lines}

    @property
    def body(self) -> bytes:
        return self.wire.output.partition(b"\r\n\r\n")[2]

    @property
    def frames(self) -> list[Frame]:
        return frames(self.body)


class Answering:
    """The upstream's side after its 101: ``frames`` are what came."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self._received = b""

    async def send(self, data: bytes) -> None:
        await self.peer.send(data)

    async def receives(self, count: int) -> list[Frame]:
        while len(self.frames) < count:
            data = await self.peer.reader.read(65536)
            if not data:
                raise ConnectionResetError("the gateway closed")  # as a script may expect
            self._received += data
        return self.frames

    async def until_gone(self, *, answers: bool = True) -> None:
        """Take what comes until the gateway has closed; a Close is answered, unless it isn't to be."""
        try:
            data = b"."
            while data:
                closes = [one for one in self.frames if one.opcode == CLOSE]
                if answers and closes:
                    await self.send(written(CLOSE, closes[0].payload, key=None))
                    answers = False
                data = await self.peer.reader.read(65536)
                self._received += data
        except ConnectionError:
            pass
        self.peer.gone.set()

    @property
    def frames(self) -> list[Frame]:
        return frames(self._received)


def speaks(script: Callable[[Answering], Awaitable[None]], *fields: str) -> Script:
    """An upstream that accepts and then does this."""

    async def whole(peer: Peer) -> None:
        await accept(peer, *fields)
        await script(Answering(peer))

    return whole


async def echoes(side: Answering) -> None:
    """Sends every message back, and answers pings and a Close."""
    done = 0
    while True:
        for one in (await side.receives(done + 1))[done:]:
            done += 1
            opcode = PONG if one.opcode == PING else one.opcode
            await side.send(written(opcode, one.payload, fin=one.fin, key=None))
            if one.opcode == CLOSE:
                await side.until_gone()
                return


async def accept(peer: Peer, *fields: str) -> bytes:
    head = await peer.head()
    await peer.send(answer(head, "".join(f"{field}\r\n" for field in fields)))
    return head


def answer(head: bytes, fields: str = "") -> bytes:
    return (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Accept: {accept_of(key_in(head))}\r\n{fields}\r\n"
    ).encode("latin-1")


def key_in(head: bytes) -> str:
    found = re.search(rb"\r\nsec-websocket-key: ([^\r]+)\r\n", head)
    assert found is not None, head
    return found[1].decode()


def config(made: World, *routes: Route) -> PlaneConfig:
    table = RouteTable.compile((*ROUTES, *routes))
    return PlaneConfig(table, {"orders": made.pool})


@asynccontextmanager
async def sockets(*scripts: Script, **options: Any) -> AsyncIterator[World]:
    """A world with routes for WebSockets; afterwards nothing is left of it."""
    async with world(*scripts, **options) as (made, _):
        made.plane.config = config(made, *SOCKETS)
        yield made
        await eventually(lambda: not (len(made.pool) or requests_running()))
        assert len(made.plane.streams) == 0
        assert not made.pool._upgrading


def requests_running() -> list[Any]:
    """Tasks of the server that answer a request, a WebSocket's included."""
    coroutines: list[Any] = [task.get_coro() for task in asyncio.all_tasks()]
    return [one for one in coroutines if one.cr_code is Cycle.run.__code__]
