"""TLS on a listener: handshakes are bounded and counted, then it is HTTP like any other."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from gateway.server.certificates import Certificates
from gateway.server.configured import http_protocol
from gateway.server.limits import ServerLimits
from gateway.server.run import Listener
from gateway.server.tls import NAMES
from tests.gateway.server.apps import Gate, Recorder
from tests.gateway.server.pki import Authority, serial
from tests.gateway.server.test_run import Service
from tests.gateway.server.wire import Response, responses

CLOSE = b"GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
KEEP = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: bytes) -> Response:
        """Send this, and read one answer with a stated length."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        return responses(head + await self.reader.readexactly(size))[0]

    @property
    def serial(self) -> int:
        return serial(self.writer.get_extra_info("ssl_object"))

    async def close(self) -> None:
        self.writer.transport.abort()


@dataclass
class Served:
    """A listener of TLS, and who may connect."""

    port: int
    authority: Authority
    certificates: Certificates
    service: Service

    async def connect(self, name: str = "a.test") -> Client:
        context = self.authority.client()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)
        return Client(reader, writer)

    async def plain(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))


@asynccontextmanager
async def served(folder: Path, app: Recorder | Gate, limits: ServerLimits | None = None) -> AsyncIterator[Served]:
    authority = Authority(folder)
    pairs = [authority.issue("a", "a.test", serial=10), authority.issue("b", "b.test", serial=11)]
    certificates = Certificates(pairs)
    protocol = http_protocol(limits or ServerLimits(), sweep_every=0.05)
    service = Service([Listener("public", app, protocol=protocol, certificates=certificates)])
    port = (await service.ready)[0].port
    try:
        yield Served(port, authority, certificates, service)
    finally:
        if not service.task.done():
            await service.stop()
        assert protocol.room._open == {}


async def test_requests_are_of_https_and_know_the_names_that_were_shown(tmp_path: Path) -> None:
    app = Recorder()
    async with served(tmp_path, app) as server:
        client = await server.connect("b.test")
        assert (await client.ask(KEEP)).status == 200
        assert (await client.ask(CLOSE)).status == 200
        assert client.serial == 11
        assert await client.reader.read() == b""
        await client.close()
    assert [request.scope["scheme"] for request in app.requests] == ["https", "https"]
    assert [request.scope["state"][NAMES] for request in app.requests] == [frozenset({"b.test"})] * 2


async def test_many_handshakes_at_once_lose_nothing(tmp_path: Path) -> None:
    app = Recorder()

    async def one(number: int) -> int:
        client = await server.connect("ab"[number % 2] + ".test")
        body = b"x" * (number * 100)
        head = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer = await client.ask(head + body)
        await client.close()
        return answer.status

    async with served(tmp_path, app) as server:
        assert await asyncio.gather(*map(one, range(60))) == [200] * 60
    assert sorted(len(request.body) for request in app.requests) == [number * 100 for number in range(60)]


async def test_what_comes_with_the_end_of_the_handshake_is_read(tmp_path: Path) -> None:
    """A client of TLS 1.3 sends its request in the same packet as the end of its handshake."""
    app = Recorder()
    async with served(tmp_path, app) as server:
        raw = await server.plain()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = server.authority.client().wrap_bio(incoming, outgoing, server_hostname="a.test")
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
        raw.writer.write(outgoing.read())
        while True:
            incoming.write(await raw.reader.read(65536))
            try:
                side.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.writer.write(outgoing.read())
        side.write(CLOSE)
        raw.writer.write(outgoing.read())
        received = b""
        while not received.endswith(b"}"):
            incoming.write(await raw.reader.read(65536))
            try:
                received += side.read(65536)
            except ssl.SSLWantReadError:
                continue
        assert responses(received)[0].status == 200
        await raw.close()


async def test_a_handshake_has_the_time_of_a_head(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder(), ServerLimits(head_time=timedelta(seconds=0.2))) as server:
        silent, begun = await server.plain(), await server.plain()
        begun.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        for client in (silent, begun):
            assert await asyncio.wait_for(client.reader.read(), 5) == b""
            await client.close()
        done = await server.connect()  # and from there on the head has its own
        assert await asyncio.wait_for(done.reader.read(), 5) == b""
        await done.close()


