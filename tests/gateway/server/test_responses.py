"""What the application sends becomes one well framed response, or none."""

import pytest
from structlog.testing import capture_logs

from gateway.server.asgi import Message, Receive, Scope, Send
from gateway.server.cycle import ABORT
from gateway.server.upgraded import UPGRADE, switching
from tests.gateway.server.apps import Gate, Recorder, body, reply, sending, start
from tests.gateway.server.memory import MemoryConnection
from tests.gateway.server.wire import responses

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
GET10 = b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n"
HEAD = b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"
EXPECT = b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"


async def test_head_and_body_leave_in_one_write() -> None:
    client = MemoryConnection(sending(start(200, (b"content-length", b"2")), body(b"ok")))
    await client.send(GET)
    assert len(client.transport.writes) == 1
    answer = responses(client.output)[0]
    assert (answer.status, answer.header("content-length"), answer.body) == (200, "2", b"ok")
    assert answer.header("connection") is None


async def test_nothing_is_written_before_the_first_piece_of_body() -> None:
    gate = Gate()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await gate.opened.wait()
        await send(body(b"ok"))

    client = MemoryConnection(app)
    await client.send(GET)
    assert client.output == b""
    gate.opened.set()
    await client.settle()
    assert responses(client.output)[0].body == b"ok"


async def test_a_response_whose_length_is_known_says_it() -> None:
    client = MemoryConnection(sending(start(), body(b"ok")))
    await client.send(GET)
    assert responses(client.output)[0].header("content-length") == "2"


async def test_a_response_without_length_is_chunked() -> None:
    client = MemoryConnection(sending(start(), body(b"abc", more=True), body(b"", more=True), body(b"de")))
    await client.send(GET + GET)
    first, second = responses(client.output)
    assert first.header("transfer-encoding") == "chunked"
    assert (first.body, first.whole, second.body) == (b"abcde", True, b"abcde")


async def test_http10_gets_no_chunks_but_the_end_of_the_connection() -> None:
    client = MemoryConnection(sending(start(), body(b"abc", more=True), body(b"de")))
    await client.send(GET10)
    answer = responses(client.output)[0]
    assert (answer.header("connection"), answer.header("transfer-encoding"), answer.body) == ("close", None, b"abcde")
    assert client.transport.lost


@pytest.mark.parametrize("messages", [[body(b"abc")], [body(b"abc", more=True), body(b"")]])
async def test_head_has_the_fields_and_no_body(messages: list[Message]) -> None:
    client = MemoryConnection(sending(start(200, (b"content-length", b"3")), *messages))
    await client.send(HEAD + HEAD)
    answers = responses(client.output, to_head=True)
    assert [answer.header("content-length") for answer in answers] == ["3", "3"]


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(status: int) -> None:
    client = MemoryConnection(sending(start(status), body(b"abc", more=True), body(b"de")))
    await client.send(GET + GET)
    answers = responses(client.output)
    assert [answer.status for answer in answers] == [status, status]
    assert all(answer.header("transfer-encoding") is None for answer in answers)


async def test_a_204_states_no_length_and_a_304_may() -> None:
    for status, stated in ((204, None), (304, "7")):
        client = MemoryConnection(sending(start(status, (b"content-length", b"7")), body()))
        await client.send(GET)
        assert responses(client.output)[0].header("content-length") == stated


async def test_the_date_is_the_applications_where_it_gives_one() -> None:
    client = MemoryConnection(sending(start(200, (b"Date", b"yesterday")), body()))
    await client.send(GET)
    assert responses(client.output)[0].header("date") == "yesterday"
    client = MemoryConnection(sending(start(), body()))
    await client.send(GET)
    assert str(responses(client.output)[0].header("date")).endswith(" GMT")


async def test_no_server_field_is_added() -> None:
    client = MemoryConnection(Recorder())
    await client.send(GET)
    assert {name for name, _ in responses(client.output)[0].headers} == {"content-length", "date"}


async def test_the_applications_own_framing_is_dropped() -> None:
    client = MemoryConnection(
        sending(start(200, (b"Transfer-Encoding", b"chunked"), (b"connection", b"x-foo")), body(b"abc"))
    )
    await client.send(GET)
    answer = responses(client.output)[0]
    assert (answer.header("transfer-encoding"), answer.header("connection")) == (None, None)
    assert answer.body == b"abc"


async def test_the_application_may_ask_to_close() -> None:
    client = MemoryConnection(sending(start(200, (b"connection", b"foo, Close")), body(b"abc")))
    await client.send(GET)
    assert responses(client.output)[0].header("connection") == "close"
    assert client.transport.lost


