"""Whatever a client sends, an API sees it as it was decided about, or not at all: path, host, identity and framing.

Requests are made of what has fooled servers before, go through the real protocol and data plane in arbitrary pieces,
and are judged by what came out at the upstream's socket, on every reading of a path that some server is known to have.
"""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.server.asgi import App
from tests.gateway.proxy.harness import HOST, OK, Peer, eventually, world
from tests.gateway.server.memory import MemoryConnection, cuts

T = TypeVar("T")
SOAK = bool(os.environ.get("YETT_TEST_SOAK"))
EXAMPLES = 20_000 if SOAK else 500
TAIL = f"GET /public/tail HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
EVIL = b"evil-value"

_PIECES = st.sampled_from(
    [
        *(b"/", b"//", b"/.", b"/..", b"/./", b"/../", b"\\", b";", b";a=b", b"?", b"#", b"%", b" ", b"\t", b"\0"),
        *(b"%2f", b"%2F", b"%5c", b"%2e", b"%2e%2e", b".%2e", b"%252e", b"%252f", b"%3b", b"%3f", b"%23", b"%00"),
        *(b"%c0%ae", b"%c0%af", b"%61", b"%c3%a9", b"%ef%bc%8e", b"%u002e", b"\xc3\xa9", b"%25", b"%20", b"%0d%0a"),
        *(b"orders", b"public", b"admin", b"files", b"passes", b"x", b"7", b".", b"..", b"a=b", b"*", b"@", b":"),
    ]
)
_FIRST = st.sampled_from([b"/public/", b"/orders/", b"/files/", b"/admin/", b"/passes/", b"/", b""])
_SOUND_PATHS = st.sampled_from(
    [b"/public/x", b"/public/caf%c3%a9/", b"/public", b"/orders/7", b"/files/a%2fb", b"/files/a%3Fb", b"/passes/a:b@c"]
)
_PATHS = st.builds(
    lambda first, rest: first + b"".join(rest), st.one_of(_FIRST, _SOUND_PATHS), st.lists(_PIECES, max_size=3)
)
_QUERIES = st.sampled_from([b"?a=/../admin&b=%00;c", b"?%zz", b"??//", b"?a#x", b"? x"])

