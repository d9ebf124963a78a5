"""Serves several listeners in one event loop, from start-up to a clean end.

Owns the signals, the order of start and stop, and the time that open requests get. uvicorn accepts the connections; its
own signal handling is off, because it raises a signal again when it is done, and whatever was to run then never does.
Does not own what the application needs to live: that is the ``lifespan`` that it is given.
"""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from socket import socket
from typing import Any, Final, cast

import structlog
from uvicorn import Config, Server

from gateway.server import server_name
from gateway.server.certificates import Certificates
from gateway.server.listener import Bound, CannotListen, Listener, bound, open_socket
from gateway.server.protocol import HttpProtocol
from gateway.server.tls import TlsListener

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = structlog.get_logger(__name__)

__all__ = ["Bound", "CannotListen", "Listener", "serve"]


class _Server(Server):
    """uvicorn's server, without its hands on the signals."""

    def __init__(self, config: Config, listener: Listener) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._listener = listener

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket] | None = None) -> None:
        if self._listener.certificates is None:
            await super().startup(sockets)
        else:
            self._start_tls(sockets or [], self._listener.certificates)
        self.ready.set()

    def _start_tls(self, sockets: list[socket], certificates: Certificates) -> None:
        servers = [
            TlsListener(
                each, certificates, self._listener.protocol, self.config, self.server_state, self.lifespan.state
            )
            for each in sockets
        ]
        for server in servers:
            server.start()
        self.servers = cast(list[Any], servers)
        self.started = True


async def serve(
    listeners: Sequence[Listener],
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[object]],
    drain: timedelta,
    on_ready: Callable[[Sequence[Bound]], None] = lambda _: None,
    on_stop: Callable[[], None] = lambda: None,
    stop_at: Sequence[signal.Signals] = SIGNALS,
    hurry_at: Sequence[signal.Signals] = (),
) -> None:
    """Serve until one of ``stop_at`` comes, then return. SIGHUP is in it for whoever has no other use for it: the
    terminal is gone.

    The sockets are opened first, so that a port in use is told before anything has started (``CannotListen``). Then the
    lifespan is entered, and only then are requests taken; ``on_ready`` gets the bound addresses, in the order of the
    listeners. At the signal ``on_stop`` is called, and no connection is accepted any more; open requests may finish
    within ``drain`` (a second signal cuts that short, or one of ``hurry_at`` where there are such: a supervisor and
    whoever stops a whole group send the first one twice), the lifespan is left, and the coroutine returns. From then on
    these signals are ignored: what they ask for is under way, and must not be cut off at its last writes.
    """
    with _sockets(listeners) as opened, _stop_at_signals(stop_at, hurry_at) as stop, server_name.not_printed():
        async with lifespan():
            if stop.asked.is_set():
                return
            servers = [_server(listener) for listener in listeners]
            tasks = [
                asyncio.create_task(server.serve(sockets=[listening]), name=f"serve {listener.name}")
                for server, listening, listener in zip(servers, opened, listeners, strict=True)
            ]
            try:
                await _until_ready(servers, tasks)
                on_ready([bound(listener, listening) for listener, listening in zip(listeners, opened, strict=True)])
                await _first(tasks, stop.asked)
                on_stop()
                log.info("server_stopping", connections=sum(len(s.server_state.connections) for s in servers))
            finally:
                await _stop(servers, tasks, stop.hurry, drain)
    log.info("server_stopped")


class _Stop:
    """What the operator's signals ask for: the first to stop, the second to stop now."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def signalled(self, *, again_is_now: bool) -> None:
        """A signal came."""
        if self.asked.is_set() and again_is_now:
            self.hurry.set()
        self.asked.set()

    def hurried(self) -> None:
        """One came that means now."""
        self.asked.set()
        self.hurry.set()


@contextlib.contextmanager
def _stop_at_signals(numbers: Sequence[signal.Signals], hurry_at: Sequence[signal.Signals]) -> Iterator[_Stop]:
    loop = asyncio.get_running_loop()
    stop = _Stop()
    for number in numbers:
        loop.add_signal_handler(number, functools.partial(stop.signalled, again_is_now=not hurry_at))
    for number in hurry_at:
        loop.add_signal_handler(number, stop.hurried)
    try:
        yield stop
    finally:
        for number in (*numbers, *hurry_at):
            loop.add_signal_handler(number, _ignored)  # removing it would let the next one end the process


def _ignored() -> None:
    """Nothing is to be done."""


@contextlib.contextmanager
def _sockets(listeners: Sequence[Listener]) -> Iterator[list[socket]]:
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(open_socket(listener)) for listener in listeners]


def _server(listener: Listener) -> _Server:
    config = Config(
        listener.app,
        http=cast(Any, listener.protocol),  # called as a class would be
        ws="none",
        loop="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=listener.backlog,
    )
    return _Server(config, listener)


async def _until_ready(servers: Sequence[_Server], tasks: Sequence["asyncio.Task[None]"]) -> None:
    for server in servers:
        await _first(tasks, server.ready)


async def _first(tasks: Sequence["asyncio.Task[None]"], event: asyncio.Event) -> None:
    """Wait for ``event``; a server that ends before it is an error, and its exception is raised."""
    waiter = asyncio.create_task(event.wait())
    try:
        done, _ = await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiter}:
            task.result()
            raise RuntimeError(f"{task.get_name()} ended by itself")
    finally:
        waiter.cancel()


async def _stop(
    servers: Sequence[_Server], tasks: Sequence["asyncio.Task[None]"], hurry: asyncio.Event, drain: timedelta
) -> None:
    """Let every server finish; then see to it that nothing of a request is left, before what it stands on goes.

    The time is kept here and not by uvicorn, which calls its end an error: a request that does not end is the peer's.
    """
    for server in servers:
        server.should_exit = True
    hurried = asyncio.create_task(hurry.wait())
    finished = asyncio.gather(*tasks, return_exceptions=True)
    awaited: list[asyncio.Future[Any]] = [hurried, finished]
    await asyncio.wait(awaited, timeout=drain.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not finished.done():
        if not hurry.is_set():
            log.warning("drain_exceeded", requests=sum(len(server.server_state.tasks) for server in servers))
            await _cancel_requests(servers)  # before their connections go: each may still answer
        for server in servers:
            server.force_exit = True
            _abort_connections(server)
    results = await finished
    await _cancel_requests(servers)
    for server in servers:
        _abort_connections(server)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _cancel_requests(servers: Sequence[_Server]) -> None:
    requests = [task for server in servers for task in server.server_state.tasks]
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


def _abort_connections(server: _Server) -> None:
    for connection in tuple(server.server_state.connections):
        cast(HttpProtocol, connection).abort()
