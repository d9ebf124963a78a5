"""How a gateway starts where it cannot, and how it ends: what runs is finished, what was seen is written (rule 12)."""

import socket
import time

import httpx
import pytest

from tests.e2e.command import yett
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API, Installation
from tests.e2e.raw_socket import RawSocket
from tests.e2e.slow_api import SlowApi

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"


def _gateway(of: Installation, **settings: str) -> Gateway:
    running = Gateway(of, of.data.parent, **settings)
    running.wait_until_ready()
    return running


@pytest.mark.parametrize("database", DATABASES)
def test_sigterm_finishes_what_runs_and_writes_what_was_seen(database: str, copy_of: Copy, slow_api: SlowApi) -> None:
    of = copy_of(database, slow_api.url)
    gateway = _gateway(of)
    try:
        with RawSocket(gateway.port) as client:
            client.send(f"GET /public/slow HTTP/1.1\r\nHost: {API}\r\n\r\n".encode())
            with slow_api.accept() as upstream:
                login = gateway.login("alice")
                refused = gateway.call("/orders/1")
                gateway.terminate()
                eventually(lambda: gateway.is_closed(), within=5, what="no new connection is taken")
                assert gateway.process.poll() is None
                upstream.sendall(_ANSWER)
                client.read_to_end()
            assert [(answer.status, answer.body) for answer in client.answers()] == [(200, b"done")]
        gateway.close()
        gateway.ended()
    finally:
        gateway.close()
        gateway.discard()
    listed = of.does("audit", "list")
    assert refused.headers["x-request-id"] in {event.get("request_id") for event in listed}
    assert login["access_token"]
    assert [event["user_name"] for event in listed if event["type"] == "login.succeeded"] == ["alice"]


def test_what_does_not_finish_within_the_drain_is_cut_off(copy_of: Copy, slow_api: SlowApi) -> None:
    gateway = _gateway(copy_of("sqlite", slow_api.url), YETT_DRAIN="1s")
    try:
        with RawSocket(gateway.port) as client:
            client.send(f"GET /public/slow HTTP/1.1\r\nHost: {API}\r\n\r\n".encode())
            with slow_api.accept() as upstream:
                begun = time.monotonic()
                gateway.terminate()
                client.read_to_end()
                assert upstream.recv(1) == b""
            assert not client.answers() or client.answers()[0].status >= 500
        gateway.close()
        gateway.ended()
        assert "drain_exceeded" in {event["event"] for event in gateway.events()}
        assert 1 <= time.monotonic() - begun < 8
    finally:
        gateway.close()
        gateway.discard()


@pytest.mark.parametrize("listener", ["YETT_LISTEN", "YETT_MANAGEMENT_LISTEN"])
def test_an_address_that_is_taken_is_4_with_a_sentence(copy_of: Copy, listener: str) -> None:
    of = copy_of("sqlite")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = "YETT_MANAGEMENT_LISTEN" if listener == "YETT_LISTEN" else "YETT_LISTEN"
        started = yett("serve", "--config", of.config, env={**of.settings, listener: address, other: "127.0.0.1:0"})
    assert started.code == 4
    lines = [line for line in started.err.splitlines() if not line.startswith("{")]
    name = "public" if listener == "YETT_LISTEN" else "management"
    assert lines == [f"yett: Cannot listen on {address} ({name}): address already in use."]
    assert "Traceback" not in started.err


def test_the_probes_answer_any_host_and_nothing_else_does(copy_of: Copy) -> None:
    gateway = _gateway(copy_of("sqlite"))
    try:
        assert gateway.probes.get("/livez").status_code == 200
        assert gateway.probes.get("/readyz").json()["status"] == "ok"
        foreign = gateway.probes.get("/readyz", headers={"Host": "rebound.example.com"})
        assert foreign.status_code == 200  # probes come by pod address, and tell no secret
        assert (
            httpx.get(
                f"http://127.0.0.1:{gateway.management_port}/", headers={"Host": "rebound.example.com"}, trust_env=False
            ).status_code
            == 421
        )
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()
