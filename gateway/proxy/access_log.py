"""What of the access log happens on a request's path: whether it is logged, and handing the facts over.

A record is a tuple, the cheapest thing that there is to make; it becomes a line elsewhere (access_line.py) and later.
Which ones are kept goes by their ids, which are random: as good as chance, and no number is drawn for it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any, Protocol

from gateway.proxy.cross_origin import preflighted
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from policies.route import Route

LONGEST_HOST = 300
LEAST_SHARE = 2.0**-32
"""Of a smaller one nothing is logged: it is decided by 32 bits of an id."""
_LONGEST_WORD = 100
_ALL = b"g"  # behind every hex digit

Began = tuple[float, float]
"""The time of day and that of ``perf_counter``, when a request was taken up."""
Record = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a route is logged: ``allowed`` and ``refused`` are what the id of a kept one is less than."""

    sample: float
    allowed: bytes
    sample_refused: float
    refused: bytes

    @classmethod
    def of(cls, sample: float, *, refusals: bool) -> "Share":
        """``refusals``: they are sampled, too, and not all kept."""
        of_refused = sample if refusals else 1.0
        return cls(sample, _bound(sample), of_refused, _bound(of_refused))

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return self.sample >= 1 and self.sample_refused >= 1


class Exchange(Protocol):
    """One with an upstream, when it is over: bytes both ways, and the seconds until there was a new connection."""

    @property
    def received(self) -> int: ...
    @property
    def relayed(self) -> int: ...
    @property
    def connect_time(self) -> float: ...


class Way:
    """How an exchange went, from the decision on. ``fault`` is an upstream's, or that the client left."""

    __slots__ = ("decided", "fault", "first_byte", "target", "upstream")

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.decided = perf_counter()
        self.target: str | None = None
        self.fault: str | None = None
        self.first_byte: float | None = None

    def answered_by(self, target: str) -> None:
        """The head of the answer is there."""
        self.target = target
        self.first_byte = perf_counter()


class AccessLog:
    """The access log under one configuration. ``put`` takes records; ``claims`` are the names that any rule reads."""

    def __init__(
        self,
        put: Callable[[Record], None],
        *,
        digest: str,
        claims: Iterable[str],
        share: Share,
        of_routes: Mapping[str, Share],
    ) -> None:
        self._put = put
        self._digest = digest
        self._claims = tuple(sorted(claims))
        self._share = share
        self._of_routes = of_routes
        self._partial = not all(each.whole for each in (share, *of_routes.values()))

    def passed(
        self, request: ProxiedRequest, route: Route, status: int, began: Began, way: Way, exchange: Exchange
    ) -> None:
        """It was let through, and this is how that ended. What went wrong or is in shadow is logged in any case."""
        share = self._of_routes.get(route.name, self._share)
        sample = share.sample if way.fault is None and request.would is None else 1.0
        if sample < 1 and request.ids.request_id >= share.allowed:
            return
        sizes = exchange.received, exchange.relayed, exchange.connect_time
        self._put(self._record(request, None, status, sample, began, way.decided, way, sizes, asked=False))

    def told(
        self,
        request: ProxiedRequest,
        outcome: Refusal | OwnAnswer | None,
        began: Began,
        *,
        asked: int | None = None,
    ) -> None:
        """The gateway answers itself: with ``asked`` another proxy, with this status, and None is its yes."""
        decided = perf_counter()
        share = self._share
        if request.matched is not None:
            share = self._of_routes.get(request.matched.route.name, share)
        status = asked or 0
        sample, bound = share.sample, share.allowed
        match outcome:
            case Refusal(problem):
                status, sample, bound = asked or problem.status, share.sample_refused, share.refused
            case OwnAnswer(answered):
                status = answered
            case None if request.would is not None:
                sample, bound = 1.0, _ALL
        if request.ids.request_id < bound:
            asks = asked is not None
            self._put(self._record(request, outcome, status, sample, began, decided, None, None, asked=asks))

    def _record(
        self,
        request: ProxiedRequest,
        outcome: Refusal | OwnAnswer | None,
        status: int,
        sample: float,
        began: Began,
        decided: float,
        way: Way | None,
        sizes: tuple[int, int, float] | None,
        *,
        asked: bool,
    ) -> Record:
        """Nothing in it holds on to the request's header, which may be large, and has secrets."""
        scope, inbound = request.scope, request.inbound
        host, method, upgrade = inbound.host, scope["method"], inbound.upgrade
        preflight = preflighted(method, scope["headers"]) if method == "OPTIONS" else None
        return (
            began,
            decided,
            perf_counter(),
            self._digest,
            self._claims,
            sample,
            self._partial,
            request.ids,
            outcome,
            status,
            request.matched,
            request.would,
            method,
            host if len(host) <= LONGEST_HOST else host[:LONGEST_HOST],
            scope["raw_path"],
            request.origin.text,
            inbound.authorization is not None,
            None if upgrade is None else upgrade[:_LONGEST_WORD],
            None if preflight is None else preflight[:_LONGEST_WORD],
            request.principal,
            request.token_refused,
            request.proved_tenant,
            way,
            sizes,
            asked,
        )


def now_twice() -> Began:
    """For a request that is taken up now."""
    return time(), perf_counter()


def _bound(sample: float) -> bytes:
    return _ALL if sample >= 1 else b"%08x" % int(sample * 2**32)