async def test_a_handshake_takes_a_place_of_its_address(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder(), ServerLimits(connections_per_address=1)) as server:
        silent = await server.plain()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await server.connect()
        await silent.close()
        await _until_there_is_room(server)


async def test_a_handshake_takes_a_place_of_the_listener(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder(), ServerLimits(connections=1)) as server:
        silent = await server.plain()
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await server.connect()
        await silent.close()
        await _until_there_is_room(server)


async def _until_there_is_room(server: Served) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                client = await server.connect()
            except (ConnectionError, ssl.SSLError):
                await asyncio.sleep(0.01)  # the server notices the end of the other one when it reads it
                continue
            assert (await client.ask(KEEP)).status == 200
            await client.close()
            return


@pytest.mark.parametrize("sent", [CLOSE, b"\0" * 600, b"\x16\x03\x01\x00\x05hello", b"SSH-2.0-x\r\n"])
async def test_what_is_not_tls_is_closed_without_an_answer_of_http(tmp_path: Path, sent: bytes) -> None:
    async with served(tmp_path, Recorder()) as server:
        client = await server.plain()
        client.writer.write(sent)
        try:
            answer = await asyncio.wait_for(client.reader.read(), 5)
        except ConnectionError:
            answer = b""
        assert b"HTTP" not in answer
        await client.close()


async def test_a_refusal_reaches_a_client_that_is_still_sending(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder()) as server:
        client = await server.connect()
        answer = await client.ask(b"GET /x HTTP/1.1\r\nX-A: " + b"a" * 200_000)
        assert answer.status == 431
        await client.close()


async def test_a_certificate_is_replaced_without_an_end_of_connections(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder()) as server:
        before = await server.connect()
        assert (await before.ask(KEEP)).status == 200
        server.authority.issue("a", "a.test", serial=20)
        for _ in range(2):
            await server.certificates.watch()
        after = await server.connect()
        assert (before.serial, after.serial) == (10, 20)
        assert [(await client.ask(KEEP)).status for client in (before, after)] == [200, 200]
        for client in (before, after):
            await client.close()


async def test_a_handshake_does_not_hold_up_the_end_and_an_open_request_is_finished(tmp_path: Path) -> None:
    app = Gate()
    async with served(tmp_path, app) as server:
        silent, waiting = await server.plain(), await server.connect()
        waiting.writer.write(CLOSE)
        async with asyncio.timeout(5):
            while not app.entered:  # noqa: ASYNC110 - it is the server that counts
                await asyncio.sleep(0)
        stopping = asyncio.create_task(server.service.stop())
        assert await asyncio.wait_for(silent.reader.read(), 5) == b""
        app.opened.set()
        assert responses(await waiting.reader.read())[0].status == 200
        await stopping
        for client in (silent, waiting):
            await client.close()


async def test_a_client_that_leaves_in_its_handshake_leaves_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, Recorder(), ServerLimits(connections=3)) as server:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.send(b"\x16\x03\x01\x02\x00\x01\x00")
            await asyncio.sleep(0.01)
        await _until_there_is_room(server)


def hello(name: bytes) -> bytes:
    """The first message of a client that asks for this name, of six bytes."""
    came, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(came, sent, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    written = sent.read()
    assert written.count(b"a.test") == 1
    return written.replace(b"a.test", name)


class Fails:
    """What cannot be raised when it is freed."""

    def __del__(self) -> None:
        b"\xff".decode("ascii")


async def test_a_name_that_can_be_none_fails_the_handshake_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: printed.append(unraisable.exc_value))
    async with served(tmp_path, Recorder()) as listener:
        with structlog.testing.capture_logs() as logs:
            client = await listener.plain()
            client.writer.write(hello(b"\xff.test"))
            await client.reader.read()
            await client.close()
        assert [(seen["event"], seen["log_level"]) for seen in logs] == [("tls_handshake_failed", "debug")]
        assert printed == []
        Fails()
        assert len(printed) == 1
        assert (await (await listener.connect()).ask(CLOSE)).status == 200
    Fails()
    assert len(printed) == 2
