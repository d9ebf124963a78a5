"""One connection, byte by byte: what no HTTP library would send, and what no HTTP library would show."""

import contextlib
import socket
from collections.abc import Callable
from types import TracebackType

from tests.gateway.server.wire import Response, responses

_SECONDS = 15.0


class RawSocket:
    """A client's connection to a local port. ``received`` is all that came. ``to_head``: it answers HEAD."""

    def __init__(self, port: int, *, to_head: bool = False) -> None:
        self._to_head = to_head
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local_port: int = self._socket.getsockname()[1]
        self.received = b""
        self.closed = False

    def __enter__(self) -> "RawSocket":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """All of it, or as much as the other side takes before it closes: refusals come before a request's end."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def read(self) -> bytes:
        """What comes next; empty at the end of the connection."""
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        self.closed = self.closed or not data
        return data

    def read_until(self, enough: Callable[[], bool]) -> None:
        """Read until it is so, or until the end."""
        while not enough() and self.read():
            pass

    def read_to_end(self) -> bytes:
        """Read until the other side has closed."""
        self.read_until(lambda: False)
        return self.received

    def answers(self) -> list[Response]:
        """What was received, as whole final responses."""
        return [answer for answer in self._responses() if answer.status >= 200]

    def statuses(self) -> list[int]:
        """Of all whole responses, interim ones among them."""
        return [answer.status for answer in self._responses()]

    def _responses(self) -> list[Response]:
        return [answer for answer in responses(self.received, to_head=self._to_head) if answer.whole]
