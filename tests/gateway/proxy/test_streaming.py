"""Bodies stream both ways, at the pace of the slower side, and are framed as they must be."""

import asyncio
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from tests.gateway.proxy.harness import OK, Client, Peer, Script, eventually, polite, request, world

MIB = 1024 * 1024
PIECE = bytes(64 * 1024)


def answers(data: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.until_gone()

    return script


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\nX-Yett-Tenant: x\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2  \r\n\r\nno", b"no"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
async def test_a_whole_answer(data: bytes, body: bytes) -> None:
    async with world(answers(data)) as (made, _):
        client = await made.ask(request())
        assert client.complete
        assert client.body == body
        assert "link" not in client.headers
        assert not any(name.startswith("x-t") for name in client.headers)


@pytest.mark.parametrize("cut", [1, 3, 7])
async def test_an_answer_in_small_pieces_is_the_same(cut: int) -> None:
    data = (
        b"HTTP/1.1 200 OK\r\nX-Long-Name: value\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )

    async def script(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(data), cut):
            await peer.send(data[at : at + cut])
            await asyncio.sleep(0)

    async with world(script) as (made, _):
        client = await made.ask(request())
        assert client.body == b"abcde"
        assert client.headers["x-long-name"] == "value"


async def test_a_body_that_ends_with_the_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await eventually(lambda: client.body)
        await peer.send(b"lo")

    client = request()
    async with world(script) as (made, _):
        assert (await made.ask(client)).body == b"hello"
        assert client.complete
        assert len(made.pool) == 0


@pytest.mark.parametrize(
    ("data", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1),
    ],
)
async def test_head_has_no_body_and_a_late_one_finds_no_other_client(data: bytes, connections: int) -> None:
    """A server that sends the body all the same, a moment later, must not have it taken for the next answer."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await (polite(peer) if connections == 1 else peer.until_gone())

    async with world(script, polite) as (made, upstream):
        client = await made.ask(request("HEAD"))
        assert (client.status, client.body, client.complete) == (200, b"", True)
        assert ("content-length" in client.headers) == (b"Content-Length" in data)
        assert (await made.ask(request())).body == b"ok"
        assert len(upstream.peers) == connections


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_204_and_304_have_no_body_whatever_their_length_says(data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await (peer.until_gone() if announced else polite(peer))

    announced = b"Content-Length: 5" in data
    async with world(script, polite) as (made, upstream):
        client = await made.ask(request())
        assert (client.body, client.complete) == (b"", True)
        assert "content-length" not in client.headers
        assert (await made.ask(request())).body == b"ok"
        assert len(upstream.peers) == (2 if announced else 1)


async def test_a_connection_serves_one_request_after_another() -> None:
    async with world(polite) as (made, upstream):
        for method in ("GET", "POST", "GET", "DELETE"):
            assert (await made.ask(request(method, "/orders/7"))).status == 200
        assert len(upstream.peers) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_is_to_be_closed_is(data: bytes) -> None:
    async with world(answers(data)) as (made, _):
        await made.ask(request())
        assert len(made.pool) == 0


async def test_the_last_used_connection_is_used_first_and_silent_ones_are_closed() -> None:
    async with world(polite) as (made, upstream):
        await asyncio.gather(*(made.ask(request()) for _ in range(3)))
        assert len(made.pool) == 3
        made.later(3)
        await made.ask(request())
        made.later(2)
        assert len(made.pool) == 1
        await made.ask(request())
        assert len(upstream.peers) == 3


async def test_as_many_wait_as_there_may_be() -> None:
    async with world(polite, max_connections=5) as (made, _):
        for _ in range(2):
            asked = await asyncio.gather(*(made.ask(request()) for _ in range(5)))
            assert [client.status for client in asked] == [200] * 5
            assert len(made.pool) == 5


async def test_a_closed_pool_lets_what_runs_end_and_keeps_nothing() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await go.wait()
        await peer.send(OK)
        await peer.until_gone()

    async with world(script) as (made, upstream):
        asked = made.begin(request())
        await eventually(lambda: upstream.heads)
        made.pool.close()
        go.set()
        assert (await asked).body == b"ok"
        assert len(made.pool) == 0


async def test_the_head_does_not_wait_for_the_body() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        await go.wait()
        await peer.send(b"data: 1\n\n")

    async with world(script) as (made, _):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: len(client.messages) >= 2)
        assert client.messages[1] == {"type": "http.response.body", "body": b"", "more_body": True}
        go.set()
        assert (await asked).body == b"data: 1\n\n"


async def test_events_go_out_as_they_come() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(1, 4):
            await peer.send(b"1\r\n%d\r\n" % number)
            await eventually(partial(has, client, number))
        await peer.send(b"0\r\n\r\n")

    client = request()
    async with world(script) as (made, _):
        assert (await made.ask(client)).body == b"123"


def has(client: Client, count: int) -> bool:
    return len(client.body) == count


def upload(*pieces: bytes, method: str = "POST", length: int | None = None) -> Client:
    framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
    client = request(method, "/orders", framing)
    for at, piece in enumerate(pieces):
        client.say(piece, more=at + 1 < len(pieces))
    return client


@pytest.mark.parametrize(
    "build",
    [
        partial(upload, b"hello", length=5),
        partial(upload, b"he", b"", b"llo", length=5),
        partial(upload, b"he", b"llo"),
        partial(upload, b"hello", b""),
        partial(upload, b"h", b"e", b"l", b"lo", length=5),
    ],
)
async def test_a_body_arrives_whole(build: Callable[[], Client]) -> None:
    client = build()
    async with world(polite) as (made, upstream):
        assert (await made.ask(client)).status == 200
        assert upstream.peers[0].bodies == [b"hello"]
        assert (await made.ask(request())).status == 200
        assert len(upstream.peers) == 1


@pytest.mark.parametrize(("length", "body"), [(0, []), (None, [b""])])
async def test_an_empty_body_is_framed_as_it_came(length: int | None, body: list[bytes]) -> None:
    client = upload(b"", length=length)
    async with world(polite) as (made, upstream):
        assert (await made.ask(client)).status == 200
        assert [one for one in upstream.peers[0].bodies if one or body] == body


@pytest.mark.parametrize(
    "build",
    [
        partial(upload, b"hello!", length=5),
        partial(upload, b"hell", length=5),
        partial(upload, b"he", b"llo!", length=5),
        partial(upload, b"he", b"l", length=5),
    ],
)
async def test_a_body_that_is_not_as_long_as_it_says_is_never_a_whole_request(build: Callable[[], Client]) -> None:
    client = build()
    async with world(polite) as (made, upstream):
        await made.ask(client)
        assert client.status is None
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))
        assert all(not peer.bodies for peer in upstream.peers)


async def test_a_small_body_that_is_at_hand_needs_no_task() -> None:
    async with world(polite) as (made, _):
        await made.ask(request())
        before = len(asyncio.all_tasks())
        client = upload(b"hello", length=5)
        asked = made.begin(client)
        await eventually(lambda: client.asked)
        assert len(asyncio.all_tasks()) == before + 1
        await asked


async def test_the_upstream_sees_the_body_while_it_comes() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        while len(seen) < 2:
            seen.append(await peer.reader.readuntil(b"\r\n") + await peer.reader.readuntil(b"\r\n"))
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.send(OK)

    async with world(script) as (made, _):
        client = request("POST", "/orders", ("transfer-encoding", "chunked"))
        asked = made.begin(client)
        client.say(b"one", more=True)
        await eventually(lambda: len(seen) == 1)
        client.say(b"two", more=True)
        await eventually(lambda: len(seen) == 2)
        client.say()
        assert (await asked).status == 200
        assert seen == [b"3\r\none\r\n", b"3\r\ntwo\r\n"]


async def test_an_answer_may_begin_before_the_body_has_ended_and_both_go_on() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            line = await peer.reader.readuntil(b"\r\n")
            piece = await peer.reader.readexactly(int(line, 16) + 2)
            await peer.send(line + piece)
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.send(b"0\r\n\r\n")

    async with world(script) as (made, _):
        client = request("POST", "/orders", ("transfer-encoding", "chunked"))
        asked = made.begin(client)
        for number, piece in enumerate((b"a", b"b", b"c"), 1):
            client.say(piece, more=True)
            await eventually(partial(has, client, number))
        client.say()
        assert (await asked).body == b"abc"
        assert client.complete


@pytest.mark.parametrize("closes", [False, True])
async def test_an_answer_may_end_before_the_body_has(closes: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        if not closes:
            await peer.until_gone()

    async with world(script) as (made, upstream):
        client = request("POST", "/orders", ("content-length", str(10 * MIB)))
        client.say(PIECE, more=True)
        assert (await made.ask(client)).status == 413
        assert client.body == b"no"
        assert client.complete
        await eventually(upstream.peers[0].gone.is_set)
        assert len(made.pool) == 0  # what is left of the body must not be taken for a request


async def test_the_client_is_not_asked_for_more_while_the_upstream_is_behind() -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await go.wait()
        await peer.reader.readexactly(64 * MIB)
        await peer.send(OK)

    async with world(script) as (made, _):
        client = request("POST", "/orders", ("content-length", str(64 * MIB)))
        for number in range(1024):
            client.say(PIECE, more=number < 1023)
        asked = made.begin(client)
        await settled(lambda: client.asked)
        assert client.asked < 300  # socket buffers take some of 1024
        go.set()
        assert (await asked).status == 200


async def test_the_upstream_is_not_read_while_the_client_is_behind() -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(1024):
            await peer.send(PIECE)
            sent += len(PIECE)

    async with world(script) as (made, _):
        client = request()
        client.gate.clear()
        asked = made.begin(client)
        await settled(lambda: sent)
        assert sent < 24 * MIB
        client.gate.set()
        assert len((await asked).body) == 64 * MIB


async def settled(measure: object) -> None:
    """Until it has not moved for a good many turns of the loop."""
    assert callable(measure)
    still, last = 0, measure()
    while still < 300:
        await asyncio.sleep(0)
        now = measure()
        still, last = (still + 1, last) if now == last else (0, now)


class Discards(Client):
    """Counts what it is sent."""

    received = 0

    async def send(self, message: object) -> None:
        assert isinstance(message, dict)
        self.received += len(message.get("body", b""))
        if message["type"] == "http.response.start":
            self.messages.append(message)


class Endless(Client):
    """Sends the same piece again and again."""

    left = 0

    async def receive(self) -> dict[str, object]:
        if not self.left:
            return await super().receive()
        self.left -= 1
        return {"type": "http.request", "body": PIECE, "more_body": self.left > 0}


SIZE = 1024 * MIB


async def test_a_large_download_is_held_nowhere() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // len(PIECE)):
            await peer.send(PIECE)

    async with world(script) as (made, _):
        client = Discards(request().scope)
        before = psutil.Process().memory_info().rss
        await made.ask(client)
        assert client.received == SIZE
        assert psutil.Process().memory_info().rss - before < 16 * MIB


@pytest.mark.parametrize("framing", [("content-length", str(SIZE)), ("transfer-encoding", "chunked")])
async def test_a_large_upload_is_held_nowhere(framing: tuple[str, str]) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        count, tail = 0, b""
        while count < SIZE or (framing[1] == "chunked" and tail != b"0\r\n\r\n"):
            data = await peer.reader.read(MIB)
            count, tail = count + len(data), (tail + data)[-5:]
        await peer.send(OK)

    async with world(script) as (made, _):
        client = Endless(request("POST", "/orders", framing).scope)
        client.left = SIZE // len(PIECE)
        before = psutil.Process().memory_info().rss
        await made.ask(client)
        assert client.status == 200
        assert psutil.Process().memory_info().rss - before < 16 * MIB
