"""The head of a response: checked, and framed so that its end is never in doubt (RFC 9112 sections 4 and 6).

Pure: what the application said in, bytes out. Framing is ours: an application's ``Transfer-Encoding`` is dropped, and
of its ``Connection`` only "close" is heard, and "upgrade" passed on, which belongs to a 426.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from gateway.server.http_date import date_line

_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_MEANINGFUL: Final = frozenset({b"connection", b"transfer-encoding", b"content-length", b"date"})
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus if status >= 200
}

ResponseHead = tuple[bytes, int | None, bool, bool]
"""Status line and field lines; the Content-Length, if stated; whether a body follows; whether to close afterwards."""


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]], method: str) -> ResponseHead:
    """Check what the application wants to send. Raises ``ValueError`` for what would not be one response."""
    pieces = [_STATUS_LINES.get(status) or _unnamed_status_line(status)]
    length, close, dated = None, False, False
    for name, value in headers:
        opening, meaning = _field(name)
        if meaning is not None:
            if meaning == "connection":
                close = close or _asks_to_close(value)
                if value.lower() != b"upgrade":
                    continue
            if meaning == "transfer-encoding":
                continue
            if meaning == "date":
                dated = True
            elif meaning == "content-length":
                length = _content_length(value, length)
                if status == 204:  # RFC 9110 section 8.6: never in a 204
                    continue
        pieces += (opening, value, b"\r\n")
    ours = 1 + len(pieces) // 3
    if not dated:
        pieces.append(date_line())
        ours += 1
    block = b"".join(pieces)
    if block.count(b"\r") != ours or block.count(b"\n") != ours or b"\0" in block:  # the line ends are all ours
        raise ValueError("a response header field has a value that is not allowed")
    return block, length, method != "HEAD" and status != 304 and status != 204, close


def _unnamed_status_line(status: int) -> bytes:
    if not 200 <= status <= 599:
        raise ValueError(f"not the status of a final response: {status}")
    return b"HTTP/1.1 %d \r\n" % status


@lru_cache(maxsize=1024)
def _field(name: bytes) -> tuple[bytes, str | None]:
    """How its line begins, and its name where it means something here. Most answers carry the same few names."""
    if len(name) > 256 or _TOKEN.fullmatch(name) is None:
        raise ValueError("a response header field has a name that is not allowed")
    lower = name.lower()
    return lower + b": ", lower.decode("ascii") if lower in _MEANINGFUL else None


def _asks_to_close(value: bytes) -> bool:
    return any(token.strip().lower() == b"close" for token in value.split(b","))


def _content_length(value: bytes, before: int | None) -> int:
    if before is not None or not value.isdigit():
        raise ValueError("a response needs one Content-Length of digits, or none")
    return int(value)
