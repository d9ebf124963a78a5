"""Calls to addresses that others named: only where they may go, to the address that was judged, and bounded."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from time import monotonic
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from gateway.counted_stream import CountedStream, TooManyBytes, at_most
from gateway.name_lookup import LookUpsBusy, NameLookUp
from gateway.outbound import Outbound, OutboundAnswer, OutboundFailed, OutboundRefused
from gateway.settings.web_address import is_public
from tests.gateway.web_server import OK, TRUSTS_NOBODY, Names, names, serving

TABLE = json.loads((Path(__file__).parents[1] / "vectors/called_addresses.json").read_text(encoding="utf-8"))["refused"]
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def outbound(
    found: Names,
    *,
    allowed: Iterable[str] = (),
    seconds: float = 5,
    max_bytes: int = 1000,
    tls: ssl.SSLContext = TRUSTS_NOBODY,
) -> Outbound:
    networks = (*LOOPBACK, *map(ip_network, allowed))
    return Outbound(networks, timeout=timedelta(seconds=seconds), max_bytes=max_bytes, resolve=found.resolve, tls=tls)


@dataclass
class Scripted(httpcore.AsyncNetworkStream):
    """A connection on which ``left`` has come already: reading it never waits."""

    left: bytes
    read_: list[int]

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's
        said, self.left = self.left[:max_bytes], self.left[max_bytes:]
        self.read_.append(len(said))
        return said or b"x"


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """An address that takes no connection and refuses none: its queue is full."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(3):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


async def reason(call: Callable[[], Awaitable[object]], *, of: type[OutboundFailed] = OutboundFailed) -> str:
    with pytest.raises(OutboundFailed) as caught:
        await call()
    assert type(caught.value) is of
    return caught.value.reason


async def test_an_answer_is_fetched_from_the_address_that_the_name_has() -> None:
    found = names(api_example_com=["127.0.0.1"])
    async with serving(OK) as server:
        answer = await outbound(found).get(
            f"http://api.example.com:{server.port}/range/5BAA6?x=%2F&y=", headers={"Add-Padding": "true"}
        )
    assert answer == OutboundAnswer(200, b"hi")
    assert found.asked == [("api.example.com", server.port)]
    line, *headers = server.requests[0].decode().strip().split("\r\n")
    assert line == "GET /range/5BAA6?x=%2F&y= HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Add-Padding: true",
        "Connection: close",
        f"Host: api.example.com:{server.port}",
        "User-Agent: Yett",
    ]


async def test_a_form_is_posted_once() -> None:
    found = names(rp_example_com=["127.0.0.1"])
    async with serving(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        answer = await outbound(found).post_form(
            f"http://rp.example.com:{server.port}/logout?of=x", {"logout_token": "a.b.c&d=e\r\n", "ä": "%"}
        )
    assert answer == OutboundAnswer(204, b"")
    (request,) = server.requests
    head, body = request.decode().split("\r\n\r\n")
    line, *headers = head.split("\r\n")
    assert line == "POST /logout?of=x HTTP/1.1"
    assert body == "logout_token=a.b.c%26d%3De%0D%0A&%C3%A4=%25"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Connection: close",
        f"Content-Length: {len(body)}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Host: rp.example.com:{server.port}",
        "User-Agent: Yett",
    ]


async def test_a_name_is_looked_up_once_so_that_a_second_answer_cannot_lead_elsewhere() -> None:
    found = Names({"rebind.example": [["127.0.0.1"], ["127.0.0.9"]]})
    async with serving(OK) as server:
        await outbound(found).get(f"http://rebind.example:{server.port}/")
        assert len(found.asked) == 1
        assert await reason(lambda: outbound(found).get(f"http://rebind.example:{server.port}/")) == "unreachable"
    assert len(server.requests) == 1


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with serving(OK) as server:
        found = names(api_example_com=["127.0.0.7", "::1", "127.0.0.1"])
        assert (await outbound(found).get(f"http://api.example.com:{server.port}/")).status == 200


