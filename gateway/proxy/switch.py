"""An upstream's connection that is asked to speak another protocol (RFC 9110 section 7.8), and then does.

Stands between the transport and ``UpstreamConnection`` from the request on. An answer other than 101 is handed on to
it, byte for byte, and is an exchange like any other; at a 101 it learns that its answer is complete, and reads no more.
It stays the pool's all the time. What is private of it is used here: this is a part of it in a file of its own.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

from gateway.proxy.answer_headers import MAX_HEAD, AnswerHead, AnswerNames
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.upstream import RequestNotSent, UpstreamMalformed

_END = b"\r\n\r\n"
_FRAMING = (b"content-length", b"transfer-encoding")  # RFC 9110 section 8.6, RFC 9112 section 6.1
_STATUS = re.compile(rb"HTTP/1\.1 (1[0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")


class Receiver(Protocol):
    """Who speaks the new protocol."""

    def received(self, data: bytes) -> None:
        """The upstream sent these."""

    def full(self) -> None:
        """It takes nothing at present."""

    def free(self) -> None:
        """It takes what it is sent again."""

    def gone(self) -> None:
        """It has closed, or the connection is lost."""


class SwitchingUpstream(asyncio.Protocol):
    """Made of a connection on which the request is about to be sent."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self.fields: list[tuple[bytes, bytes]] = []  # of the 101, as they came; names in lower case
        self._connection = connection
        self._transport = connection._transport
        self._began = b""
        self._passed = 0  # bytes of interim answers
        self._switched = False
        self._gone = False
        self._full = False
        self._receiver: Receiver | None = None
        if self._transport is not None:
            self._transport.set_protocol(self)

    def speak(self, receiver: Receiver) -> None:
        """Hand over what follows the 101, and read on."""
        self._receiver = receiver
        ahead, self._began = self._began, b""
        if not self._gone:
            self.resume_reading()
        if self._full:
            receiver.full()
        if ahead:
            receiver.received(ahead)
        if self._gone:
            receiver.gone()

    # What the receiver asks for.

    @property
    def unwritten(self) -> int:
        """Bytes that wait for the upstream to take them."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send."""
        self._unless_closing(lambda transport: transport.write(data))

    def pause_reading(self) -> None:
        """Take no more of it."""
        self._unless_closing(lambda transport: transport.pause_reading())

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._unless_closing(lambda transport: transport.resume_reading())

    def close(self) -> None:
        """Close when everything is written."""
        self._unless_closing(lambda transport: transport.close())

    def linger(self) -> None:
        """Close our side, where that can be done alone."""
        self._unless_closing(_close_our_side)

    def abort(self) -> None:
        """At once."""
        self._connection.close()

    def _unless_closing(self, act: Callable[[asyncio.Transport], None]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            act(self._transport)

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self._receiver is not None:
            if not self._gone:
                self._receiver.received(data)
            return
        self._began += data
        if self._switched:
            return
        if self._connection.writer.waits:
            self._connection.fail(RequestNotSent("bytes came before the request was sent"))
            return
        self._read_head()

    def eof_received(self) -> None:
        if self._switched:
            self._lost()
        else:
            self._cut_off()
            self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
        self._cut_off()
        self._transport = None
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._full = True
        if self._receiver is not None:
            self._receiver.full()

    def resume_writing(self) -> None:
        self._full = False
        if self._receiver is not None:
            self._receiver.free()

    def _lost(self) -> None:
        if not self._gone:
            self._gone = True
            if self._receiver is not None:
                self._receiver.gone()

    def _cut_off(self) -> None:
        """Whoever has begun to answer has had the request, which is not to be sent once more."""
        if not self._switched and (self._began or self._passed):
            self._connection.fail(UpstreamMalformed("the connection ended before the answer did"))

    def _read_head(self) -> None:
        """Interim answers (RFC 9110 section 15.2) may come before."""
        while True:
            end = self._began.find(_END)
            if self._passed + (len(self._began) if end < 0 else end + len(_END)) > MAX_HEAD:
                self._connection.fail(UpstreamMalformed("a head, with what came before it, over 64 KiB"))
                return
            if end < 0:
                return
            first, *lines = self._began[:end].split(b"\r\n")
            status = _STATUS.fullmatch(first)
            if status is None:
                self._hand_back()
                return
            if status[1] == b"101":
                self._switch(lines, end + len(_END))
                return
            self._began = self._began[end + len(_END) :]
            self._passed += end + len(_END)
            self._connection.touch()

    def _hand_back(self) -> None:
        """An answer like any other, or none: that is for the connection to find out."""
        began, self._began = self._began, b""
        if self._transport is not None:
            self._transport.set_protocol(self._connection)
        self._connection.data_received(began)

    def _switch(self, lines: list[bytes], end: int) -> None:
        self._switched = True
        self._began = self._began[end:]
        connection = self._connection
        for line in lines:
            field = _FIELD.fullmatch(line)
            if field is None:
                connection.fail(UpstreamMalformed("a field of its 101 is malformed"))
                return
            name = field[1].lower()
            if name in _FRAMING:
                connection.fail(UpstreamMalformed("its 101 announces a body"))
                return
            self.fields.append((name, field[2]))
        self.pause_reading()
        head = connection.head = AnswerHead()
        head.read(self.fields, AnswerNames())
        head.finish()
        connection.status, connection.answering, connection.complete = 101, True, True
        connection._wake()


def _close_our_side(transport: asyncio.Transport) -> None:
    if transport.can_write_eof():
        transport.write_eof()
    else:  # TLS
        transport.close()
