"""The header rules towards the upstream, as a table (design section 2 "To the upstream", RFC 9110 section 7.6).

A name is classified once and remembered. Aliases count: ``X_Yett_Subject`` reaches a CGI or WSGI application as the
same variable as ``X-Yett-Subject``, so a name is judged with any run of other signs read as a hyphen, and a name that
is one of the table's only by that reading is dropped.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from tenants.api_key import PREFIX

_REMEMBERED = 2048
_OTHER_SIGNS = re.compile(rb"[^a-z0-9]+")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?P<later>-.*)?")
_COOKIE_NAME = re.compile(rb"\s*(?:__host-)?yett-", re.IGNORECASE)
_API_KEY = re.compile(rb"(?<![A-Za-z0-9._~+/-])" + PREFIX.encode("ascii"))  # not in the middle of a token (RFC 7235)
_NO_NAMES: frozenset[bytes] = frozenset()
_IDENTITY, _ORIGINAL = b"x-yett-", b"x-original-"
_ASKED_WITH = frozenset({b"x-original-uri", b"x-original-method"})  # nginx's, about which request it asks


class Kind(IntEnum):
    """What happens to a request's header field."""

    KEEP = 0
    DROP = 1
    VOUCHED = 2  # kept from a trusted proxy
    FORWARDED_FOR = 3  # read, and written anew
    FORWARDED_PROTO = 4
    HOST = 5
    CONNECTION = 6
    AUTHORIZATION = 7
    COOKIE = 8
    LENGTH = 9
    CODING = 10
    UPGRADE = 11
    TRACEPARENT = 12
    TRACESTATE = 13
    PROOF = 14


_HOST, _AUTHORIZATION = int(Kind.HOST), int(Kind.AUTHORIZATION)  # of every request, so compared as plain numbers

_MISLEADING = (
    # another request than the one that was decided about
    b"x-rewrite-url",
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-host",
    # who the caller is: the gateway's to say
    b"x-forwarded-user",
    b"x-forwarded-preferred-username",
    b"x-forwarded-email",
    b"x-forwarded-groups",
    b"x-forwarded-access-token",
)

# What is not in the table is kept.
RULES: dict[bytes, Kind] = {
    b"host": Kind.HOST,
    b"authorization": Kind.AUTHORIZATION,  # only where the route says so, and never an API key
    b"dpop": Kind.PROOF,  # with it
    b"cookie": Kind.COOKIE,  # without ours
    b"content-length": Kind.LENGTH,
    # hop by hop
    b"connection": Kind.CONNECTION,
    b"transfer-encoding": Kind.CODING,
    b"upgrade": Kind.UPGRADE,
    b"te": Kind.DROP,
    b"trailer": Kind.DROP,
    b"keep-alive": Kind.DROP,
    b"expect": Kind.DROP,  # answered here
    b"http2-settings": Kind.DROP,
    # what the gateway says itself
    b"x-request-id": Kind.DROP,
    b"x-forwarded-host": Kind.DROP,
    b"traceparent": Kind.TRACEPARENT,  # kept if valid
    b"tracestate": Kind.TRACESTATE,  # kept with it
    # where the request came from
    b"x-forwarded-for": Kind.FORWARDED_FOR,
    b"x-forwarded-proto": Kind.FORWARDED_PROTO,
    b"forwarded": Kind.VOUCHED,
    b"x-real-ip": Kind.VOUCHED,
    b"true-client-ip": Kind.VOUCHED,
    b"client-ip": Kind.VOUCHED,
    b"x-client-ip": Kind.VOUCHED,
    b"x-cluster-client-ip": Kind.VOUCHED,
    b"cf-connecting-ip": Kind.VOUCHED,
    b"fastly-client-ip": Kind.VOUCHED,
    b"x-remote-ip": Kind.VOUCHED,
    b"x-remote-addr": Kind.VOUCHED,
    b"x-originating-ip": Kind.VOUCHED,
    # proxies pass these through, so none can vouch for them
    **dict.fromkeys(_MISLEADING, Kind.DROP),
}
FAMILIES: tuple[tuple[bytes, Kind], ...] = (
    (_IDENTITY, Kind.DROP),
    (_ORIGINAL, Kind.DROP),
    (b"x-forwarded-", Kind.VOUCHED),
    (b"proxy-", Kind.DROP),
    (b"sec-websocket-", Kind.DROP),  # of a handshake, which the gateway makes anew
)


def classify(name: bytes) -> Kind:
    """The rule for a lower-case field name."""
    reading = _OTHER_SIGNS.sub(b"-", name).strip(b"-")
    kind = RULES.get(reading)
    if kind is None:
        kind = next((rule for prefix, rule in FAMILIES if (reading + b"-").startswith(prefix)), Kind.KEEP)
    return Kind.DROP if kind is not Kind.KEEP and reading != name else kind


@lru_cache(maxsize=_REMEMBERED)
def misleads(name: bytes) -> bool:
    """Whether an API could take this lower-case field for the gateway's word on who calls or where from, or for another
    request than was decided about. It goes to no upstream; what another proxy is to pass on must not have it.

    Of the names in the table every spelling but their own: such a one passes by what a proxy sets or takes out.
    """
    reading = _OTHER_SIGNS.sub(b"-", name).strip(b"-")
    if reading in _MISLEADING or reading.startswith(_IDENTITY):
        return True
    if reading.startswith(_ORIGINAL) and name not in _ASKED_WITH:
        return True
    return reading != name and classify(name) is not Kind.KEEP


