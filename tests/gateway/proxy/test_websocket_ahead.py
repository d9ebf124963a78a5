"""What comes right behind either handshake is held back as what comes later is."""

import asyncio
from typing import Any, cast

import pytest

from gateway.proxy.switch import SwitchingUpstream
from gateway.server.limits import ServerLimits
from gateway.server.upgraded import Upgraded
from gateway.server.wire import Wire
from gateway.write_batch import WriteBatch
from tests.frames_by_hand import BINARY, frames, handshake, written
from tests.gateway.proxy.harness import HOST, eventually
from tests.gateway.proxy.sockets import Answering, Socket, sockets, speaks
from tests.gateway.server.memory import MemoryTransport

ASKS = handshake("/ws", HOST, ("Authorization", "Bearer alice"))
BIG = written(BINARY, b"z" * 20_000_000)
BIG_ANSWER = written(BINARY, b"z" * 20_000_000, key=None)


class Taker:
    """Takes nothing of what it is sent."""

    def __init__(self) -> None:
        self.end: Any = None
        self.calls: list[str] = []

    def opened(self, client: Upgraded) -> None:
        self.end = client

    def received(self, _: bytes) -> None:
        self.calls.append("received")
        self.end.pause_reading()

    def full(self) -> None:
        self.calls.append("full")

    def free(self) -> None:
        self.calls.append("free")

    def gone(self) -> None:
        self.calls.append("gone")

    def leave(self) -> None:
        raise AssertionError("nothing stops here")


def switched() -> tuple[MemoryTransport, SwitchingUpstream]:
    """An upstream that has sent a 101 and a byte behind it."""

    class Writer:
        waits = False

    class Connection:
        writer = Writer()
        _transport = MemoryTransport()

        def _wake(self) -> None:
            pass

    connection = Connection()
    upstream = SwitchingUpstream(cast(Any, connection))
    upstream.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n.")
    return connection._transport, upstream


async def test_who_takes_nothing_behind_the_101_holds_the_upstream_up() -> None:
    transport, upstream = switched()
    assert not transport.reading
    taker = Taker()
    taker.end = upstream
    upstream.speak(taker)
    assert taker.calls == ["received"]
    assert not transport.reading


async def test_who_takes_nothing_behind_the_handshake_holds_the_client_up() -> None:
    transport = MemoryTransport()
    wire = Wire(transport, ServerLimits(), lambda: 0.0, lambda: None, WriteBatch())
    wire.pause_reading()
    taker = Taker()
    Upgraded(asyncio.Protocol(), wire, set(), taker).begin(b"101", b".", stops=False)
    assert taker.calls == ["received"]
    assert not transport.reading


@pytest.mark.parametrize(("calls", "told"), [(["pause"], ["full", "received"]), (["pause", "resume"], ["received"])])
async def test_that_an_upstream_took_nothing_before_is_known(calls: list[str], told: list[str]) -> None:
    _, upstream = switched()
    for call in calls:
        upstream.pause_writing() if call == "pause" else upstream.resume_writing()
    taker = Taker()
    taker.end = upstream
    upstream.speak(taker)
    assert taker.calls == told


async def test_an_upstream_that_reads_nothing_behind_its_101_holds_the_client_up() -> None:
    gate = asyncio.Event()

    async def script(side: Answering) -> None:
        await gate.wait()
        await side.peer.reader.readexactly(len(BIG))
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = await Socket(made).ask(ASKS + BIG)
        assert client.status == 101
        await client.wire.settle()
        assert not client.wire.transport.reading
        gate.set()
        await eventually(lambda: client.wire.transport.reading)
        client.leave()


async def test_a_client_that_reads_nothing_behind_its_101_holds_the_upstream_up() -> None:
    async def script(side: Answering) -> None:
        await side.send(BIG_ANSWER)
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = Socket(made)
        client.wire.transport.stalled = True
        await client.send(ASKS)
        transport = client.wire.transport
        await eventually(lambda: transport.write_paused)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(transport.unwritten) < 2_000_000
        transport.stalled = False
        transport.take(len(transport.unwritten))
        await eventually(lambda: client.body and frames(client.body))
        assert len(client.frames[0].payload) == 20_000_000
        client.leave()
