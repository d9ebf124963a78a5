"""Where a request's body ends, by llhttp (httptools). RFC 9112 sections 6 and 7.

Feeds the parser the bytes of one message at a time and never one byte more, so that what follows a request stays unread
until its response is done. Trailers are parsed and dropped: they must not look like header fields. Does not judge the
head (``head`` did before), nor buffer the body.
"""

from collections.abc import Callable
from typing import Final

import httptools

from gateway.server import fault
from gateway.server.fault import Refused
from gateway.server.head import CHUNKED, END, Fields, refuse_first_fault
from gateway.server.limits import ServerLimits

_CHUNK_ALLOWANCE: Final = 32  # size line and line ends of an honest chunk, with room to spare
_TO_NOBODY: Final = httptools.HttpRequestParser(None)  # in the place of a parser that is let go of; never fed


class Framing:
    """The parser of one connection. ``complete`` is true between the end of one message and the head of the next."""

    __slots__ = (
        "_allowance",
        "_deliver",
        "_fields",
        "_in_head",
        "_limits",
        "_overhead",
        "_parser",
        "_tail",
        "complete",
        "remaining",
    )

    def __init__(self, deliver: Callable[[bytes], None], limits: ServerLimits) -> None:
        """``deliver`` is called with each piece of body, during ``feed``."""
        self._deliver = deliver
        self._limits = limits
        self._fields: Fields = []
        self._in_head = True
        self._tail = b""
        self._overhead = 0
        self._allowance = 0
        self.remaining = 0
        self.complete = True
        self._parser = httptools.HttpRequestParser(self)

    def forget(self) -> None:
        """The connection is over: let go of the parser, which holds this, and of who made this. Nobody waits for the
        collector then.
        """
        self._parser = _TO_NOBODY
        self._deliver = _nobody

    def open(self, head: bytes) -> Fields:
        """Parse a whole head, return its fields (names in lower case, values without white space around)."""
        self.complete = False
        self._in_head = True
        fields = self._fields = []  # trailers of the message before stay in the old list, which nobody reads
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # we do not upgrade, and the parser is ready for the next message already
        except httptools.HttpParserError:
            refuse_first_fault(head, self._limits, otherwise=fault.FRAMING)
        self._in_head = False
        self._fields = []  # trailers will land in the new list; the application gets the old one
        if head.count(b"\n") - head.startswith(b"\r\n") != len(fields) + 2:  # one line per field, none folded or lost
            refuse_first_fault(head, self._limits, otherwise=fault.FIELD_LINE)
        return fields

    def expect(self, body: int) -> None:
        """Say how long the body is (see ``head.Request``). The parser must have come to the same view of the head."""
        if self.complete is not (body == 0):
            raise Refused(fault.FRAMING)
        self.remaining = body
        self._tail = b""
        self._overhead = 0

    def feed(self, data: bytes) -> bytes:
        """Parse body bytes. Returns those behind the end of the message; raises ``Refused``."""
        if self.remaining == CHUNKED:
            return self._feed_chunks(data)
        piece = data[: self.remaining]
        self.remaining -= len(piece)
        self._parse(piece)
        return data[len(piece) :]

    def _feed_chunks(self, data: bytes) -> bytes:
        """A chunked message can only end behind an empty line: stop at each, so that no byte of the next is parsed."""
        start = 0
        straddling = (self._tail + data[:3]).find(END)
        end = straddling + len(END) - len(self._tail) if straddling >= 0 else 0
        while start < len(data) and not self.complete:
            if not end:
                found = data.find(END, start)
                end = found + len(END) if found >= 0 else len(data)
            self._parse(data[start:end])
            start, end = end, 0
        self._tail = (self._tail + data[-3:])[-3:]
        self._overhead = max(0, self._overhead + start - self._allowance)
        self._allowance = 0
        if self._overhead > self._limits.chunk_overhead_bytes:
            raise Refused(fault.CHUNK_OVERHEAD)
        return data[start:]

    def _parse(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserError as error:
            raise Refused(fault.BODY) from error

    # Called by the parser.

    def on_message_begin(self) -> None:
        if not self._in_head:
            raise Refused(fault.BODY)  # a second message inside a body: the cut above failed, so stop

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip()))  # llhttp leaves white space behind a value where it is

    def on_chunk_header(self) -> None:
        self._allowance += _CHUNK_ALLOWANCE

    def on_body(self, body: bytes) -> None:
        self._allowance += 2 * len(body)
        self._deliver(body)

    def on_message_complete(self) -> None:
        self.complete = True


def _nobody(_body: bytes) -> None:
    """Who gets a body when nobody is left."""
