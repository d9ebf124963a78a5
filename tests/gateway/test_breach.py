"""The look-up of stolen passwords: five digits go out, padding counts for nothing, an absent service stops nobody."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs

from gateway.breach import Breaches
from gateway.outbound import Outbound
from gateway.settings import from_mapping

PASSWORD = "correct horse battery staple"
DIGEST = "ABF7AAD6438836DBE526AA231ABDE2D0EEF74D42"
PREFIX, SUFFIX = DIGEST[:5], DIGEST[5:]
OTHER = "0" * 35


@dataclass
class Service:
    """A range service that says what it was told to."""

    port: int
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/range/"


@asynccontextmanager
async def serving(body: str, *, status: str = "200 OK") -> AsyncIterator[Service]:
    service = Service(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    service.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield service


def breaches(url: str | None) -> Breaches:
    return Breaches(Outbound((ip_network("127.0.0.0/8"),), timeout=timedelta(seconds=5), max_bytes=10_000), url)


def test_the_digest_here_is_that_of_the_password() -> None:
    assert hashlib.sha1(PASSWORD.encode()).hexdigest().upper() == DIGEST


@pytest.mark.parametrize(
    "body",
    [
        f"{OTHER}:7\r\n{SUFFIX}:3\r\n{'F' * 35}:0\r\n",
        f"{SUFFIX.lower()}:1\n",
        f"{SUFFIX}:216\r\nnot a line\r\n:\r\n",
    ],
)
async def test_a_stolen_password_is_known(body: str) -> None:
    async with serving(body) as service:
        assert await breaches(service.url).known(PASSWORD)


@pytest.mark.parametrize(
    "body",
    [
        f"{OTHER}:7\r\n{SUFFIX[:-1]}0:3\r\n",
        f"{OTHER}:7\r\n{SUFFIX}:0\r\n",
        f"{OTHER}:7\r\nX{SUFFIX}:3\r\n{SUFFIX}X:3\r\n{SUFFIX}\r\n{SUFFIX}:-3\r\n{SUFFIX}:\r\n",
    ],
    ids=["another", "padding", "no line of a range"],
)
async def test_another_password_and_padding_are_not(body: str) -> None:
    async with serving(body) as service:
        with capture_logs() as logged:
            assert not await breaches(service.url).known(PASSWORD)
    assert logged == []


async def test_five_digits_go_out_and_nothing_else_of_the_password() -> None:
    async with serving(f"{OTHER}:1\r\n") as service:
        await breaches(service.url).known(PASSWORD)
    (request,) = service.requests
    assert request.startswith(f"GET /range/{PREFIX} HTTP/1.1\r\n")
    assert "\r\nAdd-Padding: true\r\n" in request
    assert DIGEST[:6] not in request.upper()
    assert SUFFIX[:5] not in request.upper()
    assert "horse" not in request


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("503 Service Unavailable", "", "status_503"),
        ("429 Too Many Requests", f"{SUFFIX}:3", "status_429"),
        ("302 Found", f"{SUFFIX}:3", "status_302"),
        ("200 OK", "<html>Please log in to this network</html>", "answer_malformed"),
        ("200 OK", "", "answer_malformed"),
        ("200 OK", f"{SUFFIX}:3\r\n" + "x" * 20_000, "answer_too_large"),
    ],
)
async def test_a_service_that_is_away_stops_nobody_and_is_told_of(status: str, body: str, reason: str) -> None:
    async with serving(body, status=status) as service:
        with capture_logs() as logged:
            assert not await breaches(service.url).known(PASSWORD)
    assert logged == [{"event": "breach_lookup_failed", "reason": reason, "log_level": "warning"}]


async def test_the_log_of_a_failure_has_nothing_of_the_password() -> None:
    async with serving("") as service:
        pass
    with capture_logs() as logged:
        assert not await breaches(service.url).known(PASSWORD)
        assert not await breaches("http://192.168.0.1/range/").known(PASSWORD)
    assert [entry["reason"] for entry in logged] == ["unreachable", "address_not_public"]
    assert PREFIX not in str(logged).upper()


async def test_without_a_service_nobody_is_asked() -> None:
    with capture_logs() as logged:
        assert not await breaches(None).known(PASSWORD)
        assert not await Breaches.of(from_mapping({"public_url": "http://localhost"}, source="test")).known(PASSWORD)
    assert logged == []


async def test_the_configured_service_is_asked_in_the_networks_that_are_listed() -> None:
    async with serving(f"{SUFFIX}:3\r\n") as service:
        configured = {
            "public_url": "http://localhost",
            "breach_lookup": service.url.replace("127.0.0.1", "localhost"),
        }
        listed = from_mapping({**configured, "outbound_networks": ["127.0.0.0/8"]}, source="test")
        assert await Breaches.of(listed).known(PASSWORD)
        assert not await Breaches.of(from_mapping(configured, source="test")).known(PASSWORD)
    assert len(service.requests) == 1
