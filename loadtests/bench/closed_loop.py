"""People who log in, one after the other on each connection: by the token endpoint, by the login page, or both, as fast
as they are answered.

A person is a generator: it yields a request and is sent its answer. As many passwords wait to be hashed as there are
connections, so a queue that is never empty and never full is had by their number.
"""

import select
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal

from accounts import Account, LoginForm, in_turn, page_request, token_request
from keep_alive import Answer, Connection
from open_loop import percentile

Way = Literal["token", "page"]
Person = Generator[bytes, Answer, None]

_PATIENCE = 60.0
_GRANTED = {"token": 200, "page": 303}
_REFUSED = (429, 503)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who logs in where. ``first`` is the account that begins."""

    port: int
    accounts: Sequence[Account]
    first: int = 0


@dataclass(frozen=True, slots=True)
class Logins:
    """What a crowd got. ``rate`` are logins per second; times are milliseconds, of the request with the password."""

    granted: int
    rate: float
    p50: float
    p99: float
    longest: float
    refused: int
    failed: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a crowd got that is larger than what fits. ``unsaid`` were refused without saying when to come again."""

    granted: int
    refused: dict[int, int]
    unsaid: int
    failed: dict[int, int]
    seconds: float
    p50: float
    p99: float

    @property
    def total(self) -> int:
        """Attempts that were refused."""
        return sum(self.refused.values())


@dataclass(slots=True)
class _Tally:
    """Every answer to a password, and when it came."""

    answers: list[tuple[float, int, float]] = field(default_factory=list)
    unsaid: int = 0
    refused: int = 0

    def add(self, answer: Answer) -> None:
        self.answers.append((time.perf_counter(), answer.status, 1000 * answer.seconds))
        if answer.status in _REFUSED:
            self.refused += 1
            self.unsaid += not (answer.field("retry-after") or "").isdecimal()


def log_in(crowd: Crowd, way: Way, connections: int, seconds: float, warm_up: float) -> Logins:
    """Logins for ``seconds``, counted after ``warm_up`` more: until then the queue fills."""
    tally = _Tally()
    people = in_turn(list(crowd.accounts), crowd.first)
    began = time.perf_counter()
    until = began + warm_up + seconds
    persons = [_WAYS[way](crowd.port, people, tally) for _ in range(connections)]
    _drive(crowd.port, persons, lambda: time.perf_counter() >= until)
    counted = [each for each in tally.answers if began + warm_up <= each[0] < until]
    latencies = sorted(latency for _, status, latency in counted if status == _GRANTED[way])
    refused = sum(status in _REFUSED for _, status, _ in counted)
    return Logins(
        granted=len(latencies),
        rate=len(latencies) / seconds,
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
        longest=latencies[-1],
        refused=refused,
        failed=len(counted) - len(latencies) - refused,
    )


def overload(crowd: Crowd, connections: int, refusals: int, most_seconds: float) -> Refusals:
    """More than fit, half of them by the token endpoint and half by the page, until so many were refused."""
    tally = _Tally()
    people = in_turn(list(crowd.accounts), crowd.first)
    ways = (by_token, by_form)
    persons = [ways[number % 2](crowd.port, people, tally) for number in range(connections)]
    began = time.perf_counter()
    _drive(crowd.port, persons, lambda: tally.refused >= refusals or time.perf_counter() >= began + most_seconds)
    by_status = Counter(status for _, status, _ in tally.answers)
    latencies = sorted(latency for _, status, latency in tally.answers if status in _REFUSED)
    granted = sum(by_status.pop(status, 0) for status in _GRANTED.values())
    return Refusals(
        granted=granted,
        refused={status: by_status.pop(status, 0) for status in _REFUSED},
        unsaid=tally.unsaid,
        failed=dict(by_status),
        seconds=time.perf_counter() - began,
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
    )


def by_token(port: int, people: Iterator[Account], tally: _Tally) -> Person:
    """One password grant after the other."""
    for account in people:
        tally.add((yield token_request(port, account)))


def by_page(port: int, people: Iterator[Account], tally: _Tally) -> Person:
    """Open the login page, fill it in, and be sent on; then the next one, with a browser of their own."""
    for account in people:
        form = LoginForm.of((yield page_request(port, account)))
        tally.add((yield form.submit(port, account)))


def by_form(port: int, people: Iterator[Account], tally: _Tally) -> Person:
    """Open the login page once, and send its form again and again: who wants to flood does not look at pages."""
    form = LoginForm.of((yield page_request(port, next(people))))
    for account in people:
        tally.add((yield form.submit(port, account)))


_WAYS = {"token": by_token, "page": by_page}


def _drive(port: int, persons: Sequence[Person], over: Callable[[], bool]) -> None:
    """Every person on a connection of their own, until it is ``over``; then the answers that are owed are waited for.

    Raises as ``Connection`` does, and TimeoutError.
    """
    busy = {}
    with closing(select.epoll()) as epoll:
        try:
            for person in persons:
                connection = Connection(port)
                busy[connection.socket.fileno()] = (connection, person)
                epoll.register(connection.socket.fileno(), select.EPOLLIN)
                connection.send(next(person))
            give_up = None
            while busy:
                for fd, _ in epoll.poll(1.0):
                    connection, person = busy[fd]
                    answer = connection.receive()
                    if answer is None:
                        continue
                    following = person.send(answer)
                    if not over():
                        connection.send(following)
                        continue
                    epoll.unregister(fd)
                    connection.close()
                    del busy[fd]
                if give_up is None and over():
                    give_up = time.perf_counter() + _PATIENCE
                if give_up is not None and time.perf_counter() > give_up:
                    raise TimeoutError(f"{len(busy)} passwords were not answered within {_PATIENCE:.0f} s")
        finally:
            for connection, person in busy.values():
                connection.close()
                person.close()
