"""An event of the log as an OTLP log record (opentelemetry/proto/logs/v1)."""

from dataclasses import dataclass
from typing import Final

from gateway.otlp.wire import Attributes, any_value, attributes, fixed32, fixed64, message, number, octets, text

SEVERITIES: Final = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
"""``SeverityNumber`` of each level."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """``time`` is nanoseconds since the epoch; the ids are bytes (16 and 8), empty where no request is known."""

    time: int
    level: str
    event: str
    attributes: Attributes
    trace_id: bytes = b""
    span_id: bytes = b""
    flags: int = 0

    def encoded(self) -> bytes:
        """The body of the message ``LogRecord``."""
        return b"".join(
            (
                fixed64(1, self.time),
                number(2, SEVERITIES.get(self.level, 0)),
                text(3, self.level.upper()),
                message(5, any_value(self.event)),
                attributes(6, self.attributes),
                fixed32(8, self.flags),
                octets(9, self.trace_id),
                octets(10, self.span_id),
                fixed64(11, self.time),
            )
        )
