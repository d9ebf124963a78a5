"""A span as OTLP has it (opentelemetry/proto/trace/v1)."""

from dataclasses import dataclass
from enum import IntEnum

from gateway.otlp.wire import Attributes, attributes, fixed32, fixed64, message, number, octets, text

_HAS_REMOTE, _IS_REMOTE = 0x100, 0x200  # SpanFlags: whether it is known that the parent is another process's


class SpanKind(IntEnum):
    """Which end of a call it is."""

    SERVER = 2
    CLIENT = 3


@dataclass(frozen=True, slots=True)
class Link:
    """Another trace's span that has to do with this one. Ids are bytes: 16 of the trace, 8 of the span."""

    trace_id: bytes
    span_id: bytes
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since the epoch, ids bytes (16 and 8), ``parent_id`` empty where it is the first of its
    trace, ``flags`` those of ``traceparent``. ``remote``: the parent is a span of another process.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    name: str
    kind: SpanKind
    start: int
    end: int
    attributes: Attributes
    failed: bool = False
    flags: int = 1
    remote: bool = False
    state: str = ""
    links: tuple[Link, ...] = ()

    def encoded(self) -> bytes:
        """The body of the message ``Span``."""
        return b"".join(
            (
                octets(1, self.trace_id),
                octets(2, self.span_id),
                text(3, self.state),
                octets(4, self.parent_id),
                text(5, self.name),
                number(6, self.kind),
                fixed64(7, self.start),
                fixed64(8, self.end),
                attributes(9, self.attributes),
                *(message(13, _link(link)) for link in self.links),
                message(15, number(3, 2)) if self.failed else b"",
                fixed32(16, self.flags | _HAS_REMOTE | (_IS_REMOTE if self.remote else 0)),
            )
        )


def _link(link: Link) -> bytes:
    return octets(1, link.trace_id) + octets(2, link.span_id) + fixed32(6, link.flags | _HAS_REMOTE | _IS_REMOTE)
