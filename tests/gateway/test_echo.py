"""The echo API shows what reached it, in constant memory, and stops when its client has left."""

import asyncio
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.cli.echo import Echo
from tests.frames_by_hand import CLOSE, PING, PONG, TEXT, closing, frames, handshake, written
from tests.gateway.server.memory import MemoryConnection

GONE = {"type": "http.disconnect"}


def scope(method: str, path: str, query: str = "", headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    raw = {"raw_path": path.encode(), "query_string": query.encode(), "headers": list(headers)}
    return {"type": "http", "method": method, "path": path, **raw}


class Client:
    """Sends its messages, then stays silent until it leaves."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages or [{"type": "http.request", "body": b"", "more_body": False}])
        self._left = asyncio.Event()
        self.got: list[dict[str, Any]] = []

    def leave(self) -> None:
        self._left.set()

    async def receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        await self._left.wait()
        return GONE

    async def send(self, message: dict[str, Any]) -> None:
        self.got.append(message)
        await asyncio.sleep(0)

    @property
    def status(self) -> int:
        status: int = self.got[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.got[1:])


async def test_it_answers_with_method_target_headers_and_the_bodys_digest() -> None:
    parts = [{"type": "http.request", "body": part, "more_body": more} for part, more in ((b"ab", True), (b"c", False))]
    client = Client(*parts)
    headers = [(b"x-yett-tenant", b"acme"), (b"x-twice", b"1"), (b"x-twice", b"\xe9")]

    await Echo()(scope("POST", "/files/a%2fb", "q=1&q=2", headers), client.receive, client.send)

    assert client.status == 200
    assert json.loads(client.body) == {
        "method": "POST",
        "path": "/files/a%2fb?q=1&q=2",
        "headers": [["x-yett-tenant", "acme"], ["x-twice", "1"], ["x-twice", "é"]],
        "body": {"length": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
    }
    assert (b"content-length", str(len(client.body)).encode()) in client.got[0]["headers"]


async def test_it_says_nothing_to_a_client_that_left_in_the_middle_of_its_body() -> None:
    client = Client({"type": "http.request", "body": b"a", "more_body": True}, GONE)

    await Echo()(scope("POST", "/"), client.receive, client.send)

    assert client.got == []


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 1_000_000])
async def test_a_download_has_exactly_the_bytes_asked_for(length: int) -> None:
    client = Client()

    await Echo()(scope("GET", "/orders/7", f"download={length}"), client.receive, client.send)

    assert client.body == (bytes(range(256)) * (length // 256 + 1))[:length]
    assert (b"content-length", str(length).encode()) in client.got[0]["headers"]
    assert client.got[-1].get("more_body", False) is False


@pytest.mark.parametrize("wanted", ["", "-1", "x", "1" * 30, "99999999999999", "%C2%B2"])
async def test_a_download_of_no_length_is_refused(wanted: str) -> None:
    client = Client()

    await Echo()(scope("GET", "/", f"download={wanted}"), client.receive, client.send)

    assert client.status == 400


async def test_a_download_ends_when_its_client_leaves() -> None:
    client = Client()
    client.leave()

    await Echo()(scope("GET", "/", "download=1000000000"), client.receive, client.send)

    assert len(client.got) < 100


class Steps:
    """A clock that stands still until it is stepped, and tells what it was asked to wait for."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._steps: asyncio.Queue[None] = asyncio.Queue()
        self._waiting: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._waiting.put_nowait(None)
        await self._steps.get()

    async def step(self) -> None:
        await self._waiting.get()
        self._steps.put_nowait(None)

    async def still(self) -> None:
        await self._waiting.get()


@pytest.fixture
async def steps() -> Steps:
    return Steps()


async def test_events_come_one_a_second_until_the_client_leaves(steps: Steps) -> None:
    client = Client()
    running = asyncio.create_task(Echo(steps.sleep)(scope("GET", "/events"), client.receive, client.send))

    await steps.step()
    await steps.step()
    await steps.still()
    client.leave()
    await running

    assert (b"content-type", b"text/event-stream") in client.got[0]["headers"]
    assert [m["body"].decode() for m in client.got[1:]] == [f'id: {n}\ndata: {{"number": {n}}}\n\n' for n in range(3)]
    assert steps.asked == [1.0, 1.0, 1.0]


async def test_a_failing_answer_is_not_swallowed() -> None:
    client = Client()

    async def broken(message: dict[str, Any]) -> None:
        raise OSError("the connection is gone")

    with pytest.raises(OSError, match="gone"):
        await Echo()(scope("GET", "/events"), client.receive, broken)


async def test_a_cancelled_answer_leaves_no_task_behind(steps: Steps) -> None:
    client = Client()
    running = asyncio.create_task(Echo(steps.sleep)(scope("GET", "/events"), client.receive, client.send))
    await steps.still()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_lifespan_is_acknowledged_and_a_websocket_closed() -> None:
    lifespan = Client({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await Echo()({"type": "lifespan"}, lifespan.receive, lifespan.send)
    assert [m["type"] for m in lifespan.got] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    websocket = Client()
    await Echo()({"type": "websocket"}, websocket.receive, websocket.send)
    assert websocket.got[0]["type"] == "websocket.close"


async def test_its_websocket_sends_every_message_back() -> None:
    client = MemoryConnection(Echo())
    await client.send(handshake("/ws", "api"))
    assert client.output.startswith(b"HTTP/1.1 101 ")
    await client.send(written(TEXT, b"Hel", fin=False), written(PING, b"p"), written(0, b"lo"), closing(1000, "bye"))
    back = frames(client.output.partition(b"\r\n\r\n")[2])
    assert [(one.opcode, one.payload, one.fin) for one in back] == [
        (TEXT, b"Hel", False),
        (PONG, b"p", True),
        (0, b"lo", True),
        (CLOSE, b"\x03\xe8bye", True),
    ]
    assert client.ended
    assert not client.state.tasks


async def test_its_websocket_ends_with_its_client_and_with_its_server() -> None:
    gone, stopped = MemoryConnection(Echo()), MemoryConnection(Echo())
    for client in (gone, stopped):
        await client.send(handshake("/ws", "api"))
        assert client.state.tasks
    gone.hang_up()
    for connection in tuple(stopped.state.connections):
        connection.shutdown()
    for client in (gone, stopped):
        await client.settle()
        assert not client.state.tasks
    assert frames(stopped.output.partition(b"\r\n\r\n")[2])[0].code == 1001


async def test_its_websocket_waits_for_a_slow_reader_and_refuses_what_breaks_the_rules() -> None:
    client = MemoryConnection(Echo())
    await client.send(handshake("/ws", "api"))
    client.transport.stalled = True
    await client.send(written(TEXT, b"x" * 70_000))
    assert not client.transport.reading
    client.transport.stalled = False
    client.transport.take(100_000)
    assert client.transport.reading
    await client.send(written(TEXT, b"y", key=None))
    back = frames(client.output.partition(b"\r\n\r\n")[2])
    assert (len(back[0].payload), back[1].code) == (70_000, 1002)
    client.transport.abort()
    await client.settle()


async def test_what_is_no_handshake_is_answered_as_anything_else() -> None:
    client = Client()
    await Echo()({**scope("GET", "/ws"), "http_version": "1.1"}, client.receive, client.send)
    assert json.loads(client.body)["path"] == "/ws"
