"""The server's side of one HTTP/1.1 connection: an ``asyncio.Protocol`` for uvicorn's ``http=`` option.

Owns the order of things on a connection: one request at a time, its body, its response, their times, and its end. Rules
for a head are in ``head``, the end of a body is found by ``framing``, the application runs in ``cycle``; what follows a
101 is in ``upgraded``. Nothing is written by us while a response is on the wire.
"""

import asyncio
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server import fault
from gateway.server.asgi import App
from gateway.server.cycle import Cycle
from gateway.server.fault import Fault, Refused
from gateway.server.framing import Framing
from gateway.server.head import read, request_line
from gateway.server.head_buffer import HeadBuffer
from gateway.server.scope import Endpoints, http_scope
from gateway.server.shared import Shared
from gateway.server.upgraded import Receiver, Upgraded
from gateway.server.wire import Wire

# Where a connection is. Plain strings, because an enum's members cost a request a microsecond on Python 3.11.
_HEAD: Final = "head"  # waiting for a request, or in its head
_BODY: Final = "body"  # a cycle is open and its request still arrives
_ANSWER: Final = "answer"  # a cycle is open and its request is complete
_DRAIN: Final = "drain"  # the response is done, the rest of its request is thrown away
_ENDING: Final = "ending"  # our side is closed or about to be; what still comes is thrown away
_TURNED_AWAY: Final = "turned away"  # there was no room for it


