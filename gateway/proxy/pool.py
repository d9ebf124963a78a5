"""Connections to one upstream: kept alive, last used first, bounded, swept by one timer for all deadlines."""

import asyncio
import errno
from collections.abc import Callable
from functools import partial

from gateway.proxy.answer_headers import AnswerNames
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.endpoint import Endpoint
from gateway.proxy.endpoints import Endpoints
from gateway.proxy.names import LookUpsInTurn, Names, Resolve
from gateway.proxy.patience import Patience
from gateway.proxy.probe import Probe
from gateway.proxy.upstream import (
    TookTooLong,
    Upstream,
    UpstreamBusy,
    UpstreamClosed,
    UpstreamFault,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.write_batch import WriteBatch

_MOST_TRIED = 4  # targets for one request: in an outage, each request that comes would ask all of them
_OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})  # nobody was asked
SWEEP_EVERY = 0.1  # seconds; how exact the timeouts of an upstream are


class UpstreamPool:
    """All connections of this process to one upstream. Belongs to one event loop, that of its first request.

    ``take`` a connection, or else ``connect``, and ``give_back`` in any case. ``sweep`` runs by itself while there are
    connections; ``look_up`` and ``check_health`` are for jobs. ``clock`` is monotonic seconds.
    """

    def __init__(
        self, upstream: Upstream, *, clock: Callable[[], float] | None = None, resolve: Resolve | None = None
    ) -> None:
        self.upstream = upstream
        self.by_subject = upstream.balance == "hash-subject"
        self.endpoints = Endpoints(upstream)
        self.names = Names(upstream, self.endpoints, resolve or LookUpsInTurn().resolve)
        self._patience = Patience.of(upstream)
        health = upstream.health
        self._probe = None if health is None else Probe(health, self.endpoints, self._open, self._now)
        self._connections: set[UpstreamConnection] = set()
        self._connecting = 0
        self._upgrading: set[object] = set()
        self._answer_names = AnswerNames()
        self._batch = WriteBatch()
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._connect_timeout = upstream.connect_timeout.total_seconds()
        self._keep_alive = upstream.keep_alive.total_seconds()

    def __len__(self) -> int:
        """Open connections, busy and idle."""
        return len(self._connections)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        idle = sum(len(endpoint.idle) for endpoint in self.endpoints.all)
        return len(self._connections) + self._connecting - idle

    def take(self, subject: str | None = None) -> UpstreamConnection | None:
        """A connection that waits for work, of the endpoint whose turn it is; None where it has none.

        ``subject`` is whose request it is, where ``by_subject``. Raises ``UpstreamBusy`` over ``max_in_flight``.
        """
        endpoint = self.endpoints.only
        if endpoint is None:
            self._refuse_excess()
            endpoint = self.endpoints.choose(subject)
            if endpoint is None:
                return None  # ``connect`` knows why
            if endpoint.idle:
                endpoint.passed += endpoint.stride
        idle = endpoint.idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def connect(self, subject: str | None = None, *, avoid: Endpoint | None = None) -> UpstreamConnection:
        """A new connection to the endpoint whose turn it is, or to the next one that answers, the one to ``avoid``
        after all that are well. No other one is tried after ``_MOST_TRIED``, or once two ``connect_timeout`` have gone
        by.

        Raises ``UpstreamUnreachable``, or ``UpstreamBusy`` when there are as many as there may be.
        """
        loop = asyncio.get_running_loop()
        self.endpoints.review(self._now())
        if not self.endpoints.all:
            await self._know_addresses()
        self._refuse_excess()
        if len(self._connections) + self._connecting >= self.upstream.max_connections and not self._drop_an_idle_one():
            raise UpstreamBusy(f"{self.upstream.max_connections} connections are in use")
        tried: list[Endpoint] = []
        problems: list[str] = []
        ends = loop.time() + 2 * self._connect_timeout
        while len(tried) < _MOST_TRIED and (not tried or loop.time() < ends):
            endpoint = self.endpoints.choose(subject, tried, avoid)
            if endpoint is None:
                break
            tried.append(endpoint)
            try:
                return await self._connect_to(endpoint)
            except OSError as error:  # TimeoutError is one, and what TLS finds
                problems.append(f"{endpoint.label} {type(error).__name__} {error}".rstrip())
                if error.errno not in _OUR_OWN:
                    self.endpoints.failed(endpoint, self._now())
        if not tried:
            raise UpstreamBusy("every target has as many requests as it may have")
        raise UpstreamUnreachable("; ".join(problems))

    def give_back(self, connection: UpstreamConnection, *, request_sent: bool) -> None:
        """End the exchange. The connection waits for another one, if it is fit and there is room, else it is closed."""
        endpoint = connection.endpoint
        if not connection.finish(request_sent=request_sent):
            self._judge(connection, endpoint, request_sent=request_sent)
            return
        if endpoint.faults:
            self.answered(connection)
        idle = endpoint.idle
        if len(idle) >= endpoint.keeps:
            connection.close()
        else:
            idle.append(connection)

    def answered(self, connection: UpstreamConnection) -> None:
        """Its endpoint did its part, after faults."""
        self.endpoints.answered(connection.endpoint, connection.started, connection.touched)

    def begin_upgrade(self, exchange: object) -> None:
        """Count one whose connection is to speak another protocol, until ``end_upgrade``. Raises ``UpstreamBusy``."""
        if len(self._upgrading) >= self.upstream.max_upgraded:
            raise UpstreamBusy(f"{self.upstream.max_upgraded} connections speak another protocol")
        self._upgrading.add(exchange)

    def end_upgrade(self, exchange: object) -> None:
        """It needs its connection no longer."""
        self._upgrading.discard(exchange)

    def close(self) -> None:
        """Close what is idle; what is busy ends its exchange first and is closed then."""
        self.names.close()
        self.endpoints.close()

    def sweep(self) -> None:
        """Fail what is overdue, close what has been idle for too long, and see who may be asked again."""
        if self._clock is None:
            return  # there was no connection yet
        now = self._clock()
        for connection in tuple(self._connections):
            self._patience.hold(connection, now, watch_after=SWEEP_EVERY)
        for endpoint in self.endpoints.all:
            while endpoint.idle and now - endpoint.idle[0].idle_since > self._keep_alive:
                endpoint.idle.pop(0).close()
        self.endpoints.review(now)

    async def look_up(self) -> None:
        """Ask for the targets' addresses anew."""
        await self.names.look_up()

    async def check_health(self) -> None:
        """Ask each endpoint whether it is well, where the upstream says how."""
        if self._probe is not None:
            await self._probe.run()

    def _now(self) -> float:
        clock = self._clock = self._clock or asyncio.get_running_loop().time
        return clock()

    def _refuse_excess(self) -> None:
        most = self.upstream.max_in_flight
        if most is not None and self.in_flight >= most:
            raise UpstreamBusy(f"{most} requests are under way")

    async def _know_addresses(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout):
                await self.names.first_look_up()
        except TimeoutError:
            raise UpstreamUnreachable("no name of its targets was found in time") from None
        if not self.endpoints.all:
            raise UpstreamUnreachable("no name of its targets leads to an address where they may be")

    async def _connect_to(self, endpoint: Endpoint) -> UpstreamConnection:
        endpoint.open += 1
        endpoint.passed += endpoint.stride
        self._connecting += 1
        made = False
        try:
            async with asyncio.timeout(self._connect_timeout):
                connection = await self._open(endpoint)
            if connection.closed:
                raise ConnectionResetError("closed as soon as it was open")
            made = True
        finally:
            self._connecting -= 1
            if not made:
                endpoint.open -= 1
        self._connections.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._tick)
        return connection

    async def _open(self, endpoint: Endpoint) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        clock = self._clock = self._clock or loop.time
        make = partial(
            UpstreamConnection, endpoint, self._answer_names, clock=clock, on_closed=self._on_closed, batch=self._batch
        )
        target, tls = endpoint.target, self.upstream.tls
        if not target.tls:
            _, connection = await loop.create_connection(make, endpoint.address, target.port)
            return connection
        name = self.upstream.server_name or target.host
        _, connection = await loop.create_connection(
            partial(make, tls=True), endpoint.address, target.port, ssl=tls, server_hostname=name
        )
        return connection

    def _judge(self, connection: UpstreamConnection, endpoint: Endpoint, *, request_sent: bool) -> None:
        """What the end of an exchange says of its endpoint, where its connection is not to be used again."""
        fault = connection.fault
        if fault is None:
            if endpoint.faults and connection.answering:
                self.answered(connection)
            return
        if not request_sent or not isinstance(fault, UpstreamFault):
            return  # as long as the client is at it, what ends is as much its doing: servers give slow bodies up
        if endpoint.on_trial and connection.started <= endpoint.ejected_at:
            return  # it stands for what it did before
        if isinstance(fault, UpstreamTimeout):
            if connection.answering or connection.started < endpoint.answered_at:
                return  # it answers others, so such faults do not come in a row
            if isinstance(fault, TookTooLong) and connection.upload is not None:
                return
        elif connection.reused and isinstance(fault, UpstreamClosed):
            return  # it closed what was kept for long: servers do
        self.endpoints.failed(endpoint, self._now())

    def _on_closed(self, connection: UpstreamConnection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        endpoint = connection.endpoint
        endpoint.open -= 1
        if connection in endpoint.idle:
            endpoint.idle.remove(connection)

    def _drop_an_idle_one(self) -> bool:
        """Make room: a connection that waits at another endpoint is worth less than a request that does."""
        for endpoint in self.endpoints.all:
            if endpoint.idle:
                endpoint.idle.pop(0).close()
                return True
        return False

    def _tick(self) -> None:
        self._timer = None
        self.sweep()
        if self._connections:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._tick)
