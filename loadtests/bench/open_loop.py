"""A load at a fixed rate, whatever the answers do: each request has a moment at which it is to be sent, and its latency
counts from there (Gil Tene's "coordinated omission": who waits for a slow answer before asking again measures too
little).

wrk has no fixed rate and wrk2 is in no distribution. So this is our own, of one thread around epoll. It costs some
25 µs a request; the capacity that a rate is a share of is measured with the same generator, so its cost is in both.
"""

import gc
import math
import select
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from keep_alive import Connection

_WARM_UP = 0.5
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and on how many connections: more than are ever busy, else the load would wait for answers."""

    port: int
    request: bytes
    connections: int = 64


@dataclass(frozen=True, slots=True)
class Latencies:
    """One run. Times are milliseconds; ``failed`` are answers that are not 200, ``rate`` is what was answered a second.

    ``late`` is the 99th percentile of how long after its moment a request was sent: it is part of the other times.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    p999: float
    longest: float
    late: float
    failed: int


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all are not above (nearest rank). Raises IndexError for none."""
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def at_rate(target: Target, rate: float, seconds: float) -> Latencies:
    """Send ``rate`` requests a second, evenly spaced. Raises as ``Connection`` does, and TimeoutError."""
    return _run(target, rate, seconds)


def saturate(target: Target, seconds: float) -> Latencies:
    """Ask again as soon as there is an answer: what can be served at all."""
    return _run(target, None, seconds)


def _run(target: Target, rate: float | None, seconds: float) -> Latencies:
    connections = [Connection(target.port) for _ in range(target.connections)]
    loop = _Loop(target.request, connections, rate)
    gc.disable()  # its pauses would be counted as the gateway's
    try:
        loop.run(seconds + _WARM_UP)
    finally:
        gc.enable()
        for connection in connections:
            connection.close()
    return loop.result(_WARM_UP)


class _Loop:
    def __init__(self, request: bytes, connections: Sequence[Connection], rate: float | None) -> None:
        self._request, self._rate = request, rate
        self._free = deque(connections)  # all in turn: the gateway closes a connection on which nothing was asked
        self._by_fd = {connection.socket.fileno(): connection for connection in connections}
        self._due: dict[Connection, tuple[float, float]] = {}
        self._done: list[tuple[float, float, float]] = []
        self._failed = 0
        self._began = self._ended = 0.0

    def run(self, seconds: float) -> None:
        with closing(select.epoll()) as epoll:
            for fd in self._by_fd:
                epoll.register(fd, select.EPOLLIN)
            self._began = time.perf_counter() + 0.01
            until, sent = self._began + seconds, 0
            while True:
                now = time.perf_counter()
                due = now if self._rate is None else self._began + sent / self._rate
                while due <= now and due < until and self._free:
                    self._send(due)
                    sent += 1
                    now = time.perf_counter()
                    due = now if self._rate is None else self._began + sent / self._rate
                if due >= until and not self._due:
                    break
                if now > until + _PATIENCE:
                    raise TimeoutError(f"{len(self._due)} requests were not answered within {_PATIENCE:.0f} s")
                wait = due - now if self._free and due < until else 1.0
                # An epoll object can be waited for as well, and select() counts in microseconds where poll() of epoll
                # counts in milliseconds.
                select.select([epoll], [], [], max(0.0, wait))
                for fd, _ in epoll.poll(0):
                    self._receive(self._by_fd[fd])
            self._ended = until

    def _send(self, due: float) -> None:
        connection = self._free.popleft()
        self._due[connection] = (due, time.perf_counter())
        connection.send(self._request)

    def _receive(self, connection: Connection) -> None:
        answer = connection.receive()
        if answer is None:
            return
        due, sent = self._due.pop(connection)
        self._done.append((due, sent, time.perf_counter()))
        self._failed += answer.status != 200
        self._free.append(connection)

    def result(self, warm_up: float) -> Latencies:
        counted = [each for each in self._done if each[0] >= self._began + warm_up]
        latencies = sorted(1000 * (done - due) for due, _, done in counted)
        lateness = sorted(1000 * (sent - due) for due, sent, _ in counted)
        answered = sum(done < self._ended for _, _, done in counted)
        return Latencies(
            requests=len(counted),
            rate=answered / (self._ended - self._began - warm_up),
            p50=percentile(latencies, 0.5),
            p99=percentile(latencies, 0.99),
            p999=percentile(latencies, 0.999),
            longest=latencies[-1],
            late=percentile(lateness, 0.99),
            failed=self._failed,
        )
