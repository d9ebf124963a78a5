"""A client whose body trickles, never silent for long: it is told so, and the API's connection is given up."""

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API
from tests.e2e.recording_upstream import RecordingUpstream


@pytest.fixture
def gateway(copy_of: Copy) -> Iterator[Gateway]:
    of = copy_of("sqlite")
    running = Gateway(of, of.data.parent, YETT_UPSTREAMS__ORDERS__UPLOAD_TIMEOUT="1s")
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.close()
        running.discard()


def test_it_is_answered_408_and_nothing_is_kept_for_it(gateway: Gateway, upstream: RecordingUpstream) -> None:
    upstream.clear()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(f"POST /public/slow HTTP/1.1\r\nHost: {API}\r\nContent-Length: 1000000\r\n\r\n".encode())
        client.settimeout(0.1)
        answer = b""
        ends = time.monotonic() + 15
        while not answer and time.monotonic() < ends:
            client.sendall(b"x")
            try:
                answer = client.recv(65536)
            except TimeoutError:
                continue  # the pace of this client
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "upload_too_slow"
    (seen,) = upstream.requests
    assert not seen.whole
    assert not [each for each in gateway.events() if each["event"] == "upstream_failed"]
    eventually(lambda: gateway.call("/public/after").status_code == 200, within=5, what="others are answered")
