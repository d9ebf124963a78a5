"""What a request head must look like (RFC 9112 sections 2 to 6). Pure: bytes in, facts or a refusal out.

llhttp parses the head as well (``framing``) and is as strict as we are about field lines; what it is lenient about is
refused here: other versions and methods, targets without a slash or with bytes outside ASCII, a missing or double
``Host``, lengths that can be read in two ways. Errors are reported in the order of the bytes, so that a head that comes
in pieces is refused for the same reason as the whole.
Does not own the header fields that only routing or identity care about, nor which paths are canonical.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple, NoReturn

from gateway.server import fault
from gateway.server.fault import METHODS, Fault, Refused
from gateway.server.limits import ServerLimits

END: Final = b"\r\n\r\n"
CHUNKED: Final = -1
"""The ``body`` of a request whose length is told by its chunks."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TARGET: Final = rb"[!\"$-~]"  # visible ASCII without "#": a fragment is never sent (RFC 9112 section 3.2)
_USUAL_LINE: Final = re.compile(
    rb"(?:\r\n)?+(" + "|".join(METHODS).encode("ascii") + rb") (" + _TARGET + rb"++) HTTP/(1\.[01])\r\n"
)
_FIELD_LINE: Final = re.compile(_TOKEN + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n")
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb"++) ([^\x00-\x20\x7f]++) HTTP/([0-9])\.([0-9])\r\n")
_TARGET_TEXT: Final = re.compile(_TARGET + rb"++")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([0-9A-Za-z_.:\[\]-]++)([/?].*+)?")
_HOST: Final = re.compile(
    rb"(?:[0-9A-Za-z_-]++(?:\.[0-9A-Za-z_-]++)*+\.?+|\[([0-9A-Fa-f:.]{2,45}+)\])"
    rb"(?::(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
)
_HOST_BYTES: Final = 255 + 6  # the longest name of the DNS and a port
_ONCE: Final = (b"host", b"content-length", b"transfer-encoding", b"expect")
_LINE_SLACK: Final = 32  # a request line is its target, the longest method, the version, two spaces and CRLF

_METHOD_TEXT: Final = {method.encode("ascii"): method for method in METHODS}
_KEPT_ALIVE: Final = frozenset({b"keep-alive", b"Keep-Alive"})  # needs no closer look, like a field that is not there

Fields = list[tuple[bytes, bytes]]
RequestLine = tuple[bytes, bytes, bytes]
"""Method, target as sent, version (``1.1``)."""


class Request(NamedTuple):
    """What the head says, unambiguously. ``body`` is its length in bytes, 0 for none, or ``CHUNKED``."""

    method: str
    raw_path: bytes
    query_string: bytes
    http_version: str
    fields: Fields
    body: int
    keep_alive: bool
    expects_continue: bool


def request_line(head: bytes, limits: ServerLimits) -> RequestLine:
    """Read the first line of a whole ``head``; raises ``Refused``."""
    match = _USUAL_LINE.match(head)
    if match is None:
        refuse_first_fault(head, limits, otherwise=fault.REQUEST_LINE)
    method, target, version = match.groups()
    if len(target) > limits.target_bytes:
        raise Refused(fault.TARGET_TOO_LONG)
    if target[0] != 0x2F:
        _check_other_form(method, target)
    return method, target, version


def refuse_first_fault(head: bytes, limits: ServerLimits, *, otherwise: Fault) -> NoReturn:
    """Raise ``Refused`` with what is wrong with the lines of a whole ``head``, or ``otherwise`` where they are fine."""
    check_lines(head, 0, limits)
    raise Refused(otherwise)


def check_lines(head: bytes | bytearray, start: int, limits: ServerLimits) -> int:
    """Check the whole lines of ``head`` from ``start`` (0, or what the last call returned) on; raises ``Refused``.

    Returns where the first unfinished line starts.
    """
    if start == 0 and head.startswith(b"\r\n"):
        start = 2  # one empty line before the request line is skipped (RFC 9112 section 2.2)
    while True:
        first = start == 0 or (start == 2 and head.startswith(b"\r\n"))
        end = head.find(b"\n", start) + 1
        if first and (end or len(head)) - start > limits.target_bytes + _LINE_SLACK:
            raise Refused(fault.TARGET_TOO_LONG)
        if not end:
            return start
        line = bytes(head[start:end])
        if first:
            _check_request_line(line, limits)
        elif line == b"\r\n":
            return start
        elif _FIELD_LINE.fullmatch(line) is None:
            raise Refused(fault.FIELD_LINE)
        start = end


def read(line: RequestLine, fields: Fields, limits: ServerLimits) -> Request:
    """Read the fields on which host, length and life of the connection depend; raises ``Refused``."""
    if len(fields) > limits.fields:
        raise Refused(fault.HEAD_TOO_LARGE)
    named = dict(fields)
    if len(named) != len(fields):
        _refuse_repeated(fields)
    host = named.get(b"host", b"")
    if len(host) > _HOST_BYTES or not _is_host(host):  # the length first: what is asked is remembered
        raise Refused(fault.HOST)
    method, target, version = line
    if target[0] != 0x2F:
        target = _origin_form(method, target, host)
    raw_path, _, query_string = target.partition(b"?")
    body = 0
    if b"content-length" in named or b"transfer-encoding" in named:
        body = _body_length(named, version)
    tokens: list[bytes] = []
    plain = named.get(b"connection", b"keep-alive") in _KEPT_ALIVE and len(named) == len(fields)  # else: perhaps twice
    if not plain or b"proxy-connection" in named:
        tokens = _connection_tokens(fields)
        if body and b"upgrade" in tokens and b"upgrade" in named:
            raise Refused(fault.UPGRADE_WITH_BODY)
    expects_continue = b"expect" in named and _expects_continue(named[b"expect"], version, body)
    keep_alive = version == b"1.1" and b"close" not in tokens
    return Request(
        _METHOD_TEXT[method],
        raw_path,
        query_string,
        "1.1" if version == b"1.1" else "1.0",
        fields,
        body,
        keep_alive,
        expects_continue,
    )


def _check_request_line(line: bytes, limits: ServerLimits) -> None:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused(fault.REQUEST_LINE)
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in b"01":
        raise Refused(fault.VERSION)
    if method in (b"TRACE", b"CONNECT"):
        raise Refused(fault.METHOD_NOT_ALLOWED)
    if method.decode("ascii") not in METHODS:
        raise Refused(fault.METHOD_UNKNOWN)
    if len(target) > limits.target_bytes:
        raise Refused(fault.TARGET_TOO_LONG)
    if _TARGET_TEXT.fullmatch(target) is None:
        raise Refused(fault.TARGET)
    if target[0] != 0x2F:
        _check_other_form(method, target)


def _check_other_form(method: bytes, target: bytes) -> None:
    """Beside the origin form there are the asterisk of OPTIONS and the absolute form (RFC 9112 section 3.2)."""
    if _ABSOLUTE.fullmatch(target) is None and not (target == b"*" and method == b"OPTIONS"):
        raise Refused(fault.TARGET)


def _refuse_repeated(fields: Fields) -> None:
    names = [name for name, _ in fields]
    for name in _ONCE:
        if names.count(name) > 1:
            raise Refused(fault.HOST if name == b"host" else fault.EXPECTATION if name == b"expect" else fault.FRAMING)


@lru_cache(maxsize=1024)
def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value)
    if match is None:
        return False
    literal = match[1]
    if literal is not None:
        try:
            IPv6Address(literal.decode("ascii"))
        except AddressValueError:
            return False
    return True


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """Reduce the absolute form of ``host``; one of another host is refused. An asterisk stays."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return target
    authority, rest = match.groups()
    if authority.lower() != host.lower():
        raise Refused(fault.TARGET)
    if rest is None:
        return b"*" if method == b"OPTIONS" else b"/"  # RFC 9112 section 3.2.4
    return bytes(rest) if rest.startswith(b"/") else b"/" + rest


def _body_length(named: dict[bytes, bytes], version: bytes) -> int:
    coding = named.get(b"transfer-encoding")
    length = named.get(b"content-length")
    if coding is not None:
        # Nothing but chunked, spelled in any case (RFC 9112 section 7); HTTP/1.0 does not know it (section 6.1).
        if length is not None or version != b"1.1" or coding.lower() != b"chunked":
            raise Refused(fault.FRAMING)
        return CHUNKED
    # bytes.isdigit knows ASCII digits only; 15 of them are a petabyte and fit every integer on the way.
    if length is None or not length.isdigit() or len(length) > 15:
        raise Refused(fault.FRAMING)
    return int(length)


def _expects_continue(expectation: bytes, version: bytes, body: int) -> bool:
    if version != b"1.1":  # RFC 9110 section 10.1.1: ignored in an HTTP/1.0 request
        return False
    if expectation.lower() != b"100-continue":
        raise Refused(fault.EXPECTATION)
    return body != 0


def _connection_tokens(fields: Fields) -> list[bytes]:
    # Proxy-Connection is no standard, but llhttp lets its "close" end the connection, and two readings must agree.
    lines = [value for name, value in fields if name in (b"connection", b"proxy-connection")]
    return [token.strip(b" \t").lower() for line in lines for token in line.split(b",")]
