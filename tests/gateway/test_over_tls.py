"""Behind TLS of our own: an answer only under a certificate for the host asked for, and word of https for browsers."""

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from gateway.over_tls import OverTls
from gateway.server.tls import NAMES
from tests.gateway.server.apps import Recorder

NAMES_SHOWN = frozenset({"auth.example.com", "*.api.example.com", "192.0.2.9", "localhost", "x.localhost"})
YEAR = 365 * 24 * 3600
LINE = (b"strict-transport-security", b"max-age=31536000")


def over(app: ASGIApp, hsts: int = YEAR) -> OverTls:
    trusted = (ip_network("10.0.0.0/8"),)
    return OverTls(app, nowhere=PlainTextResponse("nowhere", 421), hsts=hsts, trusted_proxies=trusted)


async def ask(app: OverTls, host: bytes, peer: tuple[str, int] | None = ("192.0.2.7", 1)) -> dict[str, Any]:
    """The start of the answer."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"accept", b"*/*"), (b"host", host)],
        "client": peer,
        "state": {NAMES: NAMES_SHOWN},
    }
    await app(scope, receive, send)
    found: dict[str, Any] = sent[0]
    return found


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"auth.example.com", 200),
        (b"AUTH.example.com:8443", 200),
        (b"auth.example.com.", 200),
        (b"a.api.example.com", 200),
        (b"a.b.api.example.com", 421),
        (b"api.example.com", 421),
        (b"other.example.com", 421),
        (b"192.0.2.9:443", 200),
        (b"192.0.2.1", 421),
        (b"[2001:db8::1]:443", 421),
        (b"", 421),
    ],
)
async def test_a_host_that_the_certificate_is_not_for_is_421(host: bytes, status: int) -> None:
    recorder = Recorder()
    app = over(recorder)
    assert [(await ask(app, host))["status"] for _ in range(2)] == [status] * 2  # found, and remembered
    assert len(recorder.requests) == (2 if status == 200 else 0)


@pytest.mark.parametrize("peer", [("10.1.2.3", 1), ("::ffff:10.1.2.3", 1)])
async def test_what_a_trusted_proxy_asks_for_is_answered_under_any_certificate(peer: tuple[str, int]) -> None:
    app = over(Recorder())
    assert (await ask(app, b"other.example.com"))["status"] == 421
    answer = await ask(app, b"other.example.com", peer)
    assert answer["status"] == 200
    assert LINE not in answer["headers"]


async def test_a_peer_without_an_address_is_no_proxy() -> None:
    assert (await ask(over(Recorder()), b"other.example.com", None))["status"] == 421
    assert (await ask(over(Recorder()), b"other.example.com", ("/run/x.sock", 0)))["status"] == 421


async def test_browsers_are_told_to_come_by_https() -> None:
    assert LINE in (await ask(over(Recorder()), b"auth.example.com"))["headers"]


@pytest.mark.parametrize("host", [b"localhost:8443", b"x.localhost", b"192.0.2.9"])
async def test_loopback_names_and_addresses_are_not(host: bytes) -> None:
    answer = await ask(over(Recorder()), host)
    assert answer["status"] == 200
    assert LINE not in answer["headers"]


async def test_nor_is_anybody_where_it_is_turned_off() -> None:
    assert LINE not in (await ask(over(Recorder(), hsts=0), b"auth.example.com"))["headers"]


async def test_what_an_api_says_itself_stays() -> None:
    own = PlainTextResponse("ok", headers={"Strict-Transport-Security": "max-age=1; preload"})
    headers = (await ask(over(own), b"auth.example.com"))["headers"]
    assert [value for name, value in headers if name.lower() == LINE[0]] == [b"max-age=1; preload"]


async def test_what_is_remembered_of_hosts_is_bounded() -> None:
    app = over(Recorder())
    for number in range(1500):
        await ask(app, b"h%d.example.com" % number)
    assert len(app._known) <= 1024
    await ask(app, b"a" * 400)
    assert not [host for _, host in app._known if len(host) > 300]


async def test_what_it_tells_and_whom_it_trusts_can_change() -> None:
    app = over(Recorder())
    app.tell(60)
    app.trust((ip_network("192.0.2.0/24"),))
    assert (b"strict-transport-security", b"max-age=60") in (await ask(app, b"auth.example.com"))["headers"]
    assert (await ask(app, b"other.example.com", ("192.0.2.7", 1)))["status"] == 200
    assert (await ask(app, b"other.example.com", ("10.1.2.3", 1)))["status"] == 421
    app.tell(0)
    assert LINE[0] not in dict((await ask(app, b"auth.example.com"))["headers"])
