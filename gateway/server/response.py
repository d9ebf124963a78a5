"""The head of a response: checked, and framed so that its end is never in doubt (RFC 9112 sections 4 and 6).

Pure: what the application said in, bytes out. Framing is ours: an application's ``Transfer-Encoding`` is dropped, and
of its ``Connection`` only "close" is heard.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.server.http_date import date_line

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_OURS: Final = frozenset({b"connection", b"transfer-encoding"})
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus if status >= 200
}

Pairs = list[tuple[bytes, bytes]]


ResponseHead = tuple[bytes, int | None, bool, bool]
"""Status line and field lines; the Content-Length, if stated; whether a body follows; whether to close afterwards."""


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]], method: str) -> ResponseHead:
    """Check what the application wants to send. Raises ``ValueError`` for what would not be one response."""
    line = _STATUS_LINES.get(status) or _unnamed_status_line(status)
    pairs = [(name.lower(), value) for name, value in headers]
    named = dict(pairs)
    close = False
    if not _OURS.isdisjoint(named):
        close = _asks_to_close(pairs)
        pairs = [pair for pair in pairs if pair[0] not in _OURS]
    length = None
    if b"content-length" in named:
        length = _content_length(named, pairs)
        if status == 204:  # RFC 9110 section 8.6: never in a 204
            pairs = [pair for pair in pairs if pair[0] != b"content-length"]
    for name in named:
        if not _is_token(name):
            raise ValueError("a response header field has a name that is not allowed")
    block = b"".join([b"%b: %b\r\n" % pair for pair in pairs])
    if len(block) - len(block.translate(None, b"\r\n\0")) != 2 * len(pairs):  # the line ends are all ours
        raise ValueError("a response header field has a value that is not allowed")
    date = b"" if b"date" in named else date_line()
    return line + block + date, length, method != "HEAD" and status != 304 and status != 204, close


def _unnamed_status_line(status: int) -> bytes:
    if not 200 <= status <= 599:
        raise ValueError(f"not the status of a final response: {status}")
    return b"HTTP/1.1 %d \r\n" % status


@lru_cache(maxsize=1024)
def _is_token(name: bytes) -> bool:
    return len(name) <= 256 and _TOKEN.fullmatch(name) is not None


def _asks_to_close(pairs: Pairs) -> bool:
    lines = [value for name, value in pairs if name == b"connection"]
    return any(token.strip().lower() == b"close" for line in lines for token in line.split(b","))


def _content_length(named: dict[bytes, bytes], pairs: Pairs) -> int:
    value = named[b"content-length"]
    repeated = len(named) != len(pairs) and sum(name == b"content-length" for name, _ in pairs) > 1
    if repeated or not value.isdigit():
        raise ValueError("a response needs one Content-Length of digits, or none")
    return int(value)
