"""A client's connection that speaks another protocol from here on (RFC 9110 section 7.8).

Owns the 101 and the client's transport after it. Not what is spoken: that is the receiver's. An application asks for it
by a message of our own, ``{"type": UPGRADE, "headers": [...], "receiver": ...}`` in place of a response, and sees to it
that the connection ends; the server goes on to count it, and to wait for it when it stops.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

from gateway.server.wire import Wire

UPGRADE: Final = "yett.upgrade"
_STATUS_LINE: Final = b"HTTP/1.1 101 Switching Protocols\r\n"


class Receiver(Protocol):
    """Who speaks the new protocol. Called between two turns of the event loop, and never after ``gone``."""

    def opened(self, client: "Upgraded") -> None:
        """The 101 is written; bytes may follow it."""

    def received(self, data: bytes) -> None:
        """The client sent these."""

    def full(self) -> None:
        """It takes nothing at present: what is written is kept in memory."""

    def free(self) -> None:
        """It takes what it is sent again."""

    def gone(self) -> None:
        """It has closed, or the connection is lost."""

    def leave(self) -> None:
        """The server stops: end in order, and soon."""


class Upgraded(asyncio.Protocol):
    """Takes the place of ``http`` at the transport and among the server's ``connections``."""

    def __init__(self, http: asyncio.Protocol, wire: Wire, connections: set[Any], receiver: Receiver) -> None:
        self._http = http
        self._wire = wire
        self._connections = connections
        self._receiver = receiver
        self._gone = False

    def begin(self, head: bytes, ahead: bytes, *, stops: bool) -> None:
        """Write the 101. ``ahead`` is what came behind the request; ``stops``: the server does, already."""
        self._connections.discard(self._http)
        self._connections.add(self)
        self._wire.hand_to(self)
        self._wire.write(head)
        self._receiver.opened(self)
        if stops:
            self._receiver.leave()
        self._wire.resume_reading()
        if ahead:
            self._receiver.received(ahead)

    # What the receiver asks for.

    @property
    def unwritten(self) -> int:
        """Bytes that wait for the client to take them."""
        return self._wire.unwritten

    def write(self, data: bytes) -> None:
        """Send."""
        if not self._wire.ending:
            self._wire.write(data)

    def pause_reading(self) -> None:
        """Take no more of it."""
        self._wire.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._wire.resume_reading()

    def close(self) -> None:
        """Close when everything is written."""
        if not self._wire.ending:
            self._wire.close()

    def linger(self) -> None:
        """Close our side, and let what it still sends not be in the way of what it was sent."""
        if not self._wire.ending:
            self._wire.linger()

    # What the server asks for.

    def shutdown(self) -> None:
        """The server stops."""
        if not self._gone:
            self._receiver.leave()

    def abort(self) -> None:
        """At once."""
        self._wire.abort()

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if not self._gone:
            self._receiver.received(data)

    def eof_received(self) -> None:
        self._lost()  # as for a request: who closed its side is taken for gone
        self.close()  # what waits for it has the time that the end of any connection has

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._lost()
        self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        self._wire.pause_writing()
        if not self._gone:
            self._receiver.full()

    def resume_writing(self) -> None:
        self._wire.resume_writing()
        if not self._gone:
            self._receiver.free()

    def _lost(self) -> None:
        if not self._gone:
            self._gone = True
            self._receiver.gone()


def switching(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a 101. Raises ``ValueError`` for a field that would not be one."""
    lines = [b"%b: %b\r\n" % field for field in fields]
    block = b"".join((_STATUS_LINE, *lines, b"\r\n"))
    if block.count(b"\n") != len(lines) + 2 or block.count(b"\r") != len(lines) + 2 or b"\0" in block:
        raise ValueError("a response header field has a value that is not allowed")
    return block
