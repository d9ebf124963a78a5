"""A client that is slow, silent or half gone ends by the clock; one that is served does not."""

from gateway.server.asgi import Receive, Scope, Send
from tests.gateway.server.apps import Gate, Recorder, body, reply, sending, start
from tests.gateway.server.memory import MemoryConnection
from tests.gateway.server.wire import responses

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"


async def test_a_silent_connection_is_closed_after_10_seconds_without_a_word() -> None:
    client = MemoryConnection(Recorder())
    await client.after(9.9)
    assert not client.ended
    await client.after(0.2)
    assert client.transport.lost
    assert client.output == b""


async def test_a_head_that_does_not_end_is_answered_408_after_10_seconds() -> None:
    client = MemoryConnection(Recorder())
    await client.after(5)
    await client.send(GET[:20])
    await client.after(9.9)
    assert not client.ended
    await client.after(0.2)
    answer = responses(client.output)[0]
    assert (answer.status, answer.code, answer.header("connection")) == (408, "request_timeout", "close")
    assert client.ended


async def test_a_head_that_trickles_wins_no_time() -> None:
    client = MemoryConnection(Recorder())
    for byte in GET[:11]:
        await client.send(bytes([byte]))
        await client.after(1)
    assert responses(client.output)[0].status == 408


async def test_the_head_of_a_later_request_has_10_seconds_from_its_first_byte() -> None:
    client = MemoryConnection(Recorder())
    await client.send(GET)
    await client.after(50)
    await client.send(GET[:5])
    await client.after(9.9)
    assert not client.ended
    await client.after(0.2)
    assert [answer.status for answer in responses(client.output)] == [200, 408]


async def test_an_idle_connection_is_closed_after_60_seconds_without_a_word() -> None:
    client = MemoryConnection(Recorder())
    await client.send(GET)
    await client.after(59.9)
    assert not client.ended
    await client.after(0.2)
    assert client.transport.lost
    assert len(responses(client.output)) == 1


async def test_a_body_that_stops_is_answered_408_and_the_application_is_told() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(POST, b"abc")
    await client.after(9.9)
    assert not client.ended
    await client.after(0.2)
    assert responses(client.output)[0].code == "request_timeout"
    assert app.requests[0].disconnected
    assert not app.requests[0].complete


async def test_a_body_that_goes_on_may_take_its_time() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(POST)
    for _ in range(6):
        await client.after(9)
        await client.send(b"a")
    assert [answer.status for answer in responses(client.output)] == [200]
    assert app.requests[0].body == b"aaaaaa"


async def test_a_body_that_stops_while_the_response_runs_cuts_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"begun", more=True))
        while (await receive())["type"] != "http.disconnect":
            pass

    client = MemoryConnection(app)
    await client.send(POST, b"abc")
    await client.after(10.1)
    assert client.transport.aborted
    answer = responses(client.output)[0]
    assert (answer.status, answer.whole) == (200, False)
    assert not client.state.tasks


async def test_a_body_that_was_never_read_and_stops_ends_the_connection() -> None:
    client = MemoryConnection(sending(start(), body(b"done")))
    await client.send(POST, b"abc")
    await client.after(10.1)
    assert client.transport.lost
    assert [answer.status for answer in responses(client.output)] == [200]


async def test_a_slow_application_has_all_the_time_that_it_wants() -> None:
    app = Gate()
    client = MemoryConnection(app)
    await client.send(GET)
    await client.after(3600)
    assert not client.ended
    app.opened.set()
    await client.settle()
    assert responses(client.output)[0].status == 200
    await client.after(59)
    assert not client.ended


async def test_no_time_runs_while_we_are_the_ones_who_do_not_read() -> None:
    app = Gate()
    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n", b"a" * 70_000)
    assert not client.transport.reading
    await client.after(3600)
    assert not client.ended


async def test_no_time_runs_while_the_client_waits_for_our_100() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await receive()
        await reply(send, b"")

    gate = Gate().opened
    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    await client.after(3600)
    assert client.output == b""
    gate.set()
    await client.settle()
    assert client.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.after(10.1)
    assert [answer.status for answer in responses(client.output)] == [100, 408]


async def test_a_client_that_takes_nothing_for_60_seconds_is_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        while True:
            await send(body(b"a" * 10_000, more=True))

    client = MemoryConnection(app)
    client.transport.stalled = True
    await client.send(GET)
    await client.after(59)
    assert not client.ended
    client.transport.take(100)
    await client.after(2)
    assert not client.ended
    await client.after(61)
    assert client.transport.aborted
    assert not client.state.tasks


async def test_a_refused_client_that_goes_on_sending_is_cut_off_after_5_seconds() -> None:
    client = MemoryConnection(Recorder())
    await client.send(b"FOO / HTTP/1.1\r\n", b"a" * 100_000)
    assert client.transport.eof_written
    assert not client.transport.lost
    await client.after(5.1)
    assert client.transport.lost


async def test_a_last_answer_that_is_not_taken_does_not_hold_the_connection_for_ever() -> None:
    client = MemoryConnection(sending(start(), body(b"a" * 50_000)))
    client.transport.stalled = True
    await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    client.transport.take(1000)
    await client.after(5.1)
    assert not client.transport.lost
    await client.after(5.1)
    assert client.transport.lost


async def test_the_sweeper_looks_by_itself() -> None:
    client = MemoryConnection(Recorder())
    client.clock.now += 11
    client.factory.sweeper._tick(client.protocol._loop)
    await client.settle()
    assert client.transport.lost