async def test_a_status_without_a_name_is_sent() -> None:
    client = MemoryConnection(sending(start(299), body(b"")))
    await client.send(GET)
    assert responses(client.output)[0].status == 299


@pytest.mark.parametrize(
    "message",
    [
        start(200, (b"x-a", b"b\r\nx-c: d")),
        start(200, (b"x-a", b"b\nc")),
        start(200, (b"x-a", b"b\rc")),
        start(200, (b"x-a", b"b\0c")),
        start(200, (b"x-a\r\nx-b", b"c")),
        start(200, (b"x a", b"c")),
        start(200, (b"x-a:", b"c")),
        start(200, (b"", b"c")),
        start(200, (b"content-length", b"-1")),
        start(200, (b"content-length", b"x")),
        start(200, (b"content-length", b"1"), (b"Content-Length", b"1")),
        start(101),
        start(103),
        start(600),
        body(b"x"),
        {"type": "websocket.accept"},
    ],
)
async def test_what_would_be_no_response_is_a_500_and_nothing_of_it_is_sent(message: Message) -> None:
    client = MemoryConnection(sending(message, body(b"x")))
    with capture_logs() as logs:
        await client.send(GET)
    answer = responses(client.output)[0]
    assert (answer.status, answer.code, answer.header("connection")) == (500, "internal_error", "close")
    assert client.transport.lost
    assert [entry["event"] for entry in logs] == ["application_failed"]


@pytest.mark.parametrize("message", [body(b"abcd"), body(b"ab")])
async def test_a_body_of_another_length_than_stated_is_a_500(message: Message) -> None:
    client = MemoryConnection(sending(start(200, (b"content-length", b"3")), message))
    with capture_logs():
        await client.send(GET)
    assert responses(client.output)[0].status == 500


@pytest.mark.parametrize("second", [body(b"cd"), body(b""), start(), {"type": "http.response.trailers"}])
async def test_a_response_that_breaks_off_is_cut_and_not_completed(second: Message) -> None:
    client = MemoryConnection(sending(start(200, (b"content-length", b"3")), body(b"ab", more=True), second))
    with capture_logs() as logs:
        await client.send(GET)
    assert client.transport.aborted
    assert not responses(client.output)[0].whole
    assert logs[0]["response"] == "running"


async def test_an_exception_before_the_response_is_a_500_and_shows_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("secret")

    client = MemoryConnection(app)
    with capture_logs() as logs:
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer token\r\n\r\n")
    assert responses(client.output)[0].code == "internal_error"
    assert b"secret" not in client.output
    assert "token" not in str(logs)
    assert client.transport.lost


async def test_an_exception_to_a_head_request_is_a_500_without_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    client = MemoryConnection(app)
    with capture_logs():
        await client.send(HEAD)
    assert client.output.endswith(b"\r\n\r\n")
    assert responses(client.output, to_head=True)[0].status == 500


async def test_a_refused_head_request_has_no_body() -> None:
    client = MemoryConnection(Recorder())
    await client.send(b"HEAD /x HTTP/1.1\r\nHost: a b\r\n\r\n")
    assert client.output.endswith(b"\r\n\r\n")
    assert responses(client.output, to_head=True)[0].status == 400


@pytest.mark.parametrize("messages", [[], [start()]])
async def test_an_application_that_returns_without_an_answer_is_a_500(messages: list[Message]) -> None:
    client = MemoryConnection(sending(*messages))
    with capture_logs() as logs:
        await client.send(GET)
    assert responses(client.output)[0].status == 500
    assert logs[0]["reason"] == "response_incomplete"


async def test_an_application_that_returns_in_the_middle_is_cut() -> None:
    client = MemoryConnection(sending(start(), body(b"x", more=True)))
    with capture_logs():
        await client.send(GET)
    assert client.transport.aborted


async def test_a_cancelled_application_leaves_no_half_answer_behind() -> None:
    client = MemoryConnection(Gate())
    await client.send(GET)
    for task in client.state.tasks:
        task.cancel()
    await client.settle()
    assert responses(client.output)[0].status == 500
    assert not client.state.tasks


async def test_an_exception_behind_the_response_does_not_touch_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"ok")
        raise LookupError

    client = MemoryConnection(app)
    with capture_logs() as logs:
        await client.send(GET)
    assert [answer.status for answer in responses(client.output)] == [200]
    assert not client.ended
    assert logs[0]["event"] == "application_failed"


async def test_nothing_can_be_sent_behind_a_response() -> None:
    client = MemoryConnection(sending(start(), body(b"ok"), body(b"more")))
    with capture_logs() as logs:
        await client.send(GET)
    assert [answer.body for answer in responses(client.output)] == [b"ok"]
    assert logs


