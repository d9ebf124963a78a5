"""What the data plane answers itself without refusing anything: resource metadata, preflights."""

from dataclasses import dataclass

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """A whole answer, and what it is for the access log. The request id is added where it is sent."""

    status: int
    reason: str
    headers: Fields = ()
    body: bytes = b""
