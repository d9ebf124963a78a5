"""An upstream that does not do its part, in every phase: what the client is told, and that nothing stays behind."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from gateway.proxy.plane import AnswerBroken
from gateway.proxy.request_writer import RequestWriter
from gateway.server.response import response_head
from tests.gateway.proxy.harness import OK, Client, Peer, Script, World, eventually, polite, request, world

LENGTH_5 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def says(data: bytes, *, then_close: bool = False) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        if not then_close:
            await peer.until_gone()

    return script


def problem_of(client: Client) -> tuple[int | None, str]:
    assert client.complete
    return client.status, client.problem["code"]


NONSENSE = {
    "not http": b"hello\r\n\r\n",
    "http/0.9": b"<html>",
    "http/2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "http/1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "icy": b"ICY 200 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 000": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bare lf in a header": b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
    "bare cr in a header": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
    "nul in a header": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok",
    "folded header": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "space before colon": b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok",
    "no colon": b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 2\r\n\r\nok",
    "empty name": b"HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "two same lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "length with sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length in hex": b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
    "empty length": b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok",
    "length of 23 digits": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "gzip coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
    "coding twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked then gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "xchunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "upgrade nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "101 without upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "big header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 12_000 + b"Content-Length: 2\r\n\r\nok",
    "long name": b"HTTP/1.1 200 OK\r\n" + b"x" * 257 + b": a\r\nContent-Length: 2\r\n\r\nok",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
    "endless informational": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 4000,
    "longer than it says": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay",
    "two answers": OK + OK,
    "garbage behind": OK + b"\x00\x00\x00\x00garbage",
    "garbage behind a close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokGARBAGE",
    "body with 204": b"HTTP/1.1 204 No Content\r\n\r\nbody",
    "body with 304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
async def test_what_cannot_be_understood_is_502_and_the_connection_is_dropped(data: bytes) -> None:
    async with world(says(data)) as (made, upstream):
        client = await made.ask(request())
        assert problem_of(client) == (502, "upstream_malformed")
        assert b"okay" not in client.body
        await eventually(upstream.peers[0].gone.is_set)
        assert len(made.pool) == 0


async def test_a_name_may_be_as_long_as_our_own_server_sends() -> None:
    name = "x" * 256
    async with world(says(f"HTTP/1.1 200 OK\r\n{name}: a\r\nContent-Length: 2\r\n\r\nok".encode())) as (made, _):
        client = await made.ask(request())
        assert (client.status, client.headers[name]) == (200, "a")
        response_head(200, client.messages[0]["headers"], "GET")  # which would raise


async def test_a_body_for_head_is_nonsense() -> None:
    async with world(says(LENGTH_5 + b"hello")) as (made, _):
        client = await made.ask(request("HEAD"))
        assert client.status == 502


BROKEN_CHUNKS = {
    "no crlf behind": b"3\r\nabcXX0\r\n\r\n",
    "size in 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size of 17 digits": b"fffffffffffffffff\r\nabc",
    "negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "bare lf": b"3\nabc\n0\n\n",
    "no size": b"\r\nabc\r\n",
}


@pytest.mark.parametrize("data", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
@pytest.mark.parametrize("apart", [False, True])
async def test_broken_chunks_never_end_cleanly(data: bytes, apart: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"1\r\nx\r\n" if apart else CHUNKED + data)
        if apart:
            await eventually(lambda: client.body)
            await peer.send(data)
        await peer.until_gone()

    client = request()
    async with world(script) as (made, _):
        if apart:
            with pytest.raises(AnswerBroken):
                await made.ask(client)
            assert not client.complete
        else:
            assert (await made.ask(client)).status == 502


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"H",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_an_end_before_the_head_is_502(begun: bytes, reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begun)
        if reset:
            peer.reset()

    async with world(script) as (made, upstream):
        assert problem_of(await made.ask(request())) == (502, "upstream_malformed")
        assert len(upstream.peers) == 1  # a fresh connection is not tried again


@pytest.mark.parametrize(
    "begun", [LENGTH_5 + b"hel", LENGTH_5, CHUNKED, CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"3\r\na"]
)
@pytest.mark.parametrize("reset", [False, True])
async def test_an_end_in_the_body_breaks_the_client_off(begun: bytes, reset: bool) -> None:
    client = request()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(begun)
        await eventually(lambda: len(client.messages) > 1)
        if reset:
            peer.reset()

    async with world(script) as (made, _):
        with pytest.raises(AnswerBroken):
            await made.ask(client)
        assert client.status == 200
        assert not client.complete


async def test_a_reset_is_no_end_of_a_body_that_ends_with_the_connection() -> None:
    client = request()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await eventually(lambda: client.body)
        peer.reset()

    async with world(script) as (made, _):
        with pytest.raises(AnswerBroken):
            await made.ask(client)


@asynccontextmanager
async def closed_port() -> AsyncIterator[int]:
    """A port that refuses: bound, not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_a_refused_connection_is_502() -> None:
    async with closed_port() as port:
        made = World(port)
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert str(port).encode() not in (await made.ask(request())).body