async def test_an_ipv6_address_is_reached_and_named_in_brackets() -> None:
    async with serving(OK, address="::1") as server:
        found = Names({"::1": [["::1"]]})
        assert (await outbound(found).get(f"http://[::1]:{server.port}")).body == b"hi"
    assert f"Host: [::1]:{server.port}\r\n".encode() in server.requests[0]
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "100.64.0.1", "100.127.255.255", "169.254.169.254", "192.0.0.1", "192.0.0.170", "192.0.2.1"),
    *("192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%1", "febf::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1"),
    *("100::1", "2001:db8::1", "3fff::1", "2001::1", "2001:10::1", "2001:20::1", "4000::1", "e000::1", "5f00::1"),
    # IPv4 inside of IPv6: mapped, compatible, 6to4, Teredo, NAT64, NAT64 of one's own network
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1", "2002:7f00:1::1"),
    *("2002:a00:1::1", "2002:808:808::1", "2001:0:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
]
PUBLIC = [
    *(
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
    ),
    *("192.0.1.1", "192.167.255.255", "192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "126.0.0.1"),
    *("2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_an_address_that_is_not_public_is_never_connected_to(address: str) -> None:
    assert not is_public(ip_address(address))
    guarded = Outbound((), resolve=names(evil_example=[address]).resolve, tls=TRUSTS_NOBODY)
    for url in ("http://evil.example/", "https://evil.example:8443/"):
        assert await reason(lambda url=url: guarded.get(url), of=OutboundRefused) == "address_not_public"
        assert await reason(lambda url=url: guarded.post_form(url, {"a": "b"}), of=OutboundRefused) == (
            "address_not_public"
        )


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_what_python_calls_private_is_not_public(address: object) -> None:
    judged = ip_address(str(address))
    if is_public(judged) and not str(judged).startswith(("64:ff9b::", "::ffff:")):
        assert judged.is_global
        assert not judged.is_multicast
        assert not judged.is_reserved


async def test_only_the_permitted_addresses_of_a_name_are_tried() -> None:
    async with serving(OK, address="127.0.0.1") as server:
        found = names(both_example=["10.0.0.1", "169.254.169.254", "127.0.0.1"])
        begun = monotonic()
        assert (await outbound(found).get(f"http://both.example:{server.port}/")).status == 200
    assert monotonic() - begun < 2


async def test_a_listed_network_is_allowed_in_every_spelling_and_no_other_one() -> None:
    async with serving(OK) as server:
        for address in ("127.0.0.1", "::ffff:127.0.0.1"):
            found = names(inside_example=[address])
            guarded = Outbound((ip_network("127.0.0.1/32"),), resolve=found.resolve, timeout=timedelta(seconds=2))
            assert (await guarded.get(f"http://inside.example:{server.port}/")).status == 200
        elsewhere = Outbound((ip_network("127.0.0.2/32"), ip_network("fd00::/8")), resolve=found.resolve)
        refused = await reason(lambda: elsewhere.get(f"http://inside.example:{server.port}/"), of=OutboundRefused)
    assert refused == "address_not_public"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "017700000001"),
        *(
            "127.0.0.1.",
            "localhost.",
            "127.0.0.01",
            "0",
            "0x",
            "1.2.3.4.5",
            "[::ffff:7f00:1",
            "[127.0.0.1]",
            "[::1%25lo]",
        ),
        *(
            "a..b",
            "",
            "-",
            "ex ample.com",
            "exam\\ple.com",
            "ｅxample.com",
            "①②⑦.⓪.⓪.①",
            "user@example.com",
            "u:p@example.com",
        ),
        *(
            "example.com\\@evil.example",
            "evil.example#@example.com",
            "@",
            "example.com:0",
            "example.com:65536",
            "x" * 64,
        ),
        *("example.com\r\nHost: evil", "example.com\t", "example.com:80:80", "example.com:-1", "a%2eb"),
    ],
)
async def test_a_host_that_is_written_in_no_plain_way_is_refused_before_anything_is_looked_up(host: str) -> None:
    found = names()
    url = f"http://{host}/"
    assert await reason(lambda: outbound(found).get(url), of=OutboundRefused) == "url_malformed"
    assert await reason(lambda: outbound(found).post_form(url, {}), of=OutboundRefused) == "url_malformed"
    assert found.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "example.com",
            "//example.com/",
            "/path",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
        ),
        *(
            "http:example.com",
            "http:/example.com",
            "javascript:alert(1)",
            "http+unix://%2Ftmp/",
            "http://example.com/a b",
        ),
        *(
            "http://example.com/é",
            "http://example.com/#f",
            "http://example.com/\n",
            " http://example.com/",
            "http://e.com/\\x",
        ),
        *("http://example.com/" + "x" * 2000,),
    ],
)
async def test_what_is_no_plain_http_address_is_refused(url: str) -> None:
    found = names()
    assert await reason(lambda: outbound(found).get(url), of=OutboundRefused) == "url_malformed"
    assert await reason(lambda: outbound(found).post_form(url, {}), of=OutboundRefused) == "url_malformed"
    assert found.asked == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['kind']}: {row['url']} {row['addresses'] or ''}")
