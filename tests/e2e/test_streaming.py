"""Bodies pass through: their size is not the gateway's memory, and who reads slowly slows the other side down (rule 8).

The API is a process of its own, so that what is measured is the gateway's memory and nobody else's.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.command import environment
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API

pytestmark = pytest.mark.alone

MIB = 2**20
# 1 GiB takes three seconds here; the long form is for leaks that only more than that would show.
SIZE = (8 if os.environ.get("YETT_TEST_SOAK") else 1) * 1024 * MIB
GROWTH = 16 * MIB
# What the kernel holds for two loopback connections, both sides of each at their largest.
IN_KERNEL = 48 * MIB
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def firehose() -> Iterator[str]:
    """The API's URL."""
    command = [sys.executable, "-m", "tests.e2e.firehose"]
    with subprocess.Popen(command, cwd=_ROOT, env=environment({}), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield f"http://127.0.0.1:{int(running.stdout.readline())}"
        running.terminate()


@pytest.fixture(scope="module")
def gateway(copy_of: Copy, firehose: str) -> Iterator[Gateway]:
    installation = copy_of("sqlite", firehose)
    # The installed program: what a forked process has in memory already would not count.
    running = Gateway(installation, installation.data.parent, installed=True, YETT_LIMITS__BODY="unlimited")
    try:
        running.wait_until_ready()
        _upload(running, 8 * MIB)  # what is allocated once, for the first of all bodies
        _download(running, 8 * MIB)
        yield running
        running.close()
        running.stop()
    finally:
        running.close()
        running.discard()


class Memory:
    """A process's resident memory over a ``with``: how far it rose above its start, sampled every 10 ms."""

    def __init__(self, gateway: Gateway) -> None:
        self._process = psutil.Process(gateway.pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.start = self.peak = 0

    def __enter__(self) -> "Memory":
        self.start = self.peak = self._rss()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.peak - self.start

    def _rss(self) -> int:
        return int(self._process.memory_info().rss)

    def _sample(self) -> None:
        while not self._over.wait(0.01):
            self.peak = max(self.peak, self._rss())


@contextlib.contextmanager
def _connection(gateway: Gateway, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    with socket.socket() as made:
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.settimeout(30)
        made.connect(("127.0.0.1", gateway.port))
        yield made


def _ask(connection: socket.socket, method: str, path: str, *fields: str) -> None:
    connection.sendall("\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {API}", *fields, "", "")).encode())


def _read_head(connection: socket.socket) -> bytes:
    """The first bytes of the answer's body, once its head has come."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, "closed before the head"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return body


def _upload(gateway: Gateway, size: int) -> None:
    block = memoryview(bytes(MIB))
    with _connection(gateway) as connection:
        _ask(connection, "POST", "/public/upload", f"Content-Length: {size}")
        for _ in range(size // MIB):
            connection.sendall(block)
        assert f'"length": {size}'.encode() in _read_head(connection)


def _download(gateway: Gateway, size: int) -> None:
    buffer = bytearray(MIB)
    with _connection(gateway) as connection:
        _ask(connection, "GET", f"/public/download/{size}")
        got = len(_read_head(connection))
        while got < size:
            count = connection.recv_into(buffer)
            assert count, f"closed after {got} of {size} bytes"
            got += count
        assert got == size


def _streams(gateway: Gateway) -> dict[str, int]:
    found: dict[str, int] = gateway.call("/public/streams").json()
    return found


@pytest.mark.soak
def test_an_upload_costs_no_memory(gateway: Gateway) -> None:
    with Memory(gateway) as memory:
        _upload(gateway, SIZE)
    assert memory.growth < GROWTH


@pytest.mark.soak
def test_a_download_costs_no_memory(gateway: Gateway) -> None:
    with Memory(gateway) as memory:
        _download(gateway, SIZE)
    assert memory.growth < GROWTH


def test_a_slow_reader_slows_the_api_down(gateway: Gateway) -> None:
    read = 0
    with Memory(gateway) as memory, _connection(gateway, receive_buffer=64 * 1024) as connection:
        _ask(connection, "GET", f"/public/download/{1024 * MIB}")
        _read_head(connection)
        end = time.monotonic() + 3
        while (now := time.monotonic()) < end:  # 1 MB/s
            if read <= (3 - (end - now)) * MIB:
                read += len(connection.recv(16 * 1024))
            else:
                time.sleep(0.005)
        sent = _streams(gateway)["sent"]
    assert 2 * MIB < read < 4 * MIB
    assert sent < read + IN_KERNEL
    assert memory.growth < GROWTH


def test_an_api_that_does_not_read_slows_the_client_down(gateway: Gateway) -> None:
    size, block, sent = 256 * MIB, memoryview(bytes(64 * 1024)), 0

    def send() -> None:
        nonlocal sent
        while sent < size:
            connection.sendall(block)
            sent += len(block)

    def stands_still() -> bool:
        before = sent
        time.sleep(0.3)
        return before == sent > 0

    with Memory(gateway) as memory, _connection(gateway) as connection:
        _ask(connection, "POST", "/public/stall", f"Content-Length: {size}")
        client = threading.Thread(target=send)
        client.start()
        eventually(stands_still, within=20, what="the client is held up")
        assert sent < IN_KERNEL
        assert gateway.call("/public/resume", method="POST").status_code == 200
        assert f'"length": {size}'.encode() in _read_head(connection)
        client.join()
    assert memory.growth < GROWTH


def test_server_sent_events_pass_one_by_one_as_they_come(gateway: Gateway) -> None:
    with _connection(gateway) as connection:
        _ask(connection, "GET", "/public/events")
        data = _read_head(connection)
        for number in (1, 2, 3):
            assert gateway.call("/public/tick", method="POST").json() == {"listeners": 1}
            while b"data: %d\n\n" % number not in data:
                data += connection.recv(65536)
            assert b"data: %d\n\n" % (number + 1) not in data
    eventually(lambda: _streams(gateway)["open"] == 0, within=5, what="the API learns that its reader has left")


def test_a_client_that_leaves_frees_the_apis_connection(gateway: Gateway) -> None:
    with _connection(gateway) as connection:
        _ask(connection, "GET", f"/public/download/{1024 * MIB}")
        _read_head(connection)
        assert _streams(gateway)["open"] == 1
    eventually(lambda: _streams(gateway)["open"] == 0, within=5, what="the download is given up")
    assert gateway.call("/public/streams").status_code == 200


def test_a_broken_upload_never_reaches_the_api_as_a_whole_one(gateway: Gateway) -> None:
    with _connection(gateway) as listening:
        _ask(listening, "GET", "/public/events")
        data = _read_head(listening)
        assert gateway.call("/public/tick", method="POST").json() == {"listeners": 1}
        while b"\n\n" not in data:
            data += listening.recv(65536)
        last = int(data.rpartition(b"data: ")[2])
        with _connection(gateway) as broken:
            _ask(broken, "POST", "/public/tick", "Content-Length: 1000")
            broken.sendall(b"x" * 999)
        assert gateway.call("/public/tick", method="POST").json() == {"listeners": 1}
        while b"data: %d\n" % (last + 1) not in data:
            data += listening.recv(65536)
    assert data.count(b"data: ") == 2