async def test_a_name_that_does_not_resolve_is_502() -> None:
    async def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    made = World(targets=("http://nobody.invalid",), resolve=nobody)
    assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")


async def test_a_target_that_does_not_answer_the_handshake_is_502() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(("127.0.0.1", port))
            made = World(port, connect_timeout=timedelta(milliseconds=50))
            assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")


async def test_another_target_is_tried_when_one_refuses() -> None:
    async with closed_port() as port, world(polite) as (_, upstream):
        made = World(port, upstream.port)
        for _ in range(4):
            assert (await made.ask(request("POST", "/orders"))).status == 200
        made.pool.close()


async def test_targets_take_turns() -> None:
    async with world(polite) as (_, one), world(polite) as (_, other):
        made = World(one.port, other.port)
        for _ in range(6):
            await made.ask(request())
        assert (len(one.heads), len(other.heads)) == (3, 3)
        made.pool.close()


async def hangs(peer: Peer) -> None:
    await peer.request()
    await peer.until_gone()


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_silence_before_the_head_is_504(begun: bytes) -> None:
    async with world(says(begun), read_timeout=timedelta(seconds=30)) as (made, upstream):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: upstream.heads)
        if begun:
            await eventually(lambda: any(connection._received for connection in made.pool._connections))
        made.later(29)
        assert not asked.done()
        made.later(2)
        assert problem_of(await asked) == (504, "upstream_timeout")
        await eventually(upstream.peers[0].gone.is_set)


async def test_silence_in_the_body_breaks_the_client_off() -> None:
    async with world(says(LENGTH_5 + b"he")) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.body)
        made.later(31)
        with pytest.raises(AnswerBroken):
            await asked


def has(client: Client, count: int) -> bool:
    return bool(client.messages) and len(client.body) == count


async def test_every_byte_begins_the_read_timeout_anew() -> None:
    go = [asyncio.Event() for _ in b"hello"]

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(LENGTH_5)
        for event, letter in zip(go, b"hello", strict=True):
            await event.wait()
            await peer.send(bytes((letter,)))

    async with world(script) as (made, _):
        client = request()
        asked = made.begin(client)
        for number, event in enumerate(go):
            await eventually(partial(has, client, number))
            made.later(20)
            event.set()
        assert (await asked).body == b"hello"


async def test_the_total_timeout_holds_though_bytes_come() -> None:
    async with world(says(LENGTH_5 + b"he"), total_timeout=timedelta(seconds=10)) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.body)
        made.later(11)
        with pytest.raises(AnswerBroken):
            await asked


async def test_the_client_s_slowness_is_not_the_upstream_s() -> None:
    async with world(says(LENGTH_5 + b"hello")) as (made, _):
        client = request()
        client.gate.clear()
        asked = made.begin(client)
        await eventually(lambda: made.pool._connections and not any(one.busy for one in made.pool._connections))
        made.later(1000)
        client.gate.set()
        assert (await asked).body == b"hello"


