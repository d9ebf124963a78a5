"""A request's spans: the server's, and the client's where it went to an upstream (OpenTelemetry's HTTP conventions).

Whose trace it is: a trusted proxy's ``traceparent`` is carried on, and its sampled flag is heeded. Anybody else's is
not, since its sender would decide what is stored: a new trace begins, which has the request's id and a link to theirs,
and is sampled by the request's id. The upstream is told of the span that calls it.
"""

import os
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from gateway.metrics import Family
from gateway.otlp.exporter import Exporter
from gateway.otlp.span import Link, Span, SpanKind
from gateway.proxy.access_log import Began, Way
from gateway.proxy.headers import valid_traceparent
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.trace import Trace
from gateway.proxy.verdict import in_words

_NANOSECONDS = 1_000_000_000
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})


class Tracer:
    """``sample`` is the share of traces beginning here that are sent; ``digest`` that of the configuration in force."""

    def __init__(self, exporter: Exporter, *, sample: float, digest: Callable[[], str]) -> None:
        self._exporter = exporter
        self._bound = b"g" if sample >= 1 else b"%08x" % int(sample * 2**32)
        self._digest = digest

    def trace_of(self, request: ProxiedRequest) -> Trace:
        """The trace that this request is part of; begun where there is none yet."""
        if request.trace is None:
            request.trace = self._begun(request)
        return request.trace

    def lines(self, request: ProxiedRequest) -> bytes:
        """``X-Request-Id`` and the trace, as the upstream is told them."""
        trace = self.trace_of(request)
        return b"x-request-id: %b\r\ntraceparent: 00-%b-%b-%b\r\n%b" % (
            request.ids.request_id,
            trace.id,
            trace.caller,
            b"01" if trace.sampled else b"00",
            b"".join(request.inbound.tracestate) if trace.parent else b"",
        )

    def told(self, request: ProxiedRequest, outcome: Refusal | OwnAnswer | None, status: int, began: Began) -> None:
        """The gateway answered itself."""
        trace = self.trace_of(request)
        if trace.sampled:
            self._exporter.put(self._server(request, trace, outcome, status, began))

    def passed(self, request: ProxiedRequest, status: int, began: Began, way: Way) -> None:
        """It went to an API, and this is how that ended."""
        trace = self.trace_of(request)
        if trace.sampled:
            self._exporter.put(self._server(request, trace, None, status, began))
            self._exporter.put(_client(request, trace, status, began, way))

    def read(self) -> Iterator[Family]:
        """What became of the spans."""
        return self._exporter.read()

    def _begun(self, request: ProxiedRequest) -> Trace:
        ids, values = request.ids, request.inbound.traceparents
        theirs = valid_traceparent(values) if values else None
        if theirs is not None and request.origin.trusted:
            sampled = bool(int(theirs[53:55], 16) & 1)
            return Trace(theirs[3:35], theirs[36:52], ids.span_id, _caller(ids.span_id, sampled), sampled)
        sampled = ids.request_id < self._bound
        return Trace(ids.request_id, b"", ids.span_id, _caller(ids.span_id, sampled), sampled, theirs)

    def _server(
        self,
        request: ProxiedRequest,
        trace: Trace,
        outcome: Refusal | OwnAnswer | None,
        status: int,
        began: Began,
    ) -> Span:
        decision, reason = in_words(outcome)
        route = None if request.matched is None else request.matched.route
        method = _method(request)
        tenant = None if request.principal is None else request.principal.tenant
        return Span(
            _binary(trace.id),
            _binary(trace.span),
            _binary(trace.parent),
            method if route is None else f"{method} {route.name}",
            SpanKind.SERVER,
            int(began[0] * _NANOSECONDS),
            _after(began, perf_counter()),
            {
                "http.request.method": method,
                "url.scheme": request.origin.proto.decode("latin-1"),
                "server.address": request.inbound.host.decode("latin-1")[:300],
                "client.address": request.origin.text,
                "http.response.status_code": status,
                "error.type": str(status) if status >= 500 else None,
                "yett.request_id": request.ids.text,
                "yett.route": None if route is None else route.name,
                "yett.decision": decision,
                "yett.reason": reason,
                "yett.rule": None if route is None else type(route.rule).__name__,
                "yett.tenant": tenant,
                "yett.config": self._digest() or None,
            },
            failed=status >= 500,
            remote=bool(trace.parent),
            links=() if trace.stranger is None else (_link(trace.stranger),),
        )


def _client(request: ProxiedRequest, trace: Trace, status: int, began: Began, way: Way) -> Span:
    method = _method(request)
    attributes: dict[str, Any] = {
        "http.request.method": method,
        "server.address": way.target,
        "http.response.status_code": None if way.first_byte is None else status,
        "error.type": way.fault or (str(status) if status >= 400 else None),
        "yett.upstream": way.upstream,
    }
    return Span(
        _binary(trace.id),
        _binary(trace.caller),
        _binary(trace.span),
        f"{method} {way.upstream}",
        SpanKind.CLIENT,
        _after(began, way.decided),
        _after(began, perf_counter()),
        attributes,
        failed=attributes["error.type"] is not None,
    )


def _method(request: ProxiedRequest) -> str:
    """A stranger's own invention is none: names of spans are few."""
    said = request.scope["method"]
    return said if said in _METHODS else "_OTHER"


def _caller(span: bytes, sampled: bool) -> bytes:
    """The id of the span that calls the upstream. Of one that nobody will see, none is drawn."""
    return os.urandom(8).hex().encode("ascii") if sampled else span


def _after(began: Began, counter: float) -> int:
    return int((began[0] + counter - began[1]) * _NANOSECONDS)


def _binary(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode("ascii"))


def _link(theirs: bytes) -> Link:
    return Link(_binary(theirs[3:35]), _binary(theirs[36:52]), int(theirs[53:55], 16))
