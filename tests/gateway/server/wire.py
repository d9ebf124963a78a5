"""Reading what a server wrote, without an HTTP library: a client that forgives would hide what the tests look for."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} stands {len(values)} times in the response"
        return values[0] if values else None

    @property
    def code(self) -> str | None:
        """The code of a problem document."""
        if self.header("content-type") != "application/problem+json":
            return None
        problem = json.loads(self.body)
        assert problem["type"] == f"urn:yett:problem:{problem['code']}"
        assert problem["status"] == self.status
        assert problem["title"]
        return str(problem["code"])


def responses(data: bytes, *, to_head: bool = False) -> list[Response]:
    """All responses in ``data``; only the last may be unfinished, and is left out while its head is.

    ``to_head``: they answer HEAD and have no body.
    """
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        if not end and len(head) < 8192 and head[:9] == b"HTTP/1.1 "[: len(head)]:
            break  # the head goes on
        assert end, f"not a response head: {head[:200]!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, number, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
        status = int(number)
        named = dict(headers)
        whole = True
        if to_head or status in (204, 304) or status < 200:
            body = b""
        elif "content-length" in named:
            assert "transfer-encoding" not in named
            size = int(named["content-length"])
            body, data = data[:size], data[size:]
            whole = len(body) == size
        elif "transfer-encoding" in named:
            body, data, whole = _chunks(data)
        else:
            assert named.get("connection") == "close"
            body, data = data, b""
        found.append(Response(status, headers, body, whole))
    return found


def _chunks(data: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, end, rest = data.partition(b"\r\n")
        if not end:
            return body, b"", False
        length = int(size, 16)
        if length == 0:
            assert rest.startswith(b"\r\n")
            return body, rest[2:], True
        if len(rest) < length + 2:
            return body + rest[:length], b"", False
        assert rest[length : length + 2] == b"\r\n"
        body += rest[:length]
        data = rest[length + 2 :]
