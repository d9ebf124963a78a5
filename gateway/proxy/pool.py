"""Connections to one upstream: kept alive, last used first, bounded, swept by one timer for all deadlines."""

import asyncio
from collections.abc import Callable

from gateway.proxy.answer_headers import AnswerNames
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.upstream import Upstream, UpstreamBusy, UpstreamUnreachable, address_of
from gateway.write_batch import WriteBatch

SWEEP_EVERY = 0.1  # seconds; how exact read_timeout, total_timeout and idle_timeout are


class _Target:
    """One address and the connections to it that wait for work; the last one used is the warmest."""

    __slots__ = ("host", "idle", "port")

    def __init__(self, target: str) -> None:
        self.host, self.port = address_of(target)
        self.idle: list[UpstreamConnection] = []


class UpstreamPool:
    """All connections of this process to one upstream. Belongs to one event loop, that of its first request.

    ``sweep`` runs by itself while there are connections; ``clock`` is monotonic seconds.
    """

    def __init__(self, upstream: Upstream, *, clock: Callable[[], float] | None = None) -> None:
        self.upstream = upstream
        self._targets = [_Target(target) for target in upstream.targets]
        self._turn = 0
        self._connections: set[UpstreamConnection] = set()
        self._connecting = 0
        self._names = AnswerNames()
        self._batch = WriteBatch()
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._connect_timeout = upstream.connect_timeout.total_seconds()
        self._read_timeout = upstream.read_timeout.total_seconds()
        self._total_timeout = upstream.total_timeout.total_seconds() if upstream.total_timeout else None
        self._idle_timeout = upstream.idle_timeout.total_seconds()

    def __len__(self) -> int:
        """Open connections, busy and idle."""
        return len(self._connections)

    def take(self) -> UpstreamConnection | None:
        """A connection of the target whose turn it is that waits for work, if there is one."""
        targets = self._targets
        if len(targets) > 1:
            self._turn = (self._turn + 1) % len(targets)
        idle = targets[self._turn].idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection to the target whose turn it is, or to the next one that answers.

        Raises ``UpstreamUnreachable``, or ``UpstreamBusy`` when there are as many as there may be.
        """
        if len(self._connections) + self._connecting >= self.upstream.max_connections and not self._drop_an_idle_one():
            raise UpstreamBusy(f"{self.upstream.max_connections} connections are in use")
        self._connecting += 1
        try:
            problems = []
            for offset in range(len(self._targets)):
                target = self._targets[(self._turn + offset) % len(self._targets)]
                try:
                    return await self._connect_to(target)
                except OSError as error:  # TimeoutError is one
                    problems.append(f"{target.host}:{target.port} {type(error).__name__} {error}".rstrip())
            raise UpstreamUnreachable("; ".join(problems))
        finally:
            self._connecting -= 1

    def give_back(self, connection: UpstreamConnection, *, request_sent: bool) -> None:
        """End the exchange. The connection waits for another one, if it is fit and there is room, else it is closed."""
        if not connection.finish(request_sent=request_sent):
            return
        idle = connection.shelf
        if self._closed or len(idle) >= self.upstream.max_idle:
            connection.close()
        else:
            idle.append(connection)

    def close(self) -> None:
        """Close what is idle; what is busy ends its exchange first and is closed then."""
        self._closed = True
        for target in self._targets:
            while target.idle:
                target.idle.pop().close()

    def sweep(self) -> None:
        """Fail what is overdue and close what has been idle for too long."""
        if self._clock is None:
            return  # there was no connection yet
        now = self._clock()
        for connection in tuple(self._connections):
            connection.overdue(
                now,
                read_timeout=self._read_timeout,
                total_timeout=self._total_timeout,
                patience=SWEEP_EVERY,
            )
        for target in self._targets:
            while target.idle and now - target.idle[0].idle_since > self._idle_timeout:
                target.idle.pop(0).close()

    async def _connect_to(self, target: _Target) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        clock = self._clock = self._clock or loop.time
        async with asyncio.timeout(self._connect_timeout):
            _, connection = await loop.create_connection(
                lambda: UpstreamConnection(
                    target.idle, self._names, clock=clock, on_closed=self._on_closed, batch=self._batch
                ),
                target.host,
                target.port,
            )
        if connection.closed:
            raise ConnectionResetError("closed as soon as it was open")
        self._connections.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(SWEEP_EVERY, self._tick)
        return connection

    def _on_closed(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        if connection in connection.shelf:
            connection.shelf.remove(connection)

    def _drop_an_idle_one(self) -> bool:
        """Make room: a connection that waits at another target is worth less than a request that does."""
        for target in self._targets:
            if target.idle:
                target.idle.pop(0).close()
                return True
        return False

    def _tick(self) -> None:
        self._timer = None
        self.sweep()
        if self._connections:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._tick)
