"""What ``listen_limits`` says is what a connection may cost."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Copy
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API
from tests.e2e.raw_socket import RawSocket

HEAD = f"GET /public/x HTTP/1.1\r\nHost: {API}\r\n"


@pytest.fixture(scope="module")
def limited(copy_of: Copy) -> Iterator[Gateway]:
    of = copy_of("sqlite")
    settings = {
        "CONNECTIONS_PER_ADDRESS": "5",
        "HEADER_TIME": "1s",
        "BODY_TIME": "2s",
        "IDLE_TIME": "3s",
        "HEADER_SIZE": "4KiB",
        "HEADER_FIELDS": "20",
        "TARGET_SIZE": "1KiB",
    }
    gateway = Gateway(of, of.data.parent, **{f"YETT_LISTEN_LIMITS__{name}": value for name, value in settings.items()})
    try:
        gateway.wait_until_ready()
        yield gateway
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()


def answer_to(gateway: Gateway, request: str) -> tuple[int, float]:
    """The status of the only answer, and how many seconds passed until the connection's end."""
    with RawSocket(gateway.port) as connection:
        connection.send(request.encode())
        begun = time.monotonic()
        connection.read_to_end()
        (answer,) = connection.answers()
        return answer.status, time.monotonic() - begun


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + "X-A: " + "a" * 4096 + "\r\n\r\n", 431),
        (HEAD + "".join(f"X-{number}: a\r\n" for number in range(20)) + "\r\n", 431),
        (HEAD.replace("/public/x", "/public/" + "x" * 1024) + "\r\n", 414),
    ],
)
def test_sizes(limited: Gateway, request_: str, status: int) -> None:
    assert answer_to(limited, request_)[0] == status


@pytest.mark.parametrize(
    ("request_", "status", "least", "most"),
    [
        (HEAD, 408, 0.9, 6),
        (HEAD.replace("GET", "POST") + "Content-Length: 3\r\n\r\na", 408, 1.9, 7),
        (HEAD + "\r\n", 200, 2.9, 8),
    ],
)
def test_times(limited: Gateway, request_: str, status: int, least: float, most: float) -> None:
    found, seconds = answer_to(limited, request_)
    assert found == status
    assert least < seconds < most


def test_connections_of_one_address(limited: Gateway) -> None:
    limited.identity.close()
    limited.api.close()
    connections = [RawSocket(limited.port) for _ in range(5)]
    try:
        with RawSocket(limited.port) as one_more:
            assert one_more.read_to_end() == b""
        connections[0].send((HEAD + "\r\n").encode())
        connections[0].read_until(lambda: bool(connections[0].answers()))
        assert connections[0].answers()[0].status == 200
    finally:
        for connection in connections:
            connection.__exit__(None, None, None)
