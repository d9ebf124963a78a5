"""What the data plane counts: requests by route, refusals by reason, how long APIs take to answer, and their faults."""

from collections.abc import Iterator
from time import perf_counter

from gateway.metrics import Counts, Durations, Family
from gateway.otlp.exporter import items
from gateway.proxy.access_log import Began, Way
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.tracer import Tracer
from policies.route import Route

_CLASSES = ("other", "1xx", "2xx", "3xx", "4xx", "5xx")


class Meter:
    """Asked at the end of each request, and tells ``tracer`` of it, where there is one."""

    __slots__ = ("_decisions", "_faults", "_refusals", "_requests", "_responses", "_tracer")

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer
        self._requests = Counts()
        self._refusals = Counts()
        self._faults = Counts()
        self._decisions = Durations()
        self._responses = Durations()

    def told(self, request: ProxiedRequest, outcome: Refusal | OwnAnswer, began: Began) -> None:
        """The gateway answered itself."""
        if isinstance(outcome, Refusal):
            self._answered(request, outcome, outcome.problem.status, began)
        else:
            self._answered(request, outcome, outcome.status, began)

    def asked(self, request: ProxiedRequest, outcome: Refusal | None, status: int, began: Began) -> None:
        """Another proxy asked, and was answered so."""
        self._answered(request, outcome, status, began)

    def _answered(
        self, request: ProxiedRequest, outcome: Refusal | OwnAnswer | None, status: int, began: Began
    ) -> None:
        if self._tracer is not None:
            self._tracer.told(request, outcome, status, began)
        route = "" if request.matched is None else request.matched.route.name
        if isinstance(outcome, Refusal):
            self._refusals.add(outcome.reason)
        self._requests.add(route, _class(status))
        self._decisions.add("", perf_counter() - began[1])

    def passed(self, request: ProxiedRequest, route: Route, status: int, began: Began, way: Way) -> None:
        """It went to an API, and this is how that ended."""
        if self._tracer is not None:
            self._tracer.passed(request, status, began, way)
        self._requests.add(route.name, _class(status))
        self._decisions.add("", way.decided - began[1])
        if way.first_byte is not None:
            self._responses.add_example(way.upstream, way.first_byte - began[1], began[0], request.trace_id)
        if way.fault is not None:
            self._faults.add(way.upstream, way.fault)

    def read(self) -> Iterator[Family]:
        """As of now."""
        if self._tracer is None:
            yield items({})
        else:
            yield from self._tracer.read()
        yield Family(
            "yett_proxy_requests",
            "Requests to APIs that were answered, by route (empty: no route matched) and class of the status.",
            "counter",
            ("route", "status"),
            self._requests.values,
        )
        yield Family(
            "yett_proxy_refusals",
            "Requests to APIs that were refused, by reason.",
            "counter",
            ("reason",),
            self._refusals.values,
        )
        yield Family(
            "yett_upstream_faults",
            "Requests that an upstream, or a client that left, brought to a wrong end.",
            "counter",
            ("upstream", "fault"),
            self._faults.values,
        )
        yield Family(
            "yett_proxy_decision_seconds",
            "From a request's head to the decision about it.",
            "histogram",
            (),
            {} if (decisions := self._decisions.of("")) is None else {(): decisions},
        )
        yield Family(
            "yett_proxy_response_seconds",
            "From a request's head to the head of the upstream's answer.",
            "histogram",
            ("upstream",),
            self._responses.values,
        )


def _class(status: int) -> str:
    return _CLASSES[status // 100] if 100 <= status < 600 else _CLASSES[0]
