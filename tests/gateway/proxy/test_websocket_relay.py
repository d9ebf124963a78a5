"""What goes on between a client and an upstream after the 101: frames, back-pressure, and every kind of end."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from gateway.proxy.relay import CLOSE_TIME, GONE_AFTER, PING_AFTER, Relay
from gateway.server.frames import MaskKeys
from tests.frames_by_hand import BINARY, CLOSE, MASK, PING, PONG, TEXT, closing, frames, handshake, written
from tests.gateway.proxy.harness import HOST, Clock, Peer, World, eventually
from tests.gateway.proxy.sockets import Answering, Socket, accept, answer, echoes, requests_running, sockets, speaks


async def test_messages_go_there_and_back() -> None:
    async with sockets(speaks(echoes)) as made:
        client = await Socket(made).open()
        await client.send(
            written(TEXT, b"Hel", fin=False), written(PING, b"p"), written(0, b"lo"), written(BINARY, b"")
        )
        got = await client.receives(4)
        assert [(one.opcode, one.payload, one.fin, one.key) for one in got] == [
            (TEXT, b"Hel", False, None),
            (PONG, b"p", True, None),
            (0, b"lo", True, None),
            (BINARY, b"", True, None),
        ]
        await client.send(closing(1000, "bye"))
        assert (await client.receives(5))[4].payload == b"\x03\xe8bye"
        await client.ended()


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 2_000_000])
async def test_a_frame_of_any_size_passes(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    async with sockets(speaks(echoes)) as made:
        client = await Socket(made).open()
        whole = written(BINARY, payload[:size])
        await client.send(*(whole[at : at + 60_000] for at in range(0, len(whole), 60_000)))
        await client.receives(1)
        assert client.frames[0].payload == payload[:size]
        await client.send(closing(1000))
        await client.ended()


async def test_the_upstream_may_close_first() -> None:
    async def script(side: Answering) -> None:
        await side.send(closing(3001, "enough", key=None))
        answered.extend(await side.receives(1))
        await side.until_gone()

    answered: list[object] = []
    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        assert (await client.receives(1))[0].code == 3001
        await client.send(closing(3001))
        await client.ended()
        await eventually(lambda: answered)


@pytest.mark.parametrize(
    ("who", "breaks"),
    [
        ("client", written(TEXT, b"x", key=None)),
        ("client", bytes((0xF1, 0x80)) + bytes(4)),
        ("upstream", written(TEXT, b"x")),
        ("upstream", closing(1006, key=None)),
    ],
)
async def test_whoever_breaks_the_rules_both_are_told_1002(who: str, breaks: bytes) -> None:
    told: list[object] = []

    async def script(side: Answering) -> None:
        if who == "upstream":
            await side.send(breaks)
        told.extend(await side.receives(1))
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        if who == "client":
            await client.send(breaks, written(TEXT, b"never seen"))
        [close] = await client.receives(1)
        assert (close.opcode, close.code) == (CLOSE, 1002)
        await client.send(closing(1002))
        await eventually(lambda: told)
        assert [(one.opcode, one.code) for one in told] == [(CLOSE, 1002)]  # type: ignore[attr-defined]
        await client.ended()
        client.leave()


async def test_a_client_that_vanishes_is_told_to_the_upstream() -> None:
    told: list[int] = []

    async def script(side: Answering) -> None:
        told.append((await side.receives(1))[0].code)
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        client.leave()
        await eventually(lambda: told)
        assert told == [1001]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upstream_that_vanishes_is_told_to_the_client(how: str) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        peer.close() if how == "close" else peer.reset()

    async with sockets(script) as made:
        client = await Socket(made).open()
        assert (await client.receives(1))[0].code == 1011
        await client.send(closing(1011))
        await client.ended()


async def test_a_client_in_the_middle_of_a_frame_is_cut_off_without_a_close() -> None:
    async def script(peer: Peer) -> None:
        await accept(peer)
        await peer.send(written(BINARY, b"z" * 1000, key=None)[:-1])
        await went.wait()
        peer.close()

    went = asyncio.Event()
    async with sockets(script) as made:
        client = await Socket(made).open()
        await eventually(lambda: len(client.body) > 900)
        went.set()
        await client.ended()
        assert client.wire.transport.aborted
        assert client.frames == []


async def test_an_upstream_in_the_middle_of_a_frame_is_cut_off_without_a_close() -> None:
    seen: list[Answering] = []

    async def script(side: Answering) -> None:
        seen.append(side)
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        await client.send(written(BINARY, b"z" * 1000)[:-1])
        await eventually(lambda: seen)
        client.leave()
        await eventually(lambda: seen[0].peer.gone.is_set())
        assert seen[0].frames == []


async def test_a_server_that_stops_says_1012_to_both() -> None:
    told: list[int] = []

    async def script(side: Answering) -> None:
        told.append((await side.receives(1))[0].code)
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        [connection] = client.wire.state.connections
        connection.shutdown()  # as uvicorn does
        assert (await client.receives(1))[0].code == 1012
        await client.send(closing(1012))
        await eventually(lambda: told == [1012])
        await client.ended()
        await eventually(lambda: not client.wire.state.connections)


async def test_a_server_that_stops_during_the_handshake_says_so_after_it() -> None:
    async def script(peer: Peer) -> None:
        head.append(await peer.head())
        await gate.wait()
        await peer.send(answer(head[0]))
        await Answering(peer).until_gone()

    head: list[bytes] = []
    gate = asyncio.Event()
    async with sockets(script) as made:
        client = Socket(made)
        await client.send(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
        await eventually(lambda: head)
        client.wire.protocol.shutdown()
        gate.set()
        assert (await client.receives(1))[0].code == 1012
        client.leave()


async def test_a_client_that_says_it_will_close_is_not_told_that_the_server_stops() -> None:
    async with sockets(speaks(echoes)) as made:
        client = await Socket(made).open("/ws", ("Connection", "close, Upgrade"))
        await client.send(written(TEXT, b"hello"))
        assert [one.payload for one in await client.receives(1)] == [b"hello"]
        client.leave()


async def test_a_client_that_closes_its_side_and_takes_nothing_keeps_no_place() -> None:
    async with sockets(speaks(echoes)) as made:
        client = await Socket(made).open()
        client.wire.transport.stalled = True
        await client.send(written(BINARY, b"z" * 20_000))
        await eventually(lambda: client.wire.transport.unwritten)
        client.wire.hang_up()
        await eventually(lambda: not requests_running())
        await client.wire.after(6)
        await client.wire.after(6)
        assert client.wire.transport.aborted
        assert not client.wire.state.connections


async def test_a_connection_counts_until_it_ends() -> None:
    async with sockets(speaks(echoes)) as made:
        client = await Socket(made).open()
        assert len(client.wire.state.connections) == 1
        client.leave()
        await eventually(lambda: not client.wire.state.connections)
        await eventually(lambda: not client.wire.state.tasks)


# -- back-pressure ---------------------------------------------------------------------------------------------------


async def test_a_client_that_reads_nothing_holds_the_upstream_up() -> None:
    sent, left = 0, False

    async def script(side: Answering) -> None:
        nonlocal sent
        while not left:
            await side.send(written(BINARY, b"z" * 60_000, key=None))
            sent += 1

    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        client.wire.transport.stalled = True
        await still(lambda: sent)
        assert len(client.wire.transport.unwritten) < 1_000_000
        before = sent
        client.wire.transport.take(100_000_000)
        client.wire.transport.stalled = False
        await eventually(lambda: sent > before + 3)
        left = True
        client.leave()


async def test_an_upstream_that_reads_nothing_holds_the_client_up() -> None:
    gate = asyncio.Event()

    async def script(side: Answering) -> None:
        await gate.wait()
        await side.peer.reader.readexactly(sent * len(frame))

    sent, frame = 0, written(BINARY, b"z" * 60_000)
    async with sockets(speaks(script)) as made:
        client = await Socket(made).open()
        while client.wire.transport.reading and sent < 1000:
            await client.send(frame)
            sent += 1
        assert 0 < sent < 1000
        gate.set()
        await eventually(lambda: client.wire.transport.reading)
        client.leave()


async def still(value: Callable[[], int]) -> None:
    """Until it does not change for many turns of the loop."""
    seen: list[int] = []
    async with asyncio.timeout(10):
        while len(seen) < 300 or seen[-300] != seen[-1]:
            await asyncio.sleep(0)
            seen.append(value())


# -- time ------------------------------------------------------------------------------------------------------------


class End:
    """A side's transport that only notes."""

    def __init__(self) -> None:
        self.taken = b""
        self.unwritten = 0
        self.calls: list[str] = []

    def write(self, data: bytes) -> None:
        self.taken += data

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def close(self) -> None:
        self.calls.append("close")

    def linger(self) -> None:
        self.calls.append("linger")

    def abort(self) -> None:
        self.calls.append("abort")


