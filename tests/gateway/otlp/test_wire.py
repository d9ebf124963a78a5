"""What we write is what the published messages say: each is read by the reference's own decoder."""

import math
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from gateway.otlp.span import Link, Span, SpanKind
from gateway.otlp.wire import Value, any_value, export, resource

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
INT64 = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False) | WORDS | st.binary(max_size=40)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4))
ATTRIBUTES = st.dictionaries(WORDS, VALUES, max_size=6)
NANOSECONDS = st.integers(0, 2**64 - 1)
TRACE_IDS, SPAN_IDS = st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)
LINKS = st.lists(st.builds(Link, TRACE_IDS, SPAN_IDS, st.integers(0, 255)), max_size=3).map(tuple)
SPANS = st.builds(
    Span,
    TRACE_IDS,
    SPAN_IDS,
    st.just(b"") | SPAN_IDS,
    WORDS,
    st.sampled_from(SpanKind),
    NANOSECONDS,
    NANOSECONDS,
    ATTRIBUTES,
    failed=st.booleans(),
    flags=st.integers(0, 255),
    remote=st.booleans(),
    state=WORDS,
    links=LINKS,
)


def plain(value: Any) -> Value:
    """What the reference read, as our own types."""
    which = value.WhichOneof("value")
    match which:
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case _:
            found: Value = getattr(value, which)
            return found


def named(pairs: Any) -> dict[str, Value]:
    return {pair.key: plain(pair.value) for pair in pairs}


def present(attributes: Any) -> dict[str, Value]:
    return {key: value for key, value in attributes.items() if value is not None}


def known(message: Message, body: bytes) -> None:
    """Read ``body``; without the fields that the reference does not know it is as long."""
    message.ParseFromString(body)
    again = type(message)()
    again.CopyFrom(message)
    again.DiscardUnknownFields()  # type: ignore[attr-defined]  # the stubs leave it out
    assert again.ByteSize() == message.ByteSize()


@given(VALUES)
def test_a_value_is_read_as_it_was_written(value: Value) -> None:
    read = AnyValue()
    known(read, any_value(value))
    assert plain(read) == value


@given(ATTRIBUTES, st.lists(SPANS, max_size=4))
def test_spans_are_read_as_they_were_written(sender: dict[str, Value], spans: list[Span]) -> None:
    read = ExportTraceServiceRequest()
    known(read, export(resource(sender), "yett", "1", [span.encoded() for span in spans]))
    (of_sender,) = read.resource_spans
    (of_scope,) = of_sender.scope_spans
    assert named(of_sender.resource.attributes) == present(sender)
    assert (of_scope.scope.name, of_scope.scope.version) == ("yett", "1")
    for span, one in zip(spans, of_scope.spans, strict=True):
        assert (one.trace_id, one.span_id, one.parent_span_id) == (span.trace_id, span.span_id, span.parent_id)
        assert (one.name, one.kind, one.trace_state) == (span.name, span.kind, span.state)
        assert (one.start_time_unix_nano, one.end_time_unix_nano) == (span.start, span.end)
        assert named(one.attributes) == present(span.attributes)
        assert one.status.code == (2 if span.failed else 0)
        assert one.flags == span.flags | 0x100 | (0x200 if span.remote else 0)
        assert [(link.trace_id, link.span_id, link.flags) for link in one.links] == [
            (link.trace_id, link.span_id, link.flags | 0x300) for link in span.links
        ]


@pytest.mark.parametrize(
    ("value", "read_as"), [(2**63, str(2**63)), ("\ud800", "?"), (math.inf, math.inf), ("", ""), ([], []), ({}, {})]
)
def test_what_has_no_form_of_its_own_is_text(value: Value, read_as: Value) -> None:
    read = AnyValue()
    known(read, any_value(value))
    assert plain(read) == read_as


def test_what_is_too_deep_is_text() -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    read = AnyValue()
    known(read, any_value(deep))
    assert "[[[" in str(plain(read))
