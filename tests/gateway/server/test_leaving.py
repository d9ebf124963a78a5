"""A client that leaves while it has sent ahead, and what is left of a connection afterwards."""

import asyncio
import gc
import weakref

import pytest

from gateway.server.limits import ServerLimits
from tests.gateway.server.apps import Gate, Recorder
from tests.gateway.server.memory import MemoryConnection
from tests.gateway.server.wire import responses

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


async def test_who_sends_ahead_and_leaves_is_noticed_and_the_request_ahead_is_not_begun() -> None:
    app = Gate()
    client = MemoryConnection(app)
    await client.send(GET, GET)
    assert client.transport.reading, "nobody would notice that the client leaves"
    client.hang_up()
    app.opened.set()
    await client.settle()
    assert client.transport.lost
    assert app.entered == 1


async def test_no_more_than_a_request_is_taken_ahead() -> None:
    app = Gate()
    client = MemoryConnection(app, ServerLimits(head_bytes=1000))
    await client.send(GET, b"GET /y HTTP/1.1\r\nX-A: " + b"a" * 500)
    assert client.transport.reading
    await client.send(b"a" * 500)
    assert not client.transport.reading
    app.opened.set()
    await client.settle()
    assert [answer.status for answer in responses(client.output)] == [200, 431]


@pytest.mark.parametrize("sent", [b"", b"GET /x", GET, GET + GET, POST, b"FOO / HTTP/1.1\r\n"])
async def test_a_connection_that_has_ended_is_freed_without_the_collector(sent: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        client = MemoryConnection(Recorder())
        if sent:
            await client.send(sent)
        client.transport.abort()
        await client.settle()
        protocol, wire = weakref.ref(client.protocol), client.protocol._wire
        del client.transport.protocol  # as a transport does itself
        del client, wire
        await asyncio.sleep(0)
        assert protocol() is None
    finally:
        gc.enable()