class Pair:
    """A relay between two of those, by a clock that tests move."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.relay = Relay(self.clock, MaskKeys())
        self.client, self.upstream = End(), End()
        self.relay.client.opened(self.client)  # type: ignore[arg-type]
        self.relay.upstream.opened(self.upstream)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds
        self.relay.sweep(self.clock.now)


async def test_a_silent_side_is_asked_and_its_answer_goes_no_further() -> None:
    pair = Pair()
    pair.later(PING_AFTER - 1)
    assert pair.client.taken == pair.upstream.taken == b""
    pair.later(1)
    [to_client], [to_upstream] = frames(pair.client.taken), frames(pair.upstream.taken)
    assert (to_client.opcode, to_client.key) == (PING, None)
    assert to_upstream.opcode == PING
    assert to_upstream.key is not None
    pair.later(1)
    assert len(frames(pair.client.taken)) == 1
    pair.relay.client.received(written(PONG, to_client.payload))
    pair.relay.upstream.received(written(PONG, to_upstream.payload, key=None))
    assert len(frames(pair.upstream.taken)) == len(frames(pair.client.taken)) == 1
    pair.later(GONE_AFTER - 1)
    assert len(frames(pair.client.taken)) == 2
    assert not pair.client.calls


async def test_the_pongs_to_others_pings_go_through() -> None:
    pair = Pair()
    pair.later(PING_AFTER)
    pair.relay.client.received(written(PONG, b"not ours"))
    assert frames(pair.upstream.taken)[-1].payload == b"not ours"


@pytest.mark.parametrize(("silent", "code"), [("client", 1001), ("upstream", 1011)])
async def test_a_side_that_is_silent_for_long_is_gone(silent: str, code: int) -> None:
    pair = Pair()
    while not pair.client.calls + pair.upstream.calls:
        pair.later(10)
        assert pair.clock.now <= 1000 + GONE_AFTER
        if silent == "client":
            pair.relay.upstream.received(written(PONG, key=None))
        else:
            pair.relay.client.received(written(PONG))
    lost, other = (pair.client, pair.upstream) if silent == "client" else (pair.upstream, pair.client)
    assert lost.calls == ["abort"]
    assert (frames(other.taken)[-1].opcode, frames(other.taken)[-1].code) == (CLOSE, code)


@pytest.mark.parametrize("sends", ["client", "upstream"])
async def test_who_is_sent_a_long_frame_may_be_silent_and_is_asked_behind_it(sends: str) -> None:
    pair = Pair()
    sender, listener = pair.relay.client, pair.relay.upstream
    end: End = pair.upstream
    key: bytes | None = MASK
    if sends == "upstream":
        sender, listener, end, key = listener, sender, pair.client, None
    long = written(BINARY, b"z" * 300, key=key)
    for at in range(len(long) - 1):
        sender.received(long[at : at + 1])
        pair.later(1)
    assert pair.client.calls == pair.upstream.calls == []
    sender.received(long[-1:])
    pair.later(1)
    assert [one.opcode for one in frames(end.taken)] == [BINARY, PING]
    pair.later(GONE_AFTER - PING_AFTER - 1)
    sender.received(written(PONG, key=key))
    assert end.calls == []
    pair.later(1)
    assert end.calls == ["abort"]
    assert not listener.here


async def test_who_stays_in_the_middle_of_a_frame_is_gone_though_nobody_can_be_asked() -> None:
    pair = Pair()
    pair.relay.client.received(written(BINARY, b"z" * 300)[:-1])
    pair.relay.upstream.received(written(BINARY, b"z" * 300, key=None)[:-1])
    pair.later(GONE_AFTER - 1)
    assert pair.client.calls == pair.upstream.calls == []
    pair.later(1)
    assert "abort" in pair.client.calls + pair.upstream.calls


async def test_who_sends_messages_in_place_of_an_answer_is_asked_again() -> None:
    pair = Pair()
    pair.later(PING_AFTER)
    for _ in range(2):
        pair.relay.client.received(written(TEXT, b"here"))
        pair.relay.upstream.received(written(TEXT, b"here", key=None))
        pair.later(PING_AFTER)
    asked = [one for one in frames(pair.client.taken) if one.opcode == PING]
    assert len(asked) == 3
    pair.relay.client.received(written(PONG, asked[0].payload))
    assert PONG not in [one.opcode for one in frames(pair.upstream.taken)]


async def test_a_side_that_takes_again_what_it_was_sent_has_its_time_anew() -> None:
    pair = Pair()
    pair.later(PING_AFTER)
    pair.client.unwritten = 5000
    pair.relay.client.full()
    for left in range(4999, 4900, -1):
        pair.client.unwritten = left
        pair.relay.upstream.received(b"")
        pair.later(1)
    pair.relay.client.free()
    pair.later(PING_AFTER - 1)
    assert pair.client.calls == []


@pytest.mark.parametrize("blocked", ["client", "upstream"])
async def test_a_side_that_takes_nothing_for_long_is_gone_and_the_other_is_not_asked(blocked: str) -> None:
    pair = Pair()
    side, end = (pair.relay.client, pair.client) if blocked == "client" else (pair.relay.upstream, pair.upstream)
    other = pair.upstream if blocked == "client" else pair.client
    end.unwritten = 5000
    side.full()
    assert other.calls == ["pause"]
    pair.later(1)
    pair.later(GONE_AFTER - 2)
    end.unwritten = 4000  # it has taken some
    pair.later(1)
    pair.later(GONE_AFTER - 1)
    assert end.calls == []
    pair.later(1)
    assert end.calls == ["abort"]
    assert [one.opcode for one in frames(other.taken)] == [CLOSE]


async def test_the_closing_handshake_has_an_end() -> None:
    pair = Pair()
    pair.relay.client.received(closing(1000))
    pair.later(CLOSE_TIME - 1)
    assert pair.client.calls == pair.upstream.calls == []
    pair.later(1)
    assert pair.client.calls == pair.upstream.calls == ["abort"]
    assert pair.relay.over.done()


async def test_it_is_over_when_both_are_closed() -> None:
    pair = Pair()
    pair.relay.client.received(closing(1000))
    pair.relay.upstream.received(closing(1000, key=None))
    assert pair.client.calls == pair.upstream.calls == ["close"]
    assert not pair.relay.over.done()
    pair.relay.upstream.gone()
    pair.relay.client.gone()
    assert pair.relay.over.done()


async def test_who_has_closed_sends_nothing_more_and_may_be_sent_the_rest() -> None:
    pair = Pair()
    pair.relay.client.received(closing(1000) + written(TEXT, b"late"))
    pair.relay.upstream.received(written(TEXT, b"the rest", key=None) + closing(1000, key=None))
    assert [one.opcode for one in frames(pair.upstream.taken)] == [CLOSE]
    assert [one.opcode for one in frames(pair.client.taken)] == [TEXT, CLOSE]


async def test_nobody_is_sent_anything_after_a_close_of_our_own() -> None:
    pair = Pair()
    pair.relay.end(4401, "the token has expired")
    pair.relay.upstream.received(written(TEXT, b"late", key=None) + closing(4401, key=None))
    pair.relay.client.received(written(TEXT, b"late") + closing(4401))
    assert [one.opcode for one in frames(pair.client.taken)] == [CLOSE]
    assert [one.opcode for one in frames(pair.upstream.taken)] == [CLOSE]
    assert pair.client.calls == pair.upstream.calls == ["close"]


async def test_the_end_is_told_once() -> None:
    pair = Pair()
    for _ in range(3):
        pair.relay.end(4401, "the token has expired")
    assert [one.code for one in frames(pair.client.taken)] == [4401]
    assert [one.code for one in frames(pair.upstream.taken)] == [4401]
    pair.relay.client.received(closing(1001))
    assert len(frames(pair.upstream.taken)) == 1


# -- nothing is left over --------------------------------------------------------------------------------------------


async def _before_the_answer(made: World) -> None:
    client = Socket(made)
    await client.send(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
    client.leave()


async def _after_the_handshake(made: World) -> None:
    (await Socket(made).open()).leave()


async def _inside_a_frame(made: World) -> None:
    client = await Socket(made).open()
    await client.send(written(BINARY, b"z" * 500)[:100])
    client.leave()


async def _while_closing(made: World) -> None:
    client = await Socket(made).open()
    await client.send(closing(1000))
    client.leave()


PHASES = [_before_the_answer, _after_the_handshake, _inside_a_frame, _while_closing]


@pytest.mark.parametrize("vanishes", PHASES, ids=lambda phase: phase.__name__)
async def test_many_clients_that_vanish_leave_nothing(vanishes: Callable[[World], Awaitable[None]]) -> None:
    before = {id(each) for each in gc.get_objects() if isinstance(each, Relay)}
    async with sockets(speaks(echoes)) as made:
        for _ in range(30):
            await vanishes(made)
        made.pool.sweep()
        await eventually(lambda: not requests_running())
        gc.collect()
        assert {id(each) for each in gc.get_objects() if isinstance(each, Relay)} <= before


def _vanishing(after: int) -> Callable[[Peer], Awaitable[None]]:
    """An upstream that goes in a phase: before its answer, in it, after it, in a frame, after a Close."""

    async def script(peer: Peer) -> None:
        head = await peer.head()
        pieces = [answer(head)[:20], answer(head)[20:], written(BINARY, b"z" * 100, key=None)[:50], b"z" * 52]
        for piece in [*pieces, closing(1000, key=None)][:after]:
            await peer.send(piece)
        peer.reset()

    return script


@pytest.mark.parametrize("phase", range(6))
async def test_many_upstreams_that_vanish_leave_nothing(phase: int) -> None:
    async with sockets(_vanishing(phase)) as made:
        for _ in range(20):
            client = await Socket(made).ask(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
            assert client.status == (502 if phase < 2 else 101)
            if client.status == 101:
                await eventually(lambda seen=client: seen.wire.ended or CLOSE in [one.opcode for one in seen.frames])
            client.leave()
        await eventually(lambda: not requests_running())
        assert len(made.pool) == 0


def test_times_are_in_order() -> None:
    assert all(one < other for one, other in pairwise((CLOSE_TIME, PING_AFTER, GONE_AFTER)))
