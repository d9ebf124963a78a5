"""A client that leaves, in every phase: the upstream's connection is given up, and nothing runs on."""

import asyncio
from datetime import timedelta

import pytest

from tests.gateway.proxy.harness import (
    OK,
    Client,
    Peer,
    Script,
    World,
    eventually,
    polite,
    request,
    tasks_of_the_proxy,
    world,
)


async def hangs(peer: Peer) -> None:
    await peer.request()
    await peer.until_gone()


def begins(data: bytes) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.until_gone()

    return script


async def gave_up(made: World, upstream_peer: Peer) -> None:
    await eventually(upstream_peer.gone.is_set)
    assert len(made.pool) == 0


async def test_before_the_head() -> None:
    async with world(hangs) as (made, upstream):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: upstream.heads)
        client.leave()
        made.later(1)
        await asked
        assert client.messages == []
        await gave_up(made, upstream.peers[0])


async def test_on_a_connection_that_was_used_before() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()
        await hangs(peer)

    async with world(script) as (made, upstream):
        await made.ask(request())
        client = request()
        asked = made.begin(client)
        await eventually(lambda: len(upstream.heads) == 2)
        assert len(tasks_of_the_proxy()) == 0  # nobody listens for its leaving yet: most requests are over before
        made.later(1)
        assert len(tasks_of_the_proxy()) == 1
        client.leave()
        await asked
        await gave_up(made, upstream.peers[0])


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
        b"HTTP/1.1 200 OK\r\n\r\nhe",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
    ],
)
async def test_in_the_body(data: bytes) -> None:
    async with world(begins(data)) as (made, upstream):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: client.body)
        client.leave()
        made.later(1)
        await asked
        assert not client.complete
        await gave_up(made, upstream.peers[0])


async def test_while_it_does_not_read() -> None:
    async with world(begins(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + bytes(1_000_000))) as (
        made,
        upstream,
    ):
        client = request()
        client.gate.clear()
        asked = made.begin(client)
        await eventually(lambda: any(connection._read_paused for connection in made.pool._connections))
        client.leave()
        made.later(1)
        await eventually(upstream.peers[0].gone.is_set)
        client.gate.set()
        await asked
        assert not client.complete


class Gone(Client):
    """Its server raises when there is nobody to send to (ASGI HTTP spec 2.4)."""

    async def send(self, message: object) -> None:  # noqa: ARG002 - the name is the interface's
        raise OSError("the client is gone")


async def test_noticed_by_sending() -> None:
    async with world(polite) as (made, _):
        await made.ask(Gone(request().scope))
    async with world(begins(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")) as (made, upstream):
        await made.ask(Gone(request().scope))
        await gave_up(made, upstream.peers[0])


@pytest.mark.parametrize(
    "framing", [("content-length", "5"), ("content-length", "99999999"), ("transfer-encoding", "chunked")]
)
async def test_before_its_body(framing: tuple[str, str]) -> None:
    async with world(hangs) as (made, upstream):
        client = request("POST", "/orders", framing)
        client.leave()
        await made.ask(client)
        assert client.messages == []
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))
        assert all(not peer.bodies for peer in upstream.peers)
        assert len(made.pool) == 0


@pytest.mark.parametrize(
    "framing", [("content-length", "5"), ("content-length", "99999999"), ("transfer-encoding", "chunked")]
)
async def test_in_its_body(framing: tuple[str, str]) -> None:
    async with world(hangs) as (made, upstream):
        client = request("POST", "/orders", framing).say(b"he", more=True)
        asked = made.begin(client)
        await eventually(lambda: upstream.heads)
        client.leave()
        await asked
        assert client.messages == []
        await gave_up(made, upstream.peers[0])
        assert upstream.peers[0].bodies == []


@pytest.mark.parametrize("framing", [("content-length", "5"), ("transfer-encoding", "chunked")])
async def test_after_its_body(framing: tuple[str, str]) -> None:
    async with world(hangs) as (made, upstream):
        client = request("POST", "/orders", framing).say(b"hello")
        asked = made.begin(client)
        await eventually(lambda: upstream.peers and upstream.peers[0].bodies)
        client.leave()
        made.later(1)
        await asked
        await gave_up(made, upstream.peers[0])


async def test_while_the_upstream_does_not_read_its_body() -> None:
    async def deaf(peer: Peer) -> None:
        await peer.head()
        await never.wait()

    never = asyncio.Event()
    async with world(deaf, read_timeout=timedelta(seconds=30)) as (made, _):
        client = request("POST", "/orders", ("content-length", str(2**30)))
        for _ in range(200):
            client.say(bytes(65536), more=True)
        asked = made.begin(client)
        await eventually(lambda: any(connection.writer.paused for connection in made.pool._connections))
        made.later(31)
        await asked
        assert client.status == 504  # the upstream's fault: it had its turn
        never.set()


async def test_a_client_that_stops_sending_is_not_the_upstream_s_fault() -> None:
    async with world(hangs) as (made, upstream):
        client = request("POST", "/orders", ("transfer-encoding", "chunked")).say(b"he", more=True)
        asked = made.begin(client)
        await eventually(lambda: upstream.heads and client.asked == 2)
        made.later(1000)
        assert not asked.done()
        client.leave()
        await asked


async def test_while_the_connection_is_being_made() -> None:
    async with world(polite) as (made, _):
        connecting = asyncio.Event()

        async def slow(*_: object) -> None:
            connecting.set()
            await asyncio.Event().wait()

        made.pool._connect_to = slow  # type: ignore[assignment,method-assign]
        client = request()
        asked = made.begin(client)
        await connecting.wait()
        client.leave()
        await asked
        assert client.messages == []
        assert made.pool._connecting == 0


@pytest.mark.parametrize("when", ["head", "body", "upload"])
async def test_a_cancelled_request_leaves_nothing(when: str) -> None:
    async with world(begins(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe") if when == "body" else hangs) as (
        made,
        upstream,
    ):
        client = request("POST", "/orders", ("transfer-encoding", "chunked")) if when == "upload" else request()
        asked = made.begin(client)
        await eventually(lambda: client.body if when == "body" else upstream.heads)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await gave_up(made, upstream.peers[0])


async def test_a_quick_exchange_never_listens_for_leaving() -> None:
    async with world(polite) as (made, _):
        await made.ask(request())
        client = request()
        await made.ask(client)
        assert client.asked == 0


async def test_a_server_whose_receive_fails_is_told_so() -> None:
    class Broken(Client):
        async def receive(self) -> dict[str, object]:
            raise RuntimeError("bug")

    async with world(hangs) as (made, _):
        with pytest.raises(RuntimeError, match="bug"):
            await made.ask(Broken(request("POST", "/orders", ("content-length", "5")).scope))


async def test_many_clients_that_leave_at_once_leave_nothing() -> None:
    async with world(hangs) as (made, upstream):
        clients = [request() for _ in range(100)]
        asked = [made.begin(client) for client in clients]
        await eventually(lambda: len(upstream.heads) == 100)
        for client in clients:
            client.leave()
        made.later(1)
        await asyncio.gather(*asked)
        assert len(made.pool) == 0
        await eventually(lambda: all(peer.gone.is_set() for peer in upstream.peers))


async def test_a_vanished_client_does_not_spoil_the_next_answer() -> None:
    async with world(hangs, polite) as (made, upstream):
        client = request()
        asked = made.begin(client)
        await eventually(lambda: upstream.heads)
        client.leave()
        made.later(1)
        await asked
        assert (await made.ask(request())).body == OK[-2:]
