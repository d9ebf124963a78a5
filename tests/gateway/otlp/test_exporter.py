"""Spans go out in batches, what a collector cannot take is sent again, and what has no room is counted."""

from datetime import timedelta
from ipaddress import ip_network

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.otlp.exporter import BATCH, Exporter
from gateway.otlp.span import Span, SpanKind
from gateway.otlp.wire import resource
from gateway.outbound import Outbound
from tests.gateway.sinks.receiving import Receiver, receiving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 40\r\nContent-Length: 0\r\n\r\n"
WRONG = b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"


class Ticks:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def exporter(port: int, ticks: Ticks, *, most: int = 8_192) -> Exporter:
    outbound = Outbound([ip_network("127.0.0.0/8")], timeout=timedelta(seconds=5))
    url = f"http://127.0.0.1:{port}/v1/traces"
    sender = resource({"service.name": "yett"})
    return Exporter("traces", outbound, url, headers={"X-Key": "k"}, sender=sender, version="1", most=most, clock=ticks)


def span(number: int) -> Span:
    return Span(bytes(15) + b"\1", number.to_bytes(8, "big"), b"", f"GET {number}", SpanKind.SERVER, 1, 2, {})


def results(of: Exporter) -> dict[tuple[str, ...], object]:
    (family,) = of.read()
    return dict(family.values)


def numbers(receiver: Receiver) -> list[list[int]]:
    read = (ExportTraceServiceRequest.FromString(body) for _, _, body in receiver.requests)
    return [
        [int.from_bytes(one.span_id, "big") for one in each.resource_spans[0].scope_spans[0].spans] for each in read
    ]


async def test_a_full_batch_asks_for_the_next_and_nothing_is_sent_twice() -> None:
    async with receiving(OK) as receiver:
        to = exporter(receiver.port, Ticks())
        for number in range(1, 2 * BATCH + 2):
            to.put(span(number))
        assert [await to.send(), await to.send(), await to.send(), await to.send()] == [True, False, False, False]
        assert [number for batch in numbers(receiver) for number in batch] == list(range(1, 2 * BATCH + 2))
        _, headers, _ = receiver.requests[0]
        assert (headers["content-type"], headers["x-key"]) == ("application/x-protobuf", "k")
        assert results(to) == {("traces", "sent"): 2 * BATCH + 1}


async def test_a_busy_collector_is_asked_again_when_it_said_so() -> None:
    says = [BUSY, OK]
    async with receiving(lambda _: says.pop(0)) as receiver:
        ticks = Ticks()
        to = exporter(receiver.port, ticks)
        to.put(span(1))
        await to.send()
        ticks.now += 39
        await to.send()
        assert len(receiver.requests) == 1
        ticks.now += 2
        await to.send()
        assert numbers(receiver) == [[1], [1]]
        assert results(to) == {("traces", "sent"): 1}


async def test_what_is_refused_is_lost_and_counted() -> None:
    async with receiving(WRONG) as receiver:
        to = exporter(receiver.port, Ticks())
        to.put(span(1))
        await to.send()
        await to.send()
        assert len(receiver.requests) == 1
        assert results(to) == {("traces", "failed"): 1}


async def test_what_has_no_room_is_dropped_and_counted() -> None:
    async with receiving(OK) as receiver:
        to = exporter(receiver.port, Ticks(), most=3)
        for number in range(1, 6):
            to.put(span(number))
        await to.send()
        assert numbers(receiver) == [[1, 2, 3]]
        assert results(to) == {("traces", "dropped"): 2, ("traces", "sent"): 3}


async def test_the_end_waits_no_longer_than_it_may_for_a_collector_that_says_nothing() -> None:
    async with receiving(None) as receiver:
        to = exporter(receiver.port, Ticks())
        to.put(span(1))
        await to.finish(0.1)
        assert results(to) == {("traces", "failed"): 1}