class Inbound:
    """A request's header fields, sorted by what becomes of them. ``kept`` is flat: name, ``: ``, value, CRLF, …"""

    __slots__ = (
        "authorization",
        "authorizations",
        "coded",
        "connection",
        "cookies",
        "forwarded_for",
        "forwarded_proto",
        "host",
        "kept",
        "length",
        "proofs",
        "traceparents",
        "tracestate",
        "upgrade",
        "vouched",
    )

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.host = b""
        self.authorization: bytes | None = None
        self.authorizations = 0
        self.length: bytes | None = None
        self.coded = False
        self.upgrade: bytes | None = None
        # Rare ones share an empty tuple until there is something to hold.
        self.cookies: tuple[bytes, ...] = ()
        self.proofs: tuple[bytes, ...] = ()
        self.connection: tuple[bytes, ...] = ()
        self.forwarded_for: tuple[bytes, ...] = ()
        self.forwarded_proto: tuple[bytes, ...] = ()
        self.vouched: tuple[bytes, ...] = ()
        self.traceparents: tuple[bytes, ...] = ()
        self.tracestate: tuple[bytes, ...] = ()

    @property
    def has_body(self) -> bool:
        """Framed by either field (RFC 9112 section 6.3); the server has made sure that it is one of them."""
        return self.coded or (self.length is not None and self.length.strip(b"0") != b"")


class HeaderReader:
    """Sorts header fields. Remembers the rule of each name, up to a bound that a stranger can fill and not exceed."""

    def __init__(self) -> None:
        self._kinds: dict[bytes, int] = {}  # plain numbers: comparing enum members costs more than the rest

    def read(self, headers: Iterable[tuple[bytes, bytes]]) -> Inbound:
        """One pass over an ASGI scope's header list."""
        inbound = Inbound()
        kept = inbound.kept
        kinds = self._kinds
        for name, value in headers:
            kind = kinds.get(name)
            if kind is None:
                kind = self._remember(name)
            if kind == 0:
                kept += (name, b": ", value, b"\r\n")
            elif kind != 1:
                _set_apart(inbound, kind, name, value)
        if inbound.connection:
            _strip_named(inbound)
        return inbound

    def _remember(self, name: bytes) -> int:
        if len(self._kinds) >= _REMEMBERED:
            self._kinds.clear()
        kind = self._kinds[name] = int(classify(name))
        return kind


def _set_apart(inbound: Inbound, kind: int, name: bytes, value: bytes) -> None:
    if kind == _HOST:
        inbound.host = value
    elif kind == _AUTHORIZATION:
        inbound.authorization = value
        inbound.authorizations += 1
    else:
        _set_rare_apart(inbound, kind, name, value)


def _set_rare_apart(inbound: Inbound, kind: int, name: bytes, value: bytes) -> None:
    match kind:
        case Kind.CONNECTION:
            inbound.connection += (value,)
        case Kind.COOKIE:
            inbound.cookies += (value,)
        case Kind.PROOF:
            inbound.proofs += (value,)
        case Kind.LENGTH:
            inbound.length = value
        case Kind.CODING:
            inbound.coded = True
        case Kind.UPGRADE:
            inbound.upgrade = value
        case Kind.FORWARDED_FOR:
            inbound.forwarded_for += (value,)
        case Kind.FORWARDED_PROTO:
            inbound.forwarded_proto += (value,)
        case Kind.TRACEPARENT:
            inbound.traceparents += (value,)
        case Kind.TRACESTATE:
            inbound.tracestate += (b"tracestate: ", value, b"\r\n")
        case Kind.VOUCHED:
            inbound.vouched += (name, b": ", value, b"\r\n")
        case _:
            raise AssertionError(f"no rule for kind {kind}")


def _strip_named(inbound: Inbound) -> None:
    """Fields that Connection names go no further. The client's own only: ours are added later, framing is apart."""
    names = connection_options(inbound.connection)
    if names <= {b"close", b"keep-alive"}:
        return
    kept = inbound.kept
    inbound.kept = [piece for at in range(0, len(kept), 4) if kept[at] not in names for piece in kept[at : at + 4]]


def connection_options(values: Iterable[bytes]) -> frozenset[bytes]:
    """The lower-case options of a Connection field (RFC 9110 section 7.6.1)."""
    return frozenset(option.strip(b" \t").lower() for value in values for option in value.split(b","))


def holds_api_key(authorization: bytes) -> bool:
    """Whether a credential in it begins as an API key does, under any scheme or none."""
    return _API_KEY.search(authorization) is not None


def without_our_cookies(value: bytes) -> bytes:
    """A Cookie field's value without ``__Host-yett-*`` and ``yett-*``; unchanged, byte for byte, if it has none."""
    if b"yett-" not in value.lower():
        return value
    return b";".join(pair for pair in value.split(b";") if not _COOKIE_NAME.match(pair)).strip(b" \t")


def sets_our_cookie(value: bytes) -> bool:
    """Whether a Set-Cookie value would set a cookie of the gateway.

    ``=__Host-yett-x`` has no name, yet a browser sends it back as if that were its name.
    """
    return _COOKIE_NAME.match(value.lstrip(b" \t=")) is not None


def valid_traceparent(values: tuple[bytes, ...]) -> bytes | None:
    """The one field value, if it is well formed (W3C Trace Context section 3.2); version 00 has nothing behind."""
    if len(values) != 1:
        return None
    found = _TRACEPARENT.fullmatch(values[0])
    if found is None or (values[0].startswith(b"00") and found["later"]):
        return None
    return values[0]
