"""What the gateway tells an upstream about a request: who it is from, where it came from, and its ids.

Written as finished header lines and remembered where they repeat: per principal, and per client address. Where there
are more than have room, the oldest goes, and not all: else a few too many would have every line written anew.
"""

import os
import re
from collections import OrderedDict
from urllib.parse import quote

from gateway.context import Address, Network, is_trusted, vouched_hops
from gateway.proxy.headers import Inbound, valid_traceparent
from policies.principal import Principal

_REMEMBERED = 4096
_IDS_AT_ONCE = 128
_VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "%")
_PLAIN = re.compile(r"[!-$&-~]*")
_SCHEMES = (b"http", b"https")


class IdentityLines:
    """``X-Yett-Tenant``, ``-Subject``, ``-Client`` (an API key has none) and ``-Scopes`` of a principal, remembered."""

    def __init__(self) -> None:
        self._lines: OrderedDict[int, tuple[Principal, bytes]] = OrderedDict()

    def of(self, principal: Principal) -> bytes:
        """The lines. The same object is the same caller, because a verified token's principal is remembered, too."""
        known = self._lines.get(id(principal))
        if known is not None and known[0] is principal:
            return known[1]
        if len(self._lines) >= _REMEMBERED:
            self._lines.popitem(last=False)
        lines = _identity_lines(principal)
        self._lines[id(principal)] = (principal, lines)
        return lines


class Origin:
    """Where a request came from, and the lines that say so. ``trusted``: a proxy in front vouches for its headers."""

    __slots__ = ("address", "lines", "proto", "text", "trusted")

    def __init__(self, hops: tuple[Address, ...], proto: bytes, host: bytes, *, trusted: bool) -> None:
        self.address = hops[0]
        self.text = str(hops[0])
        self.trusted = trusted
        self.proto = proto
        self.lines = b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\nx-forwarded-host: %b\r\n" % (
            ", ".join(str(hop) for hop in hops).encode("ascii"),
            proto,
            host,
        )


class Origins:
    """Finds the origin of a request; that of a peer which is no proxy is remembered."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted
        self._known: OrderedDict[tuple[str, str, bytes], Origin] = OrderedDict()

    def of(self, peer: str, scheme: str, inbound: Inbound) -> Origin:
        """``peer`` is the socket's address, ``scheme`` the listener's."""
        key = (peer, scheme, inbound.host)
        known = self._known.get(key)
        if known is not None:
            return known
        hops = vouched_hops(peer, [value.decode("latin-1") for value in inbound.forwarded_for], self._trusted)
        trusted = is_trusted(hops[-1], self._trusted)
        proto = scheme.encode("ascii")
        if trusted:
            said = inbound.forwarded_proto
            return Origin(
                hops, said[0] if len(said) == 1 and said[0] in _SCHEMES else proto, inbound.host, trusted=True
            )
        if len(self._known) >= _REMEMBERED:
            self._known.popitem(last=False)
        origin = self._known[key] = Origin(hops, proto, inbound.host, trusted=False)
        return origin


class RequestIds:
    """The request's id, and a span's for a trace that begins here. Both in hex, as bytes."""

    __slots__ = ("request_id", "span_id")

    def __init__(self, request_id: bytes, span_id: bytes) -> None:
        self.request_id = request_id
        self.span_id = span_id

    @property
    def text(self) -> str:
        """The request's id for logs and the audit log."""
        return self.request_id.decode("ascii")

    def lines(self, inbound: Inbound) -> bytes:
        """``X-Request-Id``, and ``traceparent`` as it came if it is valid; else a trace that has the request's id."""
        request_id = self.request_id
        if inbound.traceparents:
            kept = valid_traceparent(inbound.traceparents)
            if kept is not None:
                return b"x-request-id: %b\r\ntraceparent: %b\r\n%b" % (request_id, kept, b"".join(inbound.tracestate))
        return b"x-request-id: %b\r\ntraceparent: 00-%b-%b-01\r\n" % (request_id, request_id, self.span_id)


class IdSource:
    """Draws ids from the system's random numbers, which are asked for many at once: a system call for each request
    costs 5 % of it [measured]. Never to be shared with a forked process, which would give out the same ones.
    """

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = b""
        self._at = 0

    def draw(self) -> RequestIds:
        """Ids that nobody else has."""
        at = self._at
        if at == len(self._digits):
            self._digits, at = os.urandom(_IDS_AT_ONCE * 24).hex().encode("ascii"), 0
        self._at = at + 48
        return RequestIds(self._digits[at : at + 32], self._digits[at + 32 : at + 48])


def _identity_lines(principal: Principal) -> bytes:
    return "".join(
        f"x-yett-{name}: {value}\r\n"
        for name, value in (
            ("tenant", _field(principal.tenant)),
            ("subject", _field(principal.subject)),
            ("client", None if principal.client_id is None else _field(principal.client_id)),
            ("scopes", " ".join(_field(scope) for scope in sorted(principal.scopes))),
        )
        if value is not None
    ).encode("ascii")


def _field(text: str) -> str:
    """Visible ASCII as it is; the rest, and ``%``, percent-encoded: no value can end its line or hide another."""
    # Nearly all are as they are [measured: asking costs a fifth of quoting, for each token that is new].
    return text if _PLAIN.fullmatch(text) is not None else quote(text, safe=_VISIBLE)
