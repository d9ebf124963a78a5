"""A request leaves at the end of its turn of the event loop; an answer from before that is none."""

import asyncio

from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.upstream import ClientGone
from tests.gateway.proxy.harness import Client, World, polite, request, world

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"
STALE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale"


async def begun(made: World, client: Client) -> "tuple[asyncio.Task[Client], UpstreamConnection]":
    """A request that was given to a connection from before, and has not left."""
    await made.ask(request())
    (connection,) = made.pool._connections
    asked = made.begin(client)
    await asyncio.sleep(0)
    assert connection.busy
    assert connection.writer.waits
    return asked, connection


async def test_bytes_from_before_the_request_was_sent_are_not_its_answer() -> None:
    for said in (TIMED_OUT, STALE):
        async with world(polite, polite) as (made, upstream):
            client = request()
            asked, connection = await begun(made, client)
            connection.data_received(said)
            await asked
            assert (client.status, client.body) == (200, b"ok")
            assert connection.closed
            assert [len(peer.heads) for peer in upstream.peers] == [1, 1]  # the second went over a new connection


async def test_a_request_of_which_nothing_left_is_sent_once_whatever_its_method() -> None:
    async with world(polite, polite) as (made, upstream):
        client = request("POST", "/orders", ("content-length", "2")).say(b"{}")
        asked, connection = await begun(made, client)
        connection.data_received(STALE)
        await asked
        assert (client.status, client.body) == (200, b"ok")
        assert sum(head.startswith(b"POST") for head in upstream.heads) == 1
        assert [body for peer in upstream.peers for body in peer.bodies] == [b"{}"]


async def test_a_connection_lost_before_the_request_was_sent_is_replaced() -> None:
    async with world(polite, polite) as (made, upstream):
        client = request()
        asked, connection = await begun(made, client)
        connection.connection_lost(ConnectionResetError())
        await asked
        assert client.status == 200
        assert [len(peer.heads) for peer in upstream.peers] == [1, 1]


async def test_a_client_that_left_before_the_request_was_sent_sends_none() -> None:
    async with world(polite) as (made, upstream):
        client = request()
        asked, connection = await begun(made, client)
        connection.fail(ClientGone())
        await asked
        assert client.status is None
        assert len(upstream.heads) == 1