_OURS = (
    *(b"x-yett-tenant", b"x-yett-subject", b"x-yett-scopes", b"x-yett-identity", b"x-forwarded-for", b"forwarded"),
    *(b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip", b"x-original-url", b"x-rewrite-url", b"x-request-id"),
    *(b"x-http-method-override", b"proxy-authorization", b"proxy", b"te", b"keep-alive", b"x-forwarded-user"),
)


@st.composite
def _alias(draw: st.DrawFn) -> bytes:
    """A name of ours in some spelling that a CGI, or a forgiving server, reads as the same."""
    name = draw(st.sampled_from(_OURS))
    sign = draw(st.sampled_from([b"-", b"_", b".", b"~", b"--", b"-_", b"!"]))
    around = draw(st.sampled_from([(b"", b""), (b"_", b""), (b"", b"-"), (b"", b"_")]))
    spelled = around[0] + name.replace(b"-", sign) + around[1]
    return spelled.title() if draw(st.booleans()) else spelled


_ALIASES = st.lists(st.tuples(_alias(), st.just(EVIL)), max_size=3)
_FIELDS = st.lists(
    st.sampled_from(
        [
            *(
                (b"Connection", value)
                for value in (b"close", b"x-keep", b"authorization, host", b"x-yett-subject", b"te")
            ),
            *((b"Cookie", value) for value in (b"a=1", b"__Host-yett-acme-session=" + EVIL, b"yett-x=" + EVIL)),
            *((name, b"v") for name in (b"X_Keep", b"Host ", b"X\x00A", b"X-A\r\n Folded", b"", b"X-\xe9")),
        ]
    ),
    max_size=3,
)
_AUTHORIZATION = st.sampled_from(
    [
        *[(), (b"bearer alice",), (b"Bearer mallory",), (b"Bearer alice", b"Bearer alice")],
        *[(b"Bearer alice, Bearer mallory",), (b"Basic alice",)],
    ]
)
_HOSTS = st.sampled_from([(), (HOST, HOST), (HOST + ".",), ("evil.test",), (HOST + ", evil.test",), ("x@" + HOST,)])
_METHODS = st.sampled_from([b"POST", b"DELETE", b"OPTIONS", b"get", b"TRACE"])


@dataclass(frozen=True)
class Framed:
    """A body, and the fields that frame it; ``body`` is None where they do not do so in one way only."""

    fields: tuple[tuple[bytes, bytes], ...]
    wire: bytes
    body: bytes | None


_INNER = b"GET /admin/smuggled HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n"
_LENGTH, _CODING = b"Content-Length", b"Transfer-Encoding"
_CHUNKS = b"3\r\nabc\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(_INNER), _INNER)
_SOUND_FRAMING = st.sampled_from(
    [
        Framed((), b"", b""),
        Framed(((_LENGTH, b"0"),), b"", b""),
        Framed(((_LENGTH, b"%d" % len(_INNER)),), _INNER, _INNER),
        Framed(((_LENGTH, b"003"),), b"abc", b"abc"),
        Framed(((_CODING, b"chunked"),), _CHUNKS, b"abc" + _INNER),
        Framed(((_CODING, b"Chunked"),), b"1;x=y\r\na\r\n0\r\nX-Yett-Subject: " + EVIL + b"\r\n\r\n", b"a"),
        Framed(((_LENGTH, b"3"), (b"Transfer_Encoding", b"chunked")), b"0\r\n", b"0\r\n"),
    ]
)
_UNSOUND_FRAMING = st.sampled_from(
    [
        Framed(((_LENGTH, b"5"), (_CODING, b"chunked")), b"0\r\n\r\n", None),
        Framed(((_CODING, b"chunked"), (_LENGTH, b"5")), b"0\r\n\r\n" + _INNER, None),
        Framed(((_LENGTH, b"5"), (_LENGTH, b"0")), b"abcde", None),
        Framed(((_LENGTH, b"+5"),), b"abcde", None),
        Framed(((_LENGTH, b"5, 5"),), b"abcde", None),
        Framed(((_CODING, b"xchunked"),), _CHUNKS, None),
        Framed(((_CODING, b"chunked, identity"),), _CHUNKS, None),
        Framed(((_CODING, b"\x0bchunked"),), _CHUNKS, None),
        Framed(((_CODING, b"chunked"),), b"3\r\nabcX\r\n0\r\n\r\n" + _INNER, None),
        Framed(((_CODING, b"chunked"),), b"-1\r\n\r\n0\r\n\r\n" + _INNER, None),
        Framed(((_CODING, b"chunked"),), b"3\nabc\n0\n\n" + _INNER, None),
    ]
)


@dataclass(frozen=True)
class Sent:
    """One generated request, and what it is as it stands."""

    method: bytes
    target: bytes
    hosts: tuple[str, ...]
    authorization: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    framed: Framed
    version: bytes = b"HTTP/1.1"

    def wire(self) -> bytes:
        lines = [b"Host: " + host.encode() for host in self.hosts]
        lines += [b"Authorization: " + value for value in self.authorization]
        lines += [b"X-Keep: kept"]
        lines += [name + b": " + value for name, value in (*self.fields, *self.framed.fields)]
        head = b"%b %b %b\r\n" % (self.method, self.target, self.version)
        return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + self.framed.wire


@st.composite
def _requests(draw: st.DrawFn) -> Sent:
    """A sound request with something of it in a strange way, but for a few parts: of many strange ones none passes."""
    parts = ("path", "path", "path", "path", "method", "query", "hosts", "authorization", "fields", "framing")
    strange = draw(st.lists(st.sampled_from(parts), max_size=2))

    def part(name: str, usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> T:
        return draw(odd if name in strange else usual)

    return Sent(
        method=part("method", st.just(b"GET"), _METHODS),
        target=part("path", _SOUND_PATHS, _PATHS) + part("query", st.just(b""), _QUERIES),
        hosts=part("hosts", st.just((HOST,)), _HOSTS),
        authorization=part("authorization", st.just((b"Bearer alice",)), _AUTHORIZATION),
        fields=tuple(part("fields", _ALIASES, _FIELDS)),
        framed=part("framing", _SOUND_FRAMING, _UNSOUND_FRAMING),
    )


@dataclass
class Seen:
    """A request as it came out of the upstream's socket; ``body`` is None until its end was there."""

    head: bytes
    body: bytes | None = None

    @property
    def request_line(self) -> bytes:
        return self.head.partition(b"\r\n")[0]

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        pairs = (line.partition(b": ") for line in self.head.split(b"\r\n")[1:-2])
        return [(name, value) for name, _, value in pairs]

    def values(self, name: bytes) -> list[bytes]:
        return [value for field_name, value in self.fields if field_name == name]


@dataclass
class Ledger:
    """Every request that reached the upstream, and how many did so in all."""

    seen: list[Seen] = field(default_factory=list)
    passed: int = 0
    with_a_body: int = 0
    protected: int = 0

    async def script(self, peer: Peer) -> None:
        while True:
            seen = Seen(await peer.head())
            self.seen.append(seen)
            if length := seen.values(b"content-length"):
                seen.body = await peer.reader.readexactly(int(length[0]))
            else:
                seen.body = await peer.chunked() if seen.values(b"transfer-encoding") else b""
            await peer.send(OK)


def readings(path: bytes) -> set[bytes]:
    """The path as servers are known to read it: decoded, with other slashes, without parameters, with dots resolved."""
    found, fresh = {path}, {path}
    while fresh and len(found) < 64:
        fresh = {read(one) for one in fresh for read in _READERS} - found
        found |= fresh
    return found


def _dots(path: bytes) -> bytes:
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return b"/" + b"/".join(kept)


_READERS: tuple[Callable[[bytes], bytes], ...] = (
    unquote_to_bytes,
    lambda path: path.replace(b"\\", b"/"),
    lambda path: re.sub(rb";[^/]*", b"", path),
    lambda path: re.sub(rb"/{2,}", b"/", path),
    lambda path: re.split(rb"[\0?#\r\n]", path)[0],
    _dots,
)


def area(path: bytes) -> bytes:
    return path.split(b"/")[1] if path.startswith(b"/") else b""


def judge(sent: Sent, ledger: Ledger) -> None:
    """What may be at the upstream after ``sent`` and the request behind it."""
    seen = ledger.seen
    others = [one for one in seen if one.request_line != b"GET /public/tail HTTP/1.1"]
    assert len(seen) - len(others) <= 1
    assert len(others) <= 1
    assert not [one for one in seen if b"smuggled" in one.head]
    assert not [one for one in seen if EVIL in one.head]
    if not others:
        return
    (request,) = others
    path, _, query = sent.target.partition(b"?")
    assert request.request_line == b"%b %b HTTP/1.1" % (sent.method, path + (b"?" + query if query else b""))
    assert len(sent.hosts) == 1
    assert request.values(b"host") == [sent.hosts[0].encode()]
    assert request.body == sent.framed.body if sent.framed.body is not None else request.body is None
    assert len(request.values(b"content-length")) + len(request.values(b"transfer-encoding")) <= 1
    read = {reading.rstrip(b"/") for reading in readings(path)}
    if area(path) == b"files" or b"%3b" in path.lower():
        # Data that some servers read as a slash or as a parameter's beginning: it leads to no other route.
        assert {area(reading) for reading in read} == {area(path)}
    else:
        assert read <= {path.rstrip(b"/"), unquote_to_bytes(path).rstrip(b"/")}
    _judge_identity(sent, request, area(path))
    named = any(name == b"Connection" and b"x-keep" in value for name, value in sent.fields)
    assert request.values(b"x-keep") == ([] if named else [b"kept"])
    ledger.passed += 1
    ledger.with_a_body += bool(request.body)
    ledger.protected += area(path) != b"public"


def _judge_identity(sent: Sent, request: Seen, where: bytes) -> None:
    told = {name: value for name, value in request.fields if name.startswith(b"x-yett")}
    assert len(told) == len([name for name, _ in request.fields if b"yett" in name])
    assert len(sent.authorization) <= 1
    if where == b"public":
        assert told == {}
    else:
        assert where in (b"orders", b"files", b"passes")
        assert [value.lower() for value in sent.authorization] == [b"bearer alice"]
        assert told == {
            b"x-yett-tenant": b"acme",
            b"x-yett-subject": b"alice",
            b"x-yett-client": b"demo-app",
            b"x-yett-scopes": b"orders:read orders:write",
        }
    assert request.values(b"authorization") == ([sent.authorization[0]] if where == b"passes" else [])
    assert request.values(b"x-forwarded-for") == [b"192.0.2.7"]
    assert request.values(b"x-forwarded-proto") == [b"http"]
    assert request.values(b"x-forwarded-host") == [sent.hosts[0].encode()]


async def _send(app: App, pieces: list[bytes]) -> None:
    client = MemoryConnection(app)
    for piece in pieces:
        await eventually(lambda: client.transport.reading or client.transport.closing)
        if client.transport.closing:
            break
        client.protocol.data_received(piece)
    await eventually(lambda: client.ended and not client.state.tasks)
    client.transport.abort()
    await client.settle()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_nothing_reaches_an_api_otherwise_than_it_was_decided() -> None:
    ledger = Ledger()

    async def one(app: App, sent: Sent, places: list[int]) -> None:
        ledger.seen = []
        data = sent.wire() + TAIL
        await _send(app, cuts(data, [place for place in places if place < len(data)]))
        judge(sent, ledger)

    with asyncio.Runner() as runner:
        served = world(ledger.script)
        made, _ = runner.run(served.__aenter__())

        @settings(max_examples=EXAMPLES, derandomize=not SOAK, deadline=None)
        @given(_requests(), st.lists(st.integers(0, 400), max_size=3))
        def every(sent: Sent, places: list[int]) -> None:
            runner.run(one(made.plane, sent, places))

        try:
            every()
        finally:
            runner.run(served.__aexit__(None, None, None))
    # It says nothing if nothing came through.
    assert ledger.passed > EXAMPLES // 5
    assert ledger.with_a_body > EXAMPLES // 20
    assert ledger.protected > EXAMPLES // 20
