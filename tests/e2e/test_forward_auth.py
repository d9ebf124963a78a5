"""nginx that asks the gateway, with the configuration that docs/forward-auth.md shows, word for word: what it lets
through and as whom, what it says of the rest, and what a client can do about it.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway, claims
from tests.e2e.installation import API, IDENTITY
from tests.e2e.nginx_front import nginx
from tests.e2e.ports import free_port
from tests.e2e.raw_socket import RawSocket
from tests.e2e.recording_upstream import RecordingUpstream, Seen
from tests.e2e.server_process import PASSWORD
from tests.gateway.prover import Prover

LOG_IN = {"grant_type": "password", "username": "alice", "password": PASSWORD}


@dataclass(frozen=True)
class Fronted:
    """A gateway, nginx that asks it, and the API behind nginx."""

    gateway: Gateway
    port: int
    api: RecordingUpstream
    folder: Path

    def call(self, path: str, token: str | None = None, *, method: str = "GET", **more: Any) -> httpx.Response:
        """One request to the API, by way of nginx."""
        headers = {"Host": API, **more.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=30, **more)

    def raw(self, head: str) -> int:
        """The status that nginx answers to exactly these bytes."""
        with RawSocket(self.port) as client:
            client.send(head.encode("latin-1") + b"Connection: close\r\n\r\n")
            client.read_to_end()
            (answer,) = client.answers()
            return answer.status

    @property
    def alice(self) -> str:
        return self.gateway.token("alice")

    @property
    def passed_on(self) -> list[Seen]:
        return [seen for seen in self.api.requests if seen.whole]

    def complaints(self) -> str:
        return (self.folder / "error.log").read_text(encoding="utf-8")


def _asking(copy_of: Copy, folder: Path, peers: str = "127.0.0.1") -> tuple[Gateway, int]:
    port = free_port()
    installation = copy_of("sqlite")
    listening = {"YETT_FORWARD_AUTH__LISTEN": f"127.0.0.1:{port}", "YETT_FORWARD_AUTH__PEERS": peers}
    return Gateway(installation, folder, **listening), port


@pytest.fixture(scope="module")
def running(copy_of: Copy, upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    folder = tmp_path_factory.mktemp("forward-auth")
    gateway, port = _asking(copy_of, folder)
    try:
        gateway.wait_until_ready()
        with nginx(folder, yett=gateway.port, forward_auth=port, api=upstream.port) as front:
            yield Fronted(gateway, front, upstream, folder)
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()


@pytest.fixture
def fronted(running: Fronted) -> Fronted:
    running.api.clear()
    return running


def test_who_may_passes_and_the_api_learns_who_it_is(fronted: Fronted) -> None:
    answer = fronted.call("/orders/7?x=%2F", fronted.alice)
    assert answer.status_code == 200
    (seen,) = fronted.passed_on
    assert seen.target == "/orders/7?x=%2F"
    subject = claims(fronted.alice)["sub"]
    assert [seen.values(f"x-yett-{name}") for name in ("tenant", "subject", "client")] == [
        ["acme"],
        [subject],
        ["demo-app"],
    ]
    assert "orders:read" in seen.values("x-yett-scopes")[0].split()
    assert len(seen.values("x-request-id")[0]) == 32
    assert not seen.values("authorization")


def test_a_body_goes_to_the_api_and_not_to_the_gateway(fronted: Fronted) -> None:
    answer = fronted.call("/orders", fronted.alice, method="POST", content=b"x" * 100_000)
    assert (answer.status_code, answer.json()["length"]) == (200, 100_000)
    assert fronted.call("/orders/7", fronted.alice, method="HEAD").status_code == 200


def test_an_anonymous_route_needs_nobody_and_says_nobody(fronted: Fronted) -> None:
    for token in (None, fronted.alice):
        assert fronted.call("/public/x", token).status_code == 200
    for seen in fronted.passed_on:
        assert not [name for name, _ in seen.fields if name.startswith("x-yett-")]


def test_refusals_are_what_the_gateway_itself_would_say(fronted: Fronted) -> None:
    bob = fronted.gateway.token("bob")
    for path, token, method, status in (
        ("/orders/7", None, "GET", 401),
        ("/orders/7", "nonsense", "GET", 401),
        ("/orders", bob, "POST", 403),
        ("/admin/x", fronted.gateway.login("alice", scope="admin")["access_token"], "GET", 401),
        ("/nowhere", bob, "GET", 404),
        ("/orders/7", bob, "PATCH", 405),
        ("/orders//7", bob, "GET", 400),
    ):
        here, there = fronted.call(path, token, method=method), fronted.gateway.call(path, token, method=method)
        assert here.status_code == there.status_code == status, path
        for name in ("www-authenticate", "allow"):
            assert here.headers.get_list(name) == there.headers.get_list(name), (path, name)
    assert fronted.passed_on == []


def test_resource_metadata_is_served_where_challenges_point(fronted: Fronted) -> None:
    challenge = fronted.call("/orders/7").headers["www-authenticate"]
    url = challenge.partition('resource_metadata="')[2].rstrip('"')
    assert url == f"https://{API}/.well-known/oauth-protected-resource/orders"
    answer = fronted.call(url.removeprefix(f"https://{API}"))
    assert (answer.status_code, answer.json()["resource"]) == (200, f"https://{API}/orders")


def test_a_client_cannot_ask_itself(fronted: Fronted) -> None:
    for path in ("/.yett-forward-auth", "/forward-auth", "/.yett-forward-auth?x"):
        assert fronted.call(path, fronted.alice, headers={"X-Original-URI": "/orders/7"}).status_code == 404
    assert fronted.passed_on == []


def test_a_client_cannot_have_another_request_decided_about(fronted: Fronted) -> None:
    """``/public`` needs no token: whoever could name it instead would get anywhere."""
    overwritten = {
        "X-Original-URI": "/public/x",
        "X-Original-Method": "GET",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "10.0.0.1",
    }
    assert fronted.call("/orders/7", headers=overwritten).status_code == 401
    for name in ("X-Original-URL", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Original-Uri"):
        status = 401 if name == "X-Original-Uri" else 403
        assert fronted.call("/orders/7", headers={name: "/public/x"}).status_code == status
        assert fronted.call("/public/x", headers={name: "/public/x"}).status_code == (200 if status == 401 else 403)
    fronted.api.clear()
    for path in (
        "/public/../orders/7",
        "/public/%2e%2e/orders/7",
        "//orders/7",
        "/orders/7;x",
        "/orders%2f7",
        "/./orders/7",
    ):
        assert fronted.raw(f"GET {path} HTTP/1.1\r\nHost: {API}\r\n") == 400, path
    assert fronted.passed_on == []


def test_the_host_is_that_of_the_server_which_nginx_chose(fronted: Fronted) -> None:
    assert fronted.raw(f"GET http://{API}/orders/7 HTTP/1.1\r\nHost: open.example.com\r\n") == 401
    assert fronted.raw(f"GET http://{API}/public/x HTTP/1.1\r\nHost: open.example.com\r\n") == 200
    assert fronted.raw(f"GET http://open.example.com/orders/7 HTTP/1.1\r\nHost: {API}\r\n") == 200  # nginx's own
    (seen,) = fronted.passed_on
    assert seen.values("host") == [API]


def test_a_client_cannot_say_who_it_is(fronted: Fronted) -> None:
    for name in ("X-Yett-Subject", "x-yett-anything", "X-HTTP-Method-Override", "X-Rewrite-URL", "X-Forwarded-User"):
        assert fronted.call("/public/x", headers={name: "root"}).status_code == 400
    assert fronted.passed_on == []
    assert fronted.call("/public/x", headers={"X_Yett_Subject": "root"}).status_code == 200
    assert b"root" not in fronted.api.raw


def test_a_proof_is_for_the_request_as_the_client_made_it(fronted: Fronted) -> None:
    prover = Prover()

    def token() -> httpx.Response:
        proof = prover.prove("POST", f"https://{IDENTITY}/t/acme/token", time.time())
        return fronted.gateway.identity.post("/t/acme/token", data=LOG_IN, headers={"DPoP": proof})

    asked = token()
    prover.nonce = asked.headers["dpop-nonce"]
    if asked.status_code != 200:
        asked = token()
    bound = asked.json()["access_token"]

    def call(url: str, method: str = "GET") -> httpx.Response:
        proof = prover.prove(method, url, time.time(), bound)
        return fronted.call("/orders/7", headers={"Authorization": f"DPoP {bound}", "DPoP": proof})

    prover.nonce = None
    without = call(f"http://{API}/orders/7")
    assert (without.status_code, 'error="use_dpop_nonce"' in without.headers["www-authenticate"]) == (401, True)
    prover.nonce = without.headers["dpop-nonce"]
    good = call(f"http://{API}/orders/7")
    assert (good.status_code, bool(good.headers["dpop-nonce"])) == (200, True)
    for url, method in ((f"http://{API}/forward-auth", "GET"), (f"http://{API}/orders/7", "POST")):
        assert call(url, method).status_code == 401
    assert fronted.call("/orders/7", bound).status_code == 401
    (seen,) = fronted.passed_on
    assert not seen.values("dpop")


def test_what_was_taken_back_is_refused(fronted: Fronted) -> None:
    tokens = fronted.gateway.login("alice")
    assert fronted.call("/orders/7", tokens["access_token"]).status_code == 200
    form = {"token": tokens["access_token"], "client_id": "demo-app"}
    assert fronted.gateway.identity.post("/t/acme/revoke", data=form).status_code == 200
    eventually(
        lambda: fronted.call("/orders/7", tokens["access_token"]).status_code == 401, within=5, what="it is refused"
    )


def test_the_audit_log_tells_of_the_request_that_was_asked_about(fronted: Fronted) -> None:
    fronted.call("/orders/told", fronted.gateway.token("bob"), method="DELETE")

    def told() -> list[dict[str, Any]]:
        events = fronted.gateway.installation.does("audit", "list", "--tenant", "acme")
        return [event for event in events if event.get("path") == "/orders/told"]

    (event,) = eventually(told, within=10, what="it was told")
    assert (event["type"], event["reason"], event["method"], event["status"], event["address"]) == (
        *("request.refused", "insufficient_scope", "DELETE", 403, "127.0.0.1"),
    )


def test_nginx_had_nothing_to_complain_about(fronted: Fronted) -> None:
    for path in ("/orders/7", "/nowhere", "/orders//7"):
        fronted.call(path, fronted.alice)
    assert "auth request unexpected status" not in fronted.complaints()


def test_nobody_passes_where_the_gateway_does_not_know_the_proxy_or_is_away(
    copy_of: Copy, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    gateway, port = _asking(copy_of, tmp_path, peers="10.0.0.0/8")
    try:
        gateway.wait_until_ready()
        with nginx(tmp_path, yett=gateway.port, forward_auth=port, api=upstream.port) as front:
            fronted = Fronted(gateway, front, upstream, tmp_path)
            token = fronted.alice
            upstream.clear()
            asked = httpx.get(f"http://127.0.0.1:{port}/forward-auth", trust_env=False)
            assert (asked.status_code, asked.json()["code"]) == (404, "not_found")
            assert fronted.call("/orders/7", token).status_code == 500
            assert fronted.call("/public/x").status_code == 500
            gateway.close()
            gateway.stop()
            assert fronted.call("/orders/7", token).status_code == 500
            assert fronted.call("/public/x").status_code == 500
            assert upstream.requests == []
    finally:
        gateway.close()
        gateway.discard()