async def test_as_many_connections_as_there_may_be_is_503() -> None:
    async with world(hangs, max_connections=2) as (made, upstream):
        clients = [request() for _ in range(2)]
        asked = [made.begin(client) for client in clients]
        await eventually(lambda: len(upstream.heads) == 2)
        third = await made.ask(request())
        assert problem_of(third) == (503, "upstream_busy")
        assert third.headers["retry-after"] == "1"
        made.later(31)
        await asyncio.gather(*asked)
        assert {client.status for client in clients} == {504}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_connection_that_was_closed_while_idle_is_not_used(method: str) -> None:
    async def once(peer: Peer) -> None:
        await peer.answer()

    async with world(once, polite) as (made, upstream):
        await made.ask(request())
        await eventually(lambda: len(made.pool) == 0)
        assert (await made.ask(request(method, "/orders/7"))).status == 200
        assert len(upstream.peers) == 2


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_a_stale_connection_is_replaced_once_for_what_may_be_repeated(method: str, reset: bool) -> None:
    async def stale(peer: Peer) -> None:
        await peer.answer()
        await peer.head()
        if reset:
            peer.reset()

    async with world(stale, polite) as (made, upstream):
        await made.ask(request())
        assert (await made.ask(request(method, "/orders/7"))).status == 200
        assert [len(peer.heads) for peer in upstream.peers] == [2, 1]


async def test_a_stale_connection_is_replaced_by_a_fresh_one_and_only_once() -> None:
    async def stale(peer: Peer) -> None:
        await peer.answer()
        await peer.head()

    async def refuses(peer: Peer) -> None:
        await peer.head()

    async with world(stale, stale, refuses) as (made, upstream):
        first, second = request(), request()
        await asyncio.gather(made.ask(first), made.ask(second))  # two idle connections, both about to be stale
        assert problem_of(await made.ask(request())) == (502, "upstream_malformed")
        assert len(upstream.peers) == 3


async def test_what_may_not_be_repeated_is_not() -> None:
    async def stale(peer: Peer) -> None:
        await peer.answer()
        await peer.head()

    async with world(stale, polite) as (made, upstream):
        await made.ask(request())
        assert problem_of(await made.ask(request("POST", "/orders"))) == (502, "upstream_malformed")
        assert len(upstream.peers) == 1


async def test_a_request_of_which_no_byte_left_goes_to_another_connection() -> None:
    async with world(polite) as (made, upstream):
        await made.ask(request())
        (kept,) = made.pool.endpoints.all[0].idle
        batch = kept.writer._batch

        class EndsFirst:
            """The end is read in the turn in which the connection is handed out, before that turn is over."""

            def add(self, pending: RequestWriter, loop: asyncio.AbstractEventLoop) -> None:
                if pending is kept.writer:
                    loop.call_soon(kept.eof_received)
                batch.add(pending, loop)

        kept.writer._batch = EndsFirst()  # type: ignore[assignment]
        assert (await made.ask(request("POST", "/orders"))).status == 200
        assert [len(peer.heads) for peer in upstream.peers] == [1, 1]
        assert made.pool.endpoints.all[0].faults == 0


async def test_what_was_answered_in_part_is_not_repeated() -> None:
    async def stale(peer: Peer) -> None:
        await peer.answer()
        await peer.head()
        await peer.send(b"H")

    async with world(stale, polite) as (made, upstream):
        await made.ask(request())
        assert (await made.ask(request())).status == 502
        assert len(upstream.peers) == 1


async def test_bytes_that_nobody_asked_for_are_never_an_answer() -> None:
    poisoned = asyncio.Event()

    async def poisons(peer: Peer) -> None:
        await peer.answer()
        await poisoned.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await peer.until_gone()

    async with world(poisons, polite) as (made, upstream):
        assert (await made.ask(request())).body == b"ok"
        poisoned.set()
        await eventually(lambda: len(made.pool) == 0)
        assert (await made.ask(request())).body == b"ok"
        assert len(upstream.peers) == 2


async def test_after_a_fault_the_next_request_has_another_connection() -> None:
    async with world(says(b"nonsense\r\n\r\n"), polite) as (made, _):
        assert (await made.ask(request())).status == 502
        assert (await made.ask(request())).status == 200
