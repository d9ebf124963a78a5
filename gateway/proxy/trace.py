"""Where a request stands in a trace (W3C Trace Context)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trace:
    """Ids in hex, as bytes. ``parent`` is the span that a trusted proxy called with, else empty; ``span`` is ours,
    ``caller`` the one that calls the upstream; ``stranger`` a whole ``traceparent`` that nobody vouched for.
    """

    id: bytes
    parent: bytes
    span: bytes
    caller: bytes
    sampled: bool
    stranger: bytes | None = None