class HttpProtocol(asyncio.Protocol):
    """One connection. ``HttpProtocols`` makes it for uvicorn."""

    def __init__(
        self,
        shared: Shared,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._limits = shared.limits
        self._room = shared.room
        self._sweeper = shared.sweeper
        self._batch = shared.batch
        self._app = cast(App, config.loaded_app)
        self._loop = _loop or asyncio.get_running_loop()
        self._server_state = server_state
        self._app_state = app_state
        self._idle_time = self._limits.idle_time.total_seconds()
        self._body_time = self._limits.body_time.total_seconds()
        self._phase = _HEAD
        self._heads = HeadBuffer(self._limits)
        self._framing = Framing(self._on_body, self._limits)
        self._cycle: Cycle | None = None
        self._held = b""  # what came behind a request that is not answered yet
        self._drained = 0
        self._stops = False  # the server does

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._ends = Endpoints(transport)
        if not self._room.enter(self._ends.peer, len(self._server_state.connections)):
            self._phase = _TURNED_AWAY
            transport.abort()
            return
        self._wire = Wire(transport, self._limits, self._sweeper.clock, self._overdue, self._batch)
        self._wire.wait_for_client(self._limits.head_time.total_seconds())
        self._sweeper.add(self._wire, self._loop)
        self._server_state.connections.add(cast(Any, self))

    def data_received(self, data: bytes) -> None:
        phase = self._phase
        try:
            if phase == _HEAD:
                self._read_head(data)
            elif phase == _BODY:
                self._read_body(data)
            elif phase == _ANSWER:
                self._hold(data)
            elif phase == _DRAIN:
                self._drain(data)
        except Refused as refused:
            self._refuse(refused.fault)

    def eof_received(self) -> None:
        if self._phase == _TURNED_AWAY:
            return
        # A client that closed its side is taken for gone, as other proxies do: the two look the same, and an upstream
        # must not go on working for nobody.
        self._close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio names it)
        if self._phase == _TURNED_AWAY:
            return
        self._end()
        self._sweeper.discard(self._wire)
        self._room.leave(self._ends.peer)
        self._server_state.connections.discard(cast(Any, self))
        self._wire.resume_writing()
        self._wire.forget()
        self._framing.forget()

    def pause_writing(self) -> None:
        self._wire.pause_writing()

    def resume_writing(self) -> None:
        self._wire.resume_writing()

    # Requests.

    def _read_head(self, data: bytes) -> None:
        fresh = not self._heads.started
        found = self._heads.add(data)
        if found is None:
            if fresh:  # counted from the first byte; later ones win no time
                self._wire.wait_for_client(self._limits.head_time.total_seconds())
            return
        head, rest = found
        try:
            self._open(head, rest)
        except Refused as refused:
            self._refuse(refused.fault, to_head=head.startswith(b"HEAD "))

    def _open(self, head: bytes, rest: bytes) -> None:
        line = request_line(head, self._limits)
        request = read(line, self._framing.open(head), self._limits)
        self._framing.expect(request.body)
        cycle = self._cycle = Cycle(
            self,
            self._wire,
            http_scope(request, self._ends, self._app_state),
            keep_alive=request.keep_alive,
            expects_continue=request.expects_continue,
        )
        self._phase = _BODY
        if request.body == 0:
            self._finish_request(cycle, rest)
        elif rest:
            self._read_body(rest)
        elif request.expects_continue:  # it waits for our 100
            self._wire.wait_for_us()
        else:
            self._wait_for_body()
        # Only now: a request whose first bytes of body are refused never reaches the application.
        cycle.task = self._loop.create_task(cycle.run(self._app))
        self._server_state.tasks.add(cycle.task)

    def _read_body(self, data: bytes) -> None:
        rest = self._framing.feed(data)
        cycle = cast(Cycle, self._cycle)
        if self._framing.complete:
            self._finish_request(cycle, rest)
        elif cycle.unread > self._limits.unread_bytes:
            self._wire.pause_reading()
            self._wire.wait_for_us()
        else:
            self._wait_for_body()

    def _finish_request(self, cycle: Cycle, rest: bytes) -> None:
        self._phase = _ANSWER
        self._wire.wait_for_us()
        cycle.finish()
        if rest:
            self._hold(rest)

    def _wait_for_body(self) -> None:
        self._wire.wait_for_client(self._body_time)
        self._wire.resume_reading()

    def _on_body(self, body: bytes) -> None:
        if self._cycle is None:
            self._drained += len(body)
        else:
            self._cycle.push(body)

    def _hold(self, data: bytes) -> None:
        """Keep a request's worth of what comes ahead, unparsed. While we read we notice that the client leaves."""
        self._held += data
        if len(self._held) > self._limits.head_bytes:
            self._wire.pause_reading()

    def _drain(self, data: bytes) -> None:
        rest = self._framing.feed(data)
        if self._framing.complete:
            self._await_request(rest)
        elif self._drained > self._limits.drain_bytes:
            self._linger()
        else:
            self._wait_for_body()

    def _await_request(self, ahead: bytes) -> None:
        self._phase = _HEAD
        self._wire.wait_for_client(self._idle_time)
        self._wire.resume_reading()
        if ahead:
            self.data_received(ahead)

    # The cycle's side.

    def body_wanted(self) -> None:
        """Go on reading the request body, and count its time from here."""
        if self._phase == _BODY:
            self._wait_for_body()

    def response_done(self) -> None:
        """Go on with the next request, or end the connection."""
        cycle, self._cycle = cast(Cycle, self._cycle), None
        self._server_state.total_requests += 1
        held, self._held = self._held, b""
        if self._framing.complete and cycle.keep_alive:
            self._await_request(held)
        elif self._framing.complete and not held:
            self._close()
        elif self._framing.complete or not cycle.keep_alive or self._framing.remaining > self._limits.drain_bytes:
            self._linger()
        else:
            self._phase = _DRAIN
            self._drained = 0
            self._wait_for_body()

    def upgrade(self, head: bytes, receiver: Receiver) -> None:
        """Be done with this connection: it speaks no HTTP any more."""
        held, self._cycle, self._held = self._held, None, b""
        Upgraded(self, self._wire, self._server_state.connections, receiver).begin(head, held, stops=self._stops)

    def forget(self, task: "asyncio.Task[None]") -> None:
        """The application's task ends."""
        self._server_state.tasks.discard(task)

    # How a connection ends.

    def abort(self) -> None:
        """At once: the client sees that the response was cut off."""
        self._end()
        self._wire.abort()

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: finish the response that is open, take no further request."""
        if self._cycle is None:
            self._close()
        else:
            self._stops = True
            self._cycle.keep_alive = False

    def _overdue(self) -> None:
        if self._phase == _BODY or (self._phase == _HEAD and self._heads.started):
            self._refuse(fault.REQUEST_TIMEOUT)
        else:
            self._close()

    def _refuse(self, reason: Fault, *, to_head: bool = False) -> None:
        """Answer in the application's place, unless the request has its answer or a part of it already."""
        cycle = self._cycle
        if cycle is not None and cycle.on_the_wire:
            self.abort()
            return
        if self._phase != _DRAIN:
            self._wire.write(reason.answer(to_head=to_head or (cycle is not None and cycle.to_head)))
        self._linger()

    def _close(self) -> None:
        self._end()
        self._wire.close()

    def _linger(self) -> None:
        self._end()
        self._wire.linger()

    def _end(self) -> None:
        """No more of HTTP: whatever comes is thrown away, and the application is cut off."""
        self._phase = _ENDING
        self._held = b""
        self._heads.clear()
        if self._cycle is not None:
            self._cycle.disconnect()
            self._cycle = None
