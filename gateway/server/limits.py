"""What one client connection may cost: sizes in bytes, times as ``timedelta``. The defaults are those of the design.

Owns the numbers only. Who measures them: ``head`` (sizes of a request head), ``framing`` (chunk overhead),
``room`` (connections), ``protocol`` (buffers and times).
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of one connection; every one of them has a default that is safe on an open network."""

    connections: int = 10_000
    """Open at a time on one listener; one more is closed unheard, so that the descriptors never run out."""
    connections_per_address: int = 1_000
    """Of these from one IPv4 address or one IPv6 /64; one more is closed unheard. Trusted proxies are not counted."""
    head_bytes: int = 32 * 1024
    """Request line and header fields with the empty line that ends them (431)."""
    target_bytes: int = 8 * 1024
    """The request target (414)."""
    fields: int = 100
    """Header fields (431)."""
    unread_bytes: int = 64 * 1024
    """Body that was received and not yet taken by the application, before reading from the client pauses."""
    drain_bytes: int = 64 * 1024
    """Body that is thrown away after the response, so that the connection can be used again."""
    chunk_overhead_bytes: int = 16 * 1024
    """Chunk extensions, padding and trailers that carry no body (400)."""
    head_time: timedelta = timedelta(seconds=10)
    """From the connection, or from the first byte of a request, to the end of its head."""
    body_time: timedelta = timedelta(seconds=10)
    """Between two pieces of a request body, while we are reading."""
    idle_time: timedelta = timedelta(seconds=60)
    """Between a response and the first byte of the next request."""
    linger_time: timedelta = timedelta(seconds=5)
    """How long the rest of a refused request is read and thrown away, so that the answer is not lost to a reset."""
    write_stall_time: timedelta = timedelta(seconds=60)
    """How long a client may take nothing of an answer that waits for it."""