async def test_no_address_of_the_table_is_called_in_any_way(row: dict[str, Any]) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [host] if row["addresses"] is None else row["addresses"]

    guarded = Outbound((), resolve=resolve, tls=TRUSTS_NOBODY)
    for call in (lambda: guarded.get(row["url"]), lambda: guarded.post_form(row["url"], {"logout_token": "x"})):
        assert await reason(call, of=OutboundRefused) == row["reason"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with serving(OK) as inner:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/\r\nContent-Length: 0\r\n\r\n"
        async with serving(moved.encode()) as server:
            found = names(api_example_com=["127.0.0.1"])
            url = f"http://api.example.com:{server.port}/"
            assert await outbound(found).get(url) == OutboundAnswer(302, b"")
        for status in ("302 Found", "307 Temporary Redirect", "308 Permanent Redirect"):
            again = moved.replace("302 Found", status)
            async with serving(again.encode()) as server:
                answer = await outbound(found).post_form(f"http://api.example.com:{server.port}/", {"a": "b"})
            assert answer == OutboundAnswer(int(status[:3]), b"")
    assert inner.requests == []


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(OK) as proxy, serving(OK) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        found = names(api_example_com=["127.0.0.1"])
        assert (await outbound(found).get(f"http://api.example.com:{server.port}/")).status == 200
    assert proxy.requests == []


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_an_answer_is_not_read_beyond_its_bound(head: bytes) -> None:
    async with serving(head, *[b"x" * 100_000] * 1000) as server:
        found = names(api_example_com=["127.0.0.1"])
        assert await reason(lambda: outbound(found).get(f"http://api.example.com:{server.port}/")) == "answer_too_large"
        await asyncio.wait_for(server.closed.wait(), 5)  # the connection is closed, the rest is not swallowed


FRAMING = {
    "interim answers without end": [b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000] * 100,
    "chunks of one byte": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n" * 500] * 1000],
    "chunks with long extensions": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *[b"1;" + b"x" * 8000 + b"\r\nx\r\n"] * 100,
    ],
    "a head without end": [b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 500 + b"\r\n"] * 1000],
    "trailers": [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        *[b"X: " + b"x" * 500 + b"\r\n"] * 1000,
    ],
}


@pytest.mark.parametrize("says", FRAMING.values(), ids=FRAMING)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_surrounds_an_answer_counts_too(says: list[bytes], scheme: str, authority: "Authority") -> None:
    async with serving(*says, tls=authority.server if scheme == "https" else None) as server:
        guarded = outbound(names(api_example_com=["127.0.0.1"]), max_bytes=10_000, tls=authority.client)
        assert await reason(lambda: guarded.get(f"{scheme}://api.example.com:{server.port}/")) == "answer_too_large"
        await asyncio.wait_for(server.closed.wait(), 5)


async def test_others_have_their_turn_after_every_kib_of_an_answer() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    read: list[int] = []
    came = Scripted(b"x" * 16_384, read)
    stream = CountedStream(came, at_most(16_384))
    beside = asyncio.create_task(others())
    for _ in range(16):
        assert len(await stream.read(65_536)) == 1024
    beside.cancel()
    assert read == [1024] * 16
    assert turns >= 16
    with pytest.raises(TooManyBytes):
        await stream.read(1)


async def test_names_that_hang_keep_only_their_own_threads_busy_and_are_refused_when_all_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event loop's own threads, which files and databases are read in, have nothing to do with it."""
    gives_up = threading.Event()
    found = [(0, 0, 0, "", ("127.0.0.1", 80))]

    def hang(host: str, port: int, **_: object) -> object:
        if host == "hangs.example":
            gives_up.wait()
        return found

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    look_up = NameLookUp(at_once=2)
    hasty = Outbound((), resolve=look_up.resolve, timeout=timedelta(seconds=0.1), tls=TRUSTS_NOBODY)
    reasons = [await reason(lambda: hasty.get("http://hangs.example/")) for _ in range(3)]
    assert reasons == ["timed_out", "timed_out", "lookups_busy"]
    gives_up.set()
    while True:  # the threads are free again as soon as the system has given up
        try:
            assert await look_up.resolve("api.example.com", 80) == ["127.0.0.1"]
        except LookUpsBusy:
            await asyncio.sleep(0)
        else:
            break


