"""A connection without a socket: the protocol on a transport that records, so that every cut of the bytes and every
moment of the clock can be tried, and nothing ever waits."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.asgi import App
from gateway.server.configured import HttpProtocols, http_protocol
from gateway.server.limits import ServerLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class MemoryTransport(asyncio.Transport):
    """``stalled`` makes it a client that reads nothing: bytes stay in ``unwritten``."""

    def __init__(self, peer: tuple[str, int] | str = ("192.0.2.7", 40000)) -> None:
        super().__init__()
        self.peer = peer
        self.protocol: asyncio.Protocol
        self.taken = bytearray()
        self.unwritten = bytearray()
        self.writes: list[bytes] = []
        self.stalled = False
        self.write_paused = False
        self.reading = True
        self.eof_written = False
        self.closing = False
        self.aborted = False
        self.lost = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": self.peer, "sockname": ("127.0.0.1", 8080)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing, "written to a closed transport"
        assert not self.eof_written, "written behind the end"
        assert data, "an empty write"
        self.writes.append(bytes(data))
        self.unwritten += data
        if not self.stalled:
            self.take(len(self.unwritten))
        elif not self.write_paused and len(self.unwritten) > 65536:
            self.write_paused = True
            self.protocol.pause_writing()

    def take(self, size: int) -> None:
        """The client reads."""
        self.taken += self.unwritten[:size]
        del self.unwritten[:size]
        if self.write_paused and len(self.unwritten) <= 16384:
            self.write_paused = False
            self.protocol.resume_writing()
        if self.closing and not self.unwritten:
            self._lose()

    def get_write_buffer_size(self) -> int:
        return len(self.unwritten)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        if not self.unwritten:
            self._lose()

    def abort(self) -> None:
        self.aborted = True
        self.closing = True
        self.unwritten.clear()
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed while it was reading"
        self.reading = True


class MemoryConnection:
    """One client. ``ended``: the server has closed its side, in whichever way."""

    def __init__(
        self,
        app: App,
        limits: ServerLimits | None = None,
        state: ServerState | None = None,
        *,
        factory: HttpProtocols | None = None,
        peer: tuple[str, int] | str = ("192.0.2.7", 40000),
    ) -> None:
        self.clock = Clock()
        self.state = state or ServerState()
        self.factory = factory or http_protocol(limits, self.clock)
        config = Config(app, log_config=None, lifespan="off", interface="asgi3", proxy_headers=False, ws="none")
        config.load()
        self.protocol = self.factory(config, self.state, {}, asyncio.get_running_loop())
        self.transport = MemoryTransport(peer)
        self.transport.protocol = self.protocol
        self.protocol.connection_made(self.transport)

    @property
    def ended(self) -> bool:
        return self.transport.closing or self.transport.eof_written

    @property
    def output(self) -> bytes:
        return bytes(self.transport.taken)

    async def send(self, *pieces: bytes) -> None:
        """Give the protocol bytes, but none while it has paused reading, as the kernel would."""
        for piece in pieces:
            if not self.transport.reading:
                await self.until(lambda: self.transport.reading or self.transport.closing)
            if self.transport.closing:
                return
            self.transport.protocol.data_received(piece)
        await self.settle()

    async def settle(self) -> None:
        """Let everything run that can run without anything else happening."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("nothing that could run leads there")

    async def after(self, seconds: float) -> None:
        """The clock goes on and the sweeper looks."""
        self.clock.now += seconds
        self.factory.sweeper.sweep()
        await self.settle()

    def hang_up(self) -> None:
        """The client closes."""
        self.transport.protocol.eof_received()


def cuts(data: bytes, places: Iterable[int]) -> list[bytes]:
    """``data`` in pieces, cut at ``places``."""
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]
