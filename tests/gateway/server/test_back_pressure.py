"""Neither a slow reader nor a slow application makes memory grow."""

import pytest

from gateway.server.asgi import ClientDisconnect, Receive, Scope, Send
from gateway.server.limits import ServerLimits
from tests.gateway.server.apps import Gate, Recorder, body, reply, sending, start
from tests.gateway.server.memory import MemoryConnection
from tests.gateway.server.wire import responses

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_send_waits_while_the_client_takes_nothing() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(start())
        for _ in range(100):
            await send(body(b"a" * 10_000, more=True))
            sent += 1
        await send(body())

    client = MemoryConnection(app)
    client.transport.stalled = True
    await client.send(GET)
    assert sent == 6
    while not client.output.endswith(b"0\r\n\r\n"):
        assert len(client.transport.unwritten) < 80_000
        client.transport.take(5_000)
        await client.settle()
    assert len(responses(client.output)[0].body) == 1_000_000


async def test_reading_pauses_over_64_kib_of_unread_body_and_goes_on_when_it_is_taken() -> None:
    gate = Gate().opened
    pieces = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        more = True
        while more:
            message = await receive()
            pieces.append(len(message["body"]))
            more = message["more_body"]
        await reply(send, b"")

    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"a" * 60_000)
    assert client.transport.reading
    await client.send(b"a" * 10_000)
    assert not client.transport.reading
    gate.set()
    await client.settle()
    assert client.transport.reading
    assert pieces == [70_000]
    await client.send(b"a" * 30_000)
    assert pieces == [70_000, 30_000]
    assert responses(client.output)[0].status == 200


async def test_what_comes_behind_an_open_request_is_held_and_reading_pauses_over_a_request_of_it() -> None:
    app = Gate()
    client = MemoryConnection(app, ServerLimits(head_bytes=len(GET)))
    await client.send(GET + GET[:10])
    assert client.transport.reading
    await client.send(GET[10:] + GET[:1])
    assert not client.transport.reading
    assert app.entered == 1
    app.opened.set()
    await client.settle()
    assert client.transport.reading
    await client.send(GET[1:])
    assert len(responses(client.output)) == 3


async def test_a_pipelined_request_starts_when_the_one_before_is_answered() -> None:
    app = Gate()
    client = MemoryConnection(app)
    await client.send(GET * 3)
    assert app.entered == 1
    app.opened.set()
    await client.settle()
    assert app.entered == 3
    assert [answer.body for answer in responses(client.output)] == [b"/x"] * 3


async def test_answers_to_pipelined_requests_wait_for_a_reader() -> None:
    client = MemoryConnection(sending(start(), body(b"a" * 70_000)))
    client.transport.stalled = True
    await client.send(GET * 10)
    assert len(client.transport.unwritten) < 71_000


async def test_a_small_rest_of_an_unread_body_is_drained_and_the_connection_goes_on() -> None:
    client = MemoryConnection(sending(start(), body(b"no")))
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n", b"a" * 1000)
    await client.send(b"a" * 30_000, b"a" * 29_000 + GET)
    assert [answer.status for answer in responses(client.output)] == [200, 200]
    assert not client.ended


async def test_a_large_rest_of_an_unread_body_ends_the_connection() -> None:
    client = MemoryConnection(sending(start(), body(b"no")))
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", b"a" * 1000)
    assert client.transport.eof_written
    assert responses(client.output)[0].whole


async def test_chunks_are_drained_up_to_the_same_bound() -> None:
    client = MemoryConnection(sending(start(), body(b"no")))
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.send(b"ea60\r\n" + b"a" * 60_000 + b"\r\n")
    assert not client.ended
    await client.send(b"ea60\r\n" + b"a" * 60_000 + b"\r\n")
    assert client.ended


async def test_garbage_in_a_body_that_nobody_reads_ends_the_connection_without_a_second_answer() -> None:
    client = MemoryConnection(sending(start(), body(b"no")))
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n")
    await client.send(b"xyz\r\n")
    assert [answer.status for answer in responses(client.output)] == [200]
    assert client.ended


async def test_the_application_hears_that_the_client_has_gone() -> None:
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        heard.append(await receive())
        with pytest.raises(ClientDisconnect):
            await send(start())

    client = MemoryConnection(app)
    await client.send(GET)
    client.hang_up()
    await client.settle()
    assert heard == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]
    assert not client.state.tasks
    assert not client.state.connections


async def test_an_application_that_waits_in_send_is_woken_when_the_client_goes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        while True:
            await send(body(b"a" * 10_000, more=True))

    client = MemoryConnection(app)
    client.transport.stalled = True
    await client.send(GET)
    assert client.state.tasks
    client.transport.abort()
    await client.settle()
    assert not client.state.tasks


async def test_receive_after_the_response_says_disconnect() -> None:
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await reply(send, b"x")
        heard.append(await receive())

    client = MemoryConnection(app)
    await client.send(GET)
    assert heard == [{"type": "http.disconnect"}]


async def test_a_request_that_was_not_whole_is_not_taken_for_whole_when_the_client_goes() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    client.hang_up()
    await client.settle()
    assert app.requests[0].disconnected
    assert not app.complete
    assert client.output == b""
