"""One request and its response, as the application sees them: ASGI 3 ``receive`` and ``send`` (HTTP spec version 2.4).

Owns the framing of the response and the end of the application's task. Does not own the connection: it tells
``Connection`` what happened, and leaves it alone once it was cut off from it.
"""

import asyncio
from typing import Final, Protocol

import structlog

from gateway.server import fault
from gateway.server.asgi import App, ClientDisconnect, Message, Scope
from gateway.server.request_body import RequestBody
from gateway.server.response import ResponseHead, response_head
from gateway.server.upgraded import UPGRADE, Receiver, switching
from gateway.server.wire import Wire

ABORT: Final = "yett.abort"
"""A message of our own: break the connection off, so that a response which had begun does not look complete."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"connection: close\r\n\r\n"

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """What a cycle needs of the connection that carries it."""

    def body_wanted(self) -> None:
        """The application has taken all body that was buffered, and asks for more."""

    def response_done(self) -> None:
        """The response is complete."""

    def upgrade(self, head: bytes, receiver: Receiver) -> None:
        """Write this 101; what comes and goes from here on is the receiver's."""

    def abort(self) -> None:
        """End the connection at once, in the middle of the response."""

    def forget(self, task: "asyncio.Task[None]") -> None:
        """The application's task ends."""


# What has become of the response. Plain strings, because an enum's members cost a request a microsecond on Python 3.11.
_AWAITED: Final = "awaited"
_STARTED: Final = "started"  # the application sent the start; nothing is on the wire yet
_RUNNING: Final = "running"
_DONE: Final = "done"
_OPEN: Final = (_STARTED, _RUNNING)


class Cycle:
    """Created when a head is complete; ``run`` is the task of the application."""

    __slots__ = (
        "_body",
        "_carries_body",
        "_chunked",
        "_connection",
        "_expects_continue",
        "_head",
        "_left",
        "_received",
        "_scope",
        "_state",
        "_wire",
        "gone",
        "keep_alive",
        "task",
    )

    def __init__(
        self, connection: Connection, wire: Wire, scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.gone = False
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._wire = wire
        self._scope = scope
        self._expects_continue = expects_continue
        self._state = _AWAITED
        self._head: ResponseHead | None = None
        self._left: int | None = None
        self._chunked = False
        self._carries_body = True
        self._body: RequestBody | None = None  # made when somebody asks: most requests have none, and are not asked
        self._received = False

    # The connection's side.

    @property
    def on_the_wire(self) -> bool:
        """Whether the client has seen a part of this response."""
        return self._state == _RUNNING or self._state == _DONE

    @property
    def to_head(self) -> bool:
        """Whether the response must go without its body (RFC 9110 section 9.3.2)."""
        return bool(self._scope["method"] == "HEAD")

    @property
    def unread(self) -> int:
        """Bytes of body that the application has not taken."""
        return 0 if self._body is None else self._body.unread

    def push(self, chunk: bytes) -> None:
        """Body arrived. A client that sends it does not wait for our 100 (Continue)."""
        self._expects_continue = False
        self._the_body().push(chunk)

    def finish(self) -> None:
        """The request is complete."""
        self._received = True
        self._expects_continue = False
        if self._body is not None:
            self._body.finish()

    def disconnect(self) -> None:
        """Cut off: the client is gone, or was answered in the application's place."""
        self.gone = True
        if self._body is not None:
            self._body.notify()

    def _the_body(self) -> RequestBody:
        if self._body is None:
            self._body = RequestBody(complete=self._received)
        return self._body

    # The application's side.

    async def run(self, app: App) -> None:
        """Call the application and see to it that the client gets one whole response or a cut connection."""
        try:
            await app(self._scope, self.receive, self.send)
            if self._state != _DONE and not self.gone:
                log.error("application_failed", reason="response_incomplete", response=self._state)
                self._fail()
        except asyncio.CancelledError:
            self._fail()
            raise
        except Exception as error:
            if not (self.gone and isinstance(error, ClientDisconnect)):  # that one only says what we told it
                log.exception("application_failed", reason="exception", response=self._state)
            self._fail()
        finally:
            if self.task is not None:
                self._connection.forget(self.task)

    def _fail(self) -> None:
        if self.gone or self._state == _DONE:
            return
        if self._state == _RUNNING:
            self._connection.abort()
            return
        self._state = _DONE
        self.keep_alive = False
        self._wire.write(fault.INTERNAL.answer(to_head=self.to_head))
        self._connection.response_done()

    async def receive(self) -> Message:
        """The body as it comes, in pieces; then ``http.disconnect``, once the client has gone or has its response."""
        if self._expects_continue and self._state == _AWAITED and not self.gone:
            self._expects_continue = False
            self._wire.write(_CONTINUE)
            self._connection.body_wanted()
        body = self._the_body()
        while not self.gone and self._state != _DONE:
            if body.ready:
                piece, more = body.take()
                if more:
                    self._connection.body_wanted()
                return {"type": "http.request", "body": piece, "more_body": more}
            await body.changed()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """One ASGI message. The head leaves in one write with the first piece of body.

        Waits while the client takes nothing; raises ``ClientDisconnect`` once there is nobody to send to.
        """
        if self._wire.write_paused and not self.gone:
            await self._wire.drained()
        if self.gone:
            raise ClientDisconnect("the client is gone")
        state = self._state
        kind = message["type"]
        if state == _AWAITED and kind == "http.response.start":
            self._head = response_head(message["status"], message.get("headers", ()), self._scope["method"])
            self._state = _STARTED
        elif kind == "http.response.body" and state in _OPEN:
            more = message.get("more_body", False)
            self._write(message.get("body", b""), more)
            if not more:
                self._state = _DONE
                if self._body is not None:
                    self._body.notify()
                self._connection.response_done()
            elif self._wire.write_paused:
                await self._wire.drained()
        elif kind == UPGRADE and state == _AWAITED:
            head = switching(message["headers"])
            self._state = _DONE
            if self._body is not None:
                self._body.notify()
            self._connection.upgrade(head, message["receiver"])
        elif kind == ABORT:
            self._connection.abort()
        else:
            raise RuntimeError(f"unexpected {kind} while the response is {state}")

    def _write(self, body: bytes, more: bool) -> None:
        opening = b""
        if self._head is not None:
            opening = self._open(self._head, len(body), more)
            self._head = None
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the response body does not have the length that its Content-Length states")
        self._state = _RUNNING
        if not self._carries_body:
            data = opening
        elif not self._chunked:
            data = b"".join((opening, body)) if opening else body
        elif body:
            data = b"".join((opening, b"%x\r\n" % len(body), body, b"\r\n" if more else b"\r\n0\r\n\r\n"))
        else:
            data = opening if more else opening + b"0\r\n\r\n"
        if data:
            if more:
                self._wire.write(data)
            else:
                self._wire.write_soon(data)

    def _open(self, head: ResponseHead, size: int, more: bool) -> bytes:
        """Choose the framing: the stated length, the known length, chunks, or (HTTP/1.0) the end of the connection."""
        block, length, self._carries_body, close = head
        framing = b""
        if not self._carries_body:
            pass
        elif length is not None:
            self._left = length
        elif not more:
            framing = b"content-length: %d\r\n" % size
        elif self._scope["http_version"] == "1.1":
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self.keep_alive = False
        if close or self._expects_continue:  # without our 100 nobody knows whether the body will come
            self.keep_alive = False
        return block + framing + (b"\r\n" if self.keep_alive else _CLOSE)
