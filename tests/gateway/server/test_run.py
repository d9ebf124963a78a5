"""Several listeners in one loop: start, signals, a clean end."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.server.asgi import Receive, Scope, Send
from gateway.server.run import Bound, CannotListen, Listener, serve
from tests.gateway.server.apps import Recorder
from tests.gateway.server.wire import responses

ROOT = Path(__file__).parents[3]
GET = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Service:
    """``serve`` as a task of the test's own loop."""

    def __init__(self, listeners: Sequence[Listener], drain: float = 20) -> None:
        self.events: list[str] = []
        self.ready: asyncio.Future[Sequence[Bound]] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(
            serve(listeners, lifespan=self.lifespan, drain=timedelta(seconds=drain), on_ready=self.ready.set_result)
        )
        self.task.add_done_callback(self._ended)

    def _ended(self, _: "asyncio.Task[None]") -> None:
        if not self.ready.done():
            self.ready.cancel("the service never became ready")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.events.append("entered")
        yield
        self.events.append("left")

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(self.task, 10)


async def fetch(port: int, request: bytes = GET) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    output = await reader.read()
    writer.close()
    await writer.wait_closed()
    return output


async def test_sigterm_lets_the_open_request_finish_leaves_the_lifespan_and_exits_0() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.gateway.server.serving", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = process.stdout
    assert await line(lines) == "entered"
    ports = [int((await line(lines)).split()[-1]) for _ in range(2)]
    for port in ports:
        assert responses(await fetch(port))[0].status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
    idle = await asyncio.open_connection("127.0.0.1", ports[1])
    writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    process.send_signal(signal.SIGTERM)
    assert "server_stopping" in await line(lines)
    assert await idle[0].read() == b""
    writer.write(b"abc")
    answer = responses(await reader.read())[0]
    assert (answer.status, answer.header("connection"), b'"size": 3' in answer.body) == (200, "close", True)
    assert await line(lines) == "left"
    assert "server_stopped" in await line(lines)
    assert await line(lines) == "returned"
    assert await process.wait() == 0
    for open_writer in (writer, idle[1]):
        open_writer.close()
        await open_writer.wait_closed()


async def line(lines: asyncio.StreamReader) -> str:
    return (await asyncio.wait_for(lines.readline(), 20)).decode().rstrip("\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_all_listeners_answer_and_all_stop(number: signal.Signals) -> None:
    service = Service([Listener("public", Recorder()), Listener("management", Recorder())])
    addresses = await service.ready
    assert [address.name for address in addresses] == ["public", "management"]
    for address in addresses:
        assert address.port
        assert responses(await fetch(address.port))[0].status == 200
    await service.stop(number)
    assert service.events == ["entered", "left"]
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            await fetch(address.port)


@pytest.mark.parametrize("hand_over", [lambda opened: opened, lambda opened: opened.detach()])
async def test_an_open_socket_is_taken_over(hand_over: Callable[[socket.socket], socket.socket | int]) -> None:
    opened = socket.create_server(("127.0.0.1", 0))
    port = opened.getsockname()[1]
    service = Service([Listener("public", Recorder(), inherited=hand_over(opened))])
    assert await service.ready == [Bound("public", "127.0.0.1", port)]
    assert responses(await fetch(port))[0].status == 200
    await service.stop()


async def test_a_taken_port_is_a_sentence_before_anything_has_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = Service([Listener("public", Recorder()), Listener("management", Recorder(), port=port)])
        with pytest.raises(CannotListen) as refusal:
            await service.task
    assert str(refusal.value) == f"Cannot listen on 127.0.0.1:{port} (management): address already in use."
    assert service.events == []


async def test_a_file_descriptor_that_is_no_socket_is_a_sentence() -> None:
    with open(os.devnull, "rb") as file:  # noqa: ASYNC230 (opens at once)
        service = Service([Listener("public", Recorder(), inherited=file.fileno())])
        with pytest.raises(CannotListen, match=r"inherited socket \d+ \(public\)"):
            await service.task


async def test_a_lifespan_that_fails_ends_everything() -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(LookupError):
        await serve([Listener("public", Recorder(), port=port)], lifespan=lifespan, drain=timedelta(seconds=1))
    with pytest.raises(ConnectionRefusedError):
        await fetch(port)


class Stubborn:
    """Never ends by itself."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.ended = False

    async def __call__(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_what_does_not_finish_is_cut_after_the_drain_time_and_before_the_lifespan_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Stubborn()
    service = Service([Listener("public", app)], drain=0.2)
    port = (await service.ready)[0].port
    request = asyncio.create_task(fetch(port))
    await app.entered.wait()
    with capture_logs() as told, caplog.at_level("ERROR"):
        await service.stop()
    assert app.ended
    assert responses(await request)[0].status == 500
    assert service.events == ["entered", "left"]
    # What the operator is told is that, as a warning, and no error of the server's.
    assert [(entry["log_level"], entry["event"], entry.get("requests")) for entry in told] == [
        ("info", "server_stopping", None),
        ("warning", "drain_exceeded", 1),
        ("info", "server_stopped", None),
    ]
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


async def test_a_second_signal_does_not_wait() -> None:
    app = Stubborn()
    service = Service([Listener("public", app)], drain=3600)
    port = (await service.ready)[0].port
    request = asyncio.create_task(fetch(port))
    await app.entered.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    await service.stop()
    assert app.ended
    outcome = (await asyncio.gather(request, return_exceptions=True))[0]
    assert outcome == b"" or isinstance(outcome, ConnectionResetError)


async def test_signals_that_come_again_end_nobody_at_its_last_writes() -> None:
    service = Service([Listener("public", Recorder())])
    await service.ready
    await service.stop()
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)


async def test_nothing_is_served_when_the_signal_came_during_start_up() -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(3):
            await asyncio.sleep(0)
        yield

    def never(_: Sequence[Bound]) -> None:
        raise AssertionError("it was asked to stop")

    await serve([Listener("public", Recorder())], lifespan=lifespan, drain=timedelta(seconds=1), on_ready=never)


async def test_an_error_in_on_ready_stops_the_servers() -> None:
    def fail(_: Sequence[Bound]) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await serve([Listener("public", Recorder())], lifespan=nullcontext, drain=timedelta(seconds=1), on_ready=fail)