async def test_a_broken_body_is_answered_400_while_the_application_has_sent_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        while (await receive())["type"] != "http.disconnect":
            pass

    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.send(b"xyz\r\n")
    assert responses(client.output)[0].code == "body_invalid"
    assert not client.state.tasks


async def test_a_broken_body_never_writes_into_a_response_that_runs() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"begun", more=True))
        while (await receive())["type"] != "http.disconnect":
            pass

    client = MemoryConnection(app)
    await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await client.send(b"xyz\r\n")
    assert client.output.endswith(b"\r\n\r\n5\r\nbegun\r\n")
    assert client.transport.aborted
    assert not client.state.tasks


async def test_100_is_sent_when_the_application_asks_for_the_body_and_once() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(EXPECT)
    assert client.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(b"a", b"bc")
    assert [answer.status for answer in responses(client.output)] == [100, 200]
    assert app.requests[0].body == b"abc"
    assert not client.ended


async def test_no_100_is_sent_to_a_client_that_did_not_wait() -> None:
    client = MemoryConnection(Recorder())
    await client.send(EXPECT + b"abc")
    assert [answer.status for answer in responses(client.output)] == [200]


async def test_no_100_is_sent_for_a_body_that_is_here_and_empty() -> None:
    client = MemoryConnection(Recorder())
    await client.send(
        b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert [answer.status for answer in responses(client.output)] == [200]
    assert not client.ended


async def test_no_100_is_sent_before_a_refusal_and_the_connection_ends() -> None:
    client = MemoryConnection(sending(start(401), body(b"no")))
    await client.send(EXPECT)
    answer = responses(client.output)[0]
    assert (answer.status, answer.header("connection")) == (401, "close")
    assert client.ended


async def test_no_100_is_sent_once_the_response_began() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(401))
        receiving.append(receive())
        await send(body(b"no"))
        await receiving[0]

    receiving: list[object] = []
    client = MemoryConnection(app)
    await client.send(EXPECT)
    assert [answer.status for answer in responses(client.output)] == [401]


async def test_the_scope_is_what_the_client_sent() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(b"GET /a%2Fb/%C3%A9?x=%20&y HTTP/1.1\r\nHOST: a:1\r\nX-B:  c d \r\nx-b: e\r\n\r\n")
    scope = app.requests[0].scope
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b/é",
        "raw_path": b"/a%2Fb/%C3%A9",
        "query_string": b"x=%20&y",
        "root_path": "",
        "headers": [(b"host", b"a:1"), (b"x-b", b"c d"), (b"x-b", b"e")],
        "client": ("192.0.2.7", 40000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


async def test_requests_on_one_connection_share_nothing() -> None:
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer one\r\n\r\n" + GET)
    first, second = (seen.scope for seen in app.requests)
    assert dict(first["headers"])[b"authorization"] == b"Bearer one"
    assert second["headers"] == [(b"host", b"a")]
    assert first["state"] is not second["state"]
    assert first["asgi"] is not second["asgi"]


async def test_shutdown_closes_an_idle_connection_and_lets_an_open_response_finish() -> None:
    idle = MemoryConnection(Recorder())
    await idle.send(GET)
    idle.protocol.shutdown()
    await idle.settle()
    assert idle.transport.lost

    app = Gate()
    busy = MemoryConnection(app)
    await busy.send(GET + GET)
    busy.protocol.shutdown()
    await busy.settle()
    assert not busy.ended
    app.opened.set()
    await busy.settle()
    answers = responses(busy.output)
    assert [answer.header("connection") for answer in answers] == ["close"]
    assert app.entered == 1
    assert busy.ended


async def test_an_answer_that_is_broken_off_is_no_error_of_the_application() -> None:
    with capture_logs() as logs:
        client = MemoryConnection(sending(start(), body(b"some", more=True), {"type": ABORT}))
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.transport.aborted
    assert not responses(client.output)[0].whole
    assert logs == []


@pytest.mark.parametrize("field", [(b"x", b"a\r\nb: c"), (b"x", b"a\0"), (b"x\n", b"a")])
def test_a_101_has_no_field_that_is_none(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        switching([field])


async def test_a_protocol_is_changed_in_place_of_an_answer_only() -> None:
    with capture_logs() as logs:
        client = MemoryConnection(sending(start(), {"type": UPGRADE, "headers": [], "receiver": None}))
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert responses(client.output)[0].status == 500
    assert logs[0]["event"] == "application_failed"
