"""One connection to an upstream: an exchange at a time, HTTP/1.1 (RFC 9112), strict about what comes back.

Owns the socket, the parser and the state of the running exchange, and no timer. A response is announced as soon as its
head is there, its body is handed over as it comes, and reading stops while the taker is behind. Whatever cannot be
understood is a fault, and a connection with a fault is closed.
"""

import asyncio
import math
from collections.abc import Callable
from typing import cast

import httptools

from gateway.proxy.answer_headers import MAX_HEAD, AnswerHead, AnswerNames
from gateway.proxy.endpoint import Endpoint
from gateway.proxy.patience import Upload
from gateway.proxy.request_writer import RequestWriter
from gateway.proxy.tls_end import said_its_end
from gateway.proxy.upstream import ClientGone, RequestNotSent, UpstreamClosed, UpstreamFault, UpstreamMalformed
from gateway.write_batch import WriteBatch

_HIGH_WATER = 64 * 1024
_NO_HEAD = AnswerHead()


class UpstreamConnection(asyncio.Protocol):
    """Made by the pool. ``begin`` an exchange, await ``answered``, ``read`` until ``complete``, then ``finish``."""

    def __init__(
        self,
        endpoint: Endpoint,
        names: AnswerNames,
        *,
        clock: Callable[[], float],
        on_closed: Callable[["UpstreamConnection"], None],
        batch: WriteBatch,
        tls: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self._names = names
        self._clock = clock
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self.writer = RequestWriter(self._loop, batch)
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser_is_behind = False
        self._end_unsaid = tls  # TLS says when it ends: what merely stops was cut off
        self.closed = self.busy = False
        self.idle_since = -math.inf
        self.on_slow: Callable[[], None] | None = None
        self._reset(head_only=False)

    def _reset(self, *, head_only: bool) -> None:
        self.status = 0
        self.head = _NO_HEAD
        self._fields: list[tuple[bytes, bytes]] = []  # of the head, as the parser gives them
        self.answering = False  # the head is there
        self.complete = False
        self.fault: UpstreamFault | ClientGone | None = None
        self.upload: Upload | None = None
        self._head_only = head_only
        self._until_close = self._informational = self._reusable = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._received = 0  # bytes of the head so far, or since the body last grew
        self._read_paused = False
        self.started = self.touched = self._clock()

    # --- what the exchange asks for

    def begin(self, head: bytes, *, head_only: bool) -> None:
        """Send a request's head and what of its body is at hand. ``head_only``: it is HEAD, the answer has no body."""
        if self._parser_is_behind:  # it still waits for the body that HEAD announced
            self._parser = httptools.HttpResponseParser(self)
            self._parser_is_behind = False
        self._reset(head_only=head_only)
        self.busy = True
        if self.closed:  # it was lost in the turn in which it was handed out: nobody else would ever tell
            self.fault = RequestNotSent("the connection was lost before the request was sent")
        else:
            self.writer.begin(head)

    async def answered(self) -> None:
        """Wait for the head of the answer. Raises ``UpstreamFault``, or ``ClientGone`` when given up."""
        if not self.answering and self.fault is None:
            await self._news()
        if self.fault is not None:
            raise self.fault

    @property
    def reused(self) -> bool:
        """Whether another exchange was before this one."""
        return self.idle_since > -math.inf

    @property
    def here(self) -> bool:
        """Whether ``read`` would return at once."""
        return bool(self._chunks) or self.complete

    async def read(self) -> bytes:
        """The next piece of the body, or ``b""`` at its end. Raises as ``answered`` does."""
        while not self._chunks and not self.complete and self.fault is None:
            await self._news()
        if self.fault is not None:
            raise self.fault
        return self.take()

    def take(self) -> bytes:
        """What of the body is here."""
        chunks = self._chunks
        if not chunks:
            return b""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._read_paused and self._transport is not None and not self._transport.is_closing():
            self._read_paused = False
            self.touched = self._clock()
            self._transport.resume_reading()
        return body

    async def drain(self) -> None:
        """Wait until the upstream has taken what was written. Raises as ``answered`` does."""
        if self.fault is None:
            await self.writer.drained()
        if self.fault is not None:
            raise self.fault
        if self.closed:
            raise UpstreamClosed("the connection ended before the request did")

    def touch(self) -> float:
        """Progress on the request's side is no silence either. Returns the time."""
        self.touched = self._clock()
        return self.touched

    def fail(self, fault: UpstreamFault | ClientGone) -> None:
        """End the exchange and close. The first fault stays."""
        if self.fault is None:
            self.fault = fault
        self.close()
        self._wake()

    def finish(self, *, request_sent: bool) -> bool:
        """End the exchange; whether another one may use this connection."""
        self.busy, self.on_slow = False, None
        fit = self._reusable and request_sent and self.complete and self.fault is None
        if not fit or self.closed or self._transport is None or self._transport.is_closing() or self._read_paused:
            self.close()
            return False
        self._parser_is_behind = self._head_only
        self.idle_since = self._clock()
        return True

    def close(self) -> None:
        """At once: nothing that is still to be sent matters."""
        if self._transport is not None:
            self._transport.abort()
        self._gone()

    def _news(self) -> asyncio.Future[None]:
        """Done at the next ``_wake``. No coroutine: every request waits here."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _gone(self) -> None:
        if not self.closed:
            self.closed = True
            self._parser = None  # they hold each other
            self.writer.drop()
            self._on_closed(self)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.writer.attach(self._transport)

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        if self.writer.waits:
            self.fail(RequestNotSent("bytes came before the request was sent"))
            return
        if not self.busy or self.complete:
            # Nobody asked: such bytes must never be taken for the answer to the next request.
            self._reusable = False
            self.close()
            return
        self._received += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._malformed(f"{type(error).__name__}: {error}")
        if self.fault is not None:
            self.fail(self.fault)
            return
        if self._received > MAX_HEAD and not self.complete:
            self.fail(UpstreamMalformed("a head, or framing between two pieces of the body, over 64 KiB"))
            return
        if self._buffered > _HIGH_WATER and not self._read_paused and self._transport is not None:
            self._read_paused = True
            self._transport.pause_reading()
        if self.answering:
            self.touched = self._clock()
            self._wake()

    def eof_received(self) -> None:
        self._end_unsaid = self._end_unsaid and not said_its_end(self._transport)
        self._ended(clean=not self._end_unsaid)
        if not self.busy:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(clean=exc is None and not self._end_unsaid)
        self._transport = None
        self._gone()

    def pause_writing(self) -> None:
        self.writer.pause()

    def resume_writing(self) -> None:
        self.touch()
        self.writer.resume()

    def _ended(self, *, clean: bool) -> None:
        self._reusable = False
        if not self.busy or self.complete or self.fault is not None:
            return
        if self.answering and self._until_close and clean:
            self.complete = True
            self._wake()
        elif self.answering or self._received:
            self.fail(UpstreamMalformed("the connection ended before the answer did"))
        elif self.writer.waits:
            self.fail(RequestNotSent("the connection ended before the request was sent"))
        else:
            self.fail(UpstreamClosed("the connection ended before the answer began"))

    # --- httptools

    def on_message_begin(self) -> None:
        if self.complete:
            self._malformed("bytes behind the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.answering:  # else it is a trailer, which is dropped
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.fault is not None:
            return
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._informational = True
            self._fields.clear()
            self.touched = self._clock()
            return
        head = self.head = AnswerHead()
        head.read(self._fields, self._names)
        version = parser.get_http_version()
        if (wrong := head.malformed(status, version, self._received)) is not None:
            self._malformed(wrong)
        self._received = 0
        self.status = status
        self.answering = True
        no_body = self._head_only or status in (204, 304)
        self._until_close = not no_body and not head.chunked and head.length is None
        # A body that comes late where there is none would be the next client's answer: such a connection is not kept.
        doubtful = head.length != 0 if self._head_only else no_body and (head.chunked or bool(head.length))
        self._reusable = head.finish() and version == "1.1" and not self._until_close and not doubtful
        if status in (204, 304):
            head.forget_length()
        self.complete = no_body

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self._malformed("a body where there can be none")
            return
        self._chunks.append(body)
        self._buffered += len(body)
        self._received = 0

    def on_message_complete(self) -> None:
        if self._informational:
            self._informational = False
        elif not self._head_only or self.status in (204, 304):  # an answer to HEAD is complete since its head
            self.complete = True

    def _malformed(self, detail: str) -> None:
        if self.fault is None:
            self.fault = UpstreamMalformed(detail)
