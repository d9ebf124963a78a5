"""What the data plane answers itself without refusing anything: resource metadata, preflights."""

from dataclasses import dataclass

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """A whole answer. The request id is added where it is sent."""

    status: int
    headers: Fields = ()
    body: bytes = b""
