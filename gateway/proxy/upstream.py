"""What an upstream is, and how one fails. The text of a fault is for the log, its code for the client."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

_TARGET = re.compile(r"http://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class Upstream:
    """An API behind the gateway. ``targets`` are ``http://host[:port]``, asked in turn.

    ``audience`` is what a token must be for; None serves anonymous routes only. ``read_timeout`` bounds the wait for
    the first byte and between two; ``total_timeout`` the whole exchange. ``idle_timeout`` is shorter than the five
    seconds after which common servers close a silent connection, so that a request seldom meets the closing. Of
    ``max_idle`` there are as many as of connections: fewer would be closed and made anew at each turn of a busy hour.
    """

    name: str
    targets: tuple[str, ...]
    audience: str | None = None
    connect_timeout: timedelta = timedelta(seconds=2)
    read_timeout: timedelta = timedelta(seconds=30)
    total_timeout: timedelta | None = None
    idle_timeout: timedelta = timedelta(seconds=4)
    max_idle: int = 1024
    max_connections: int = 1024

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError(f"upstream {self.name} has no target")
        for target in self.targets:
            address_of(target)


def address_of(target: str) -> tuple[str, int]:
    """Host and port of ``http://host[:port]``. Raises ``ValueError``."""
    parts = _TARGET.fullmatch(target)
    port = int(parts[3] or 80) if parts else 0
    if parts is None or not 1 <= port <= 65535:
        raise ValueError(f"{target} is not http://HOST[:PORT]")
    return parts[1] or parts[2], port


class UpstreamFault(Exception):
    """The upstream did not do its part. Raised with a sentence for the log."""

    status: ClassVar[int] = 502
    code: ClassVar[str] = "upstream_malformed"


class UpstreamMalformed(UpstreamFault):
    """Its answer cannot be understood, or ended before its end."""


class UpstreamClosed(UpstreamMalformed):
    """It closed the connection before a single byte of an answer: on a reused one, perhaps before the request came."""


class UpstreamUnreachable(UpstreamFault):
    """No connection to any of its targets."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamFault):
    """It was silent for longer than it may be, or took longer in all."""

    status = 504
    code = "upstream_timeout"


class UpstreamBusy(UpstreamFault):
    """As many connections as there may be are in use."""

    status = 503
    code = "upstream_busy"


class ClientGone(Exception):
    """The client left. Nobody is to be told; what was going on for it stops."""
