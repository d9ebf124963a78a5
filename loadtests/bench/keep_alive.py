"""A client's side of one HTTP/1.1 connection that is kept alive: a request, then its whole answer, then the next one.

The load generators share a core with what they measure, so this is the least that does the job: one socket, one parser
(httptools, the gateway's own), no event loop.
"""

import socket
import time
from dataclasses import dataclass

import httptools

_RECEIVE = 65536


class Broken(Exception):
    """The peer closed a connection on which it owed an answer, or could be asked again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``seconds``: since its request was sent. Names of fields are in lower case, in the order in which they came."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float

    def field(self, name: str) -> str | None:
        """The first field of this name."""
        return next((value for found, value in self.fields if found == name), None)


class Connection:
    """Blocking, and never waiting for long where the caller knows that something can be read. Raises ``OSError``,
    ``Broken``, and ``httptools.HttpParserError`` for what is no answer.
    """

    def __init__(self, port: int, *, timeout: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._status = 0
        self._sent_at = 0.0

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def send(self, request: bytes) -> None:
        """Ask. The answer of the request before has been received."""
        self._fields, self._body, self._status = [], [], 0
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """Read once; None where the answer is not whole yet."""
        received = self.socket.recv(_RECEIVE)
        if not received:
            raise Broken("the connection was closed")
        self._parser.feed_data(received)
        if not self._status:
            return None
        fields = tuple((name.decode("ascii").lower(), value.decode("latin-1")) for name, value in self._fields)
        return Answer(self._status, fields, b"".join(self._body), time.perf_counter() - self._sent_at)

    def exchange(self, request: bytes) -> Answer:
        """Ask, and wait for the answer."""
        self.send(request)
        while (answer := self.receive()) is None:
            continue
        return answer

    def on_header(self, name: bytes, value: bytes) -> None:
        """For the parser."""
        self._fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        """For the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """For the parser."""
        self._status = self._parser.get_status_code()


def request(method: str, path: str, fields: dict[str, str], body: str | None = None) -> bytes:
    """One request, with a form as its body where there is one."""
    if body is not None:
        fields = {**fields, "Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*head, "", body or ""]).encode("ascii")
