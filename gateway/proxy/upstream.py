"""What an upstream is, and how one fails. The text of a fault is for the log, its code for the client."""

import re
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Literal

from gateway.settings.addresses import DEFAULT_PORTS, Network

_TARGET = re.compile(r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?/?")

Balance = Literal["least-in-flight", "round-robin", "hash-subject"]


@dataclass(frozen=True, slots=True)
class Target:
    """One server of an upstream; of a name, each address counts as one. ``host`` is a name, or an address without
    brackets; ``max_in_flight`` None is no bound.
    """

    host: str
    port: int
    tls: bool = False
    weight: int = 1
    max_in_flight: int | None = None

    @classmethod
    def parse(cls, url: str) -> "Target":
        """``http(s)://host[:port]``. Raises ``ValueError``."""
        parts = _TARGET.fullmatch(url)
        port = int(parts[4] or DEFAULT_PORTS[parts[1]]) if parts else 0
        if parts is None or not 1 <= port <= 65535:
            raise ValueError(f"{url} is not http(s)://HOST[:PORT]")
        return cls(parts[2] or parts[3], port, tls=parts[1] == "https")

    @property
    def authority(self) -> str:
        """As a ``Host`` field has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Health:
    """The question whether a target is well: ``GET path``, answered with 2xx. The first answer counts at once."""

    path: str
    host: str | None = None
    interval: timedelta = timedelta(seconds=5)
    timeout: timedelta = timedelta(seconds=2)
    failures: int = 3
    successes: int = 2


@dataclass(frozen=True, slots=True)
class Upstream:
    """An API behind the gateway. ``targets`` are as ``Target`` or as its URL.

    ``audience`` is what a token must be for; None serves anonymous routes only. ``read_timeout`` stands for
    ``first_byte_timeout``, from the request to the head of its answer, and for ``idle_timeout``, between two bytes,
    where these are None. ``total_timeout`` bounds the whole exchange, ``upload_timeout`` what a client may have itself
    waited for beyond the time that its bytes take at 1 KiB a second. ``keep_alive`` is shorter than the five seconds
    after which common servers close a silent connection, so that a request seldom meets the closing. All of
    ``max_connections`` may be idle: fewer would be closed and made anew at each turn of a busy hour. Where ``networks``
    is empty, any but those that no API is in. ``tls`` is for targets that want it, ``tls_files`` what it was made of;
    ``server_name`` stands in for their hosts.
    """

    name: str
    targets: tuple[Target | str, ...]
    audience: str | None = None
    connect_timeout: timedelta = timedelta(seconds=2)
    read_timeout: timedelta = timedelta(seconds=30)
    first_byte_timeout: timedelta | None = None
    idle_timeout: timedelta | None = None
    total_timeout: timedelta | None = None
    upload_timeout: timedelta = timedelta(seconds=30)
    keep_alive: timedelta = timedelta(seconds=4)
    max_connections: int = 1024
    max_in_flight: int | None = None
    balance: Balance = "least-in-flight"
    health: Health | None = None
    networks: tuple[Network, ...] = ()
    resolve_every: timedelta = timedelta(seconds=30)
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    tls_files: tuple[object, ...] = ()
    server_name: str | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError(f"upstream {self.name} has no target")
        if self.tls is None and any(target.tls for target in self.parsed):
            raise ValueError(f"upstream {self.name} has a target that wants TLS, and no certificates to know it by")

    @property
    def max_upgraded(self) -> int:
        """Connections that may speak another protocol at a time, since these last: the rest is for requests."""
        return max(1, self.max_connections // 2)

    @property
    def parsed(self) -> tuple[Target, ...]:
        """The targets as such. Raises ``ValueError``."""
        return tuple(Target.parse(target) if isinstance(target, str) else target for target in self.targets)


class UpstreamFault(Exception):
    """The upstream did not do its part. Raised with a sentence for the log."""

    status: ClassVar[int] = 502
    code: ClassVar[str] = "upstream_malformed"
    event: ClassVar[str] = "upstream_failed"


class UpstreamMalformed(UpstreamFault):
    """Its answer cannot be understood, or ended before its end."""


class UpstreamClosed(UpstreamMalformed):
    """It closed the connection before a single byte of an answer: on a reused one, perhaps before the request came."""


class RequestNotSent(UpstreamClosed):
    """It closed the connection before a single byte of the request left."""


class UpstreamUnreachable(UpstreamFault):
    """No connection to any of its targets."""

    code = "upstream_unreachable"


class UpstreamTimeout(UpstreamFault):
    """It was silent for longer than it may be."""

    status = 504
    code = "upstream_timeout"


class TookTooLong(UpstreamTimeout):
    """It took longer in all. So may the client have, with its body."""


class UpstreamBusy(UpstreamFault):
    """As many connections, or requests, as there may be are in use."""

    status = 503
    code = "upstream_busy"


class UploadTooSlow(UpstreamFault):
    """Not the upstream's fault: its connection is given up, since the client's body trickles."""

    status = 408
    code = "upload_too_slow"
    event = "upload_too_slow"


class ClientGone(Exception):
    """The client left. Nobody is to be told; what was going on for it stops."""


class BodyTooLarge(ClientGone):
    """The client sends more than the route takes. The upstream is left alone at once; the client is to be told, if no
    answer has begun.
    """