async def test_a_client_that_named_its_address_itself_is_not_called_in_a_private_network() -> None:
    found = names(inside_example=["127.0.0.1"])
    async with serving(OK) as server:
        guarded, url = outbound(found), f"http://inside.example:{server.port}/"
        for call in (lambda: guarded.get(url, public_only=True), lambda: guarded.post_form(url, {}, public_only=True)):
            assert await reason(call, of=OutboundRefused) == "address_not_public"
        assert (await guarded.get(url)).status == 200
    assert len(server.requests) == 1


async def test_an_address_that_says_nothing_leaves_the_next_one_its_time() -> None:
    async with serving(OK, address="127.0.0.1") as server:
        with silent("127.0.0.7", server.port):
            found = names(api_example_com=["127.0.0.7", "127.0.0.1"])
            answer = await outbound(found, seconds=2).get(f"http://api.example.com:{server.port}/")
    assert answer.status == 200


async def test_an_answer_of_just_the_bound_is_whole() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000) as server:
        found = names(api_example_com=["127.0.0.1"])
        assert len((await outbound(found).get(f"http://api.example.com:{server.port}/")).body) == 1000


@pytest.mark.parametrize(
    "says",
    [
        [60.0],
        [b"HTTP/1.1 200 OK\r\n", 60.0],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", 60.0],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\nx\r\n", 0.05] * 1000],
    ],
    ids=["silent", "half a head", "half a body", "a drop at a time"],
)
async def test_a_call_takes_no_longer_than_its_bound(says: list[bytes | float]) -> None:
    async with serving(*says) as server:
        found = names(api_example_com=["127.0.0.1"])
        begun = monotonic()
        slow = outbound(found, seconds=0.3)
        assert await reason(lambda: slow.get(f"http://api.example.com:{server.port}/")) == "timed_out"
        assert monotonic() - begun < 2


async def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    slow = Outbound(LOOPBACK, resolve=hang, timeout=timedelta(seconds=0.2))
    assert await reason(lambda: slow.get("http://api.example.com/")) == "timed_out"


@pytest.mark.parametrize(
    "says",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 110_000,
        b"",
    ],
)
async def test_what_is_no_answer_is_told_as_such(says: bytes) -> None:
    async with serving(says) as server:
        found = names(api_example_com=["127.0.0.1"])
        wide = outbound(found, max_bytes=100_000)
        assert await reason(lambda: wide.get(f"http://api.example.com:{server.port}/")) == "answer_malformed"


async def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    async with serving() as server:
        pass
    found = names(api_example_com=["127.0.0.1"], empty_example=[])
    assert await reason(lambda: outbound(found).get(f"http://api.example.com:{server.port}/")) == "unreachable"
    assert await reason(lambda: outbound(found).get("http://nobody.example/")) == "name_unknown"
    assert (
        await reason(lambda: outbound(found).get("http://empty.example/"), of=OutboundRefused) == "address_not_public"
    )


async def test_the_systems_resolver_is_asked_where_no_other_is_handed_in() -> None:
    async with serving(OK) as server:
        open_ = Outbound(LOOPBACK, timeout=timedelta(seconds=5))
        assert (await open_.get(f"http://localhost:{server.port}/")).status == 200
        shut = Outbound((), timeout=timedelta(seconds=5))
        for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"):
            url = f"http://{host}:{server.port}/"
            assert await reason(lambda url=url: shut.get(url), of=OutboundRefused) == "address_not_public"
    assert len(server.requests) == 1


@dataclass(frozen=True)
class Authority:
    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate for ``api.example.com``, and a client that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("api.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Authority(server, ssl.create_default_context(cafile=str(path)))


async def test_tls_is_for_the_name_and_not_for_the_address(authority: Authority) -> None:
    found = names(api_example_com=["127.0.0.1"], evil_example=["127.0.0.1"])
    async with serving(OK, tls=authority.server) as server:
        guarded = outbound(found, tls=authority.client)
        assert await guarded.get(f"https://api.example.com:{server.port}/") == OutboundAnswer(200, b"hi")
        assert await reason(lambda: guarded.get(f"https://evil.example:{server.port}/")) == "unreachable"
        stranger = Outbound(LOOPBACK, resolve=found.resolve)
        assert await reason(lambda: stranger.get(f"https://api.example.com:{server.port}/")) == "unreachable"
    assert len(server.requests) == 1


async def test_a_server_that_never_finishes_its_handshake_is_left(authority: Authority) -> None:
    async with serving(60.0) as server:
        found = names(api_example_com=["127.0.0.1"])
        slow = outbound(found, seconds=0.3, tls=authority.client)
        assert await reason(lambda: slow.get(f"https://api.example.com:{server.port}/")) == "timed_out"
        await asyncio.wait_for(server.closed.wait(), 5)
