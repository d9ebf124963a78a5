"""The parts of a running service that follow its configuration, and how they take another one.

Whatever may fail is done before anything is changed; what is left then are assignments, in one turn of the event loop.
Requests that have begun keep the ``PlaneConfig`` that they were decided by.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog
from starlette.types import ASGIApp

from gateway import telemetry
from gateway.access_log_file import AccessLogFile
from gateway.context import Network
from gateway.data_plane import next_config
from gateway.edge import Edge
from gateway.limits import AddressLimit
from gateway.management import ManagementGuard
from gateway.metrics import Registry
from gateway.next_ring import next_ring
from gateway.over_tls import OverTls
from gateway.own_hosts import OwnHosts, collisions, configured
from gateway.proxy.forward_auth import ForwardAuth
from gateway.proxy.plane import DataPlane
from gateway.proxy.pools import Pools
from gateway.settings import Settings
from gateway.sinks import Sinks
from tenants.sealing import MasterKeys
from tenants.snapshot import Snapshot

_log = structlog.get_logger("yett.live")

Take = Callable[[], None]


class Staleness:
    """Whether revocations are heard (rule 5): asked for each request, so the bound is at hand in seconds."""

    __slots__ = ("_seconds", "_silent_for")

    def __init__(self, silent_for: Callable[[], float], bound: timedelta) -> None:
        self._silent_for = silent_for
        self._seconds = bound.total_seconds()

    def change(self, bound: timedelta) -> None:
        """Another bound from here on."""
        self._seconds = bound.total_seconds()

    def feed_fresh(self) -> bool:
        """Whether the feed was heard within the bound."""
        return self._silent_for() <= self._seconds


class Trusting(Protocol):
    """What believes the proxies in front."""

    def trust(self, proxies: tuple[Network, ...], /) -> None:
        """These from here on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Those per client address, by their setting."""

    token: AddressLimit
    pages: tuple[AddressLimit, ...]
    management: AddressLimit

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """As they are configured; pages, what belongs to them, and logins at API hosts count apart."""
        pages = settings.limits.pages
        token, management = AddressLimit(settings.limits.token), AddressLimit(settings.limits.management)
        return cls(token, (AddressLimit(pages), AddressLimit(pages), AddressLimit(pages)), management)

    def take(self, settings: Settings) -> None:
        """Counts begin anew where a rate has changed."""
        self.token.change(settings.limits.token)
        for limit in self.pages:
            limit.change(settings.limits.pages)
        self.management.change(settings.limits.management)


@dataclass(slots=True)
class Live:
    """``settings`` are those in force."""

    settings: Settings
    plane: DataPlane
    upstreams: Pools
    snapshot: Snapshot
    edge: Edge
    over_tls: OverTls | None  # before the edge, where the public listener has certificates
    forward_auth: ForwardAuth | None
    own_hosts: OwnHosts
    guard: ManagementGuard
    contexts: tuple[Trusting, ...]
    limits: Limits
    staleness: Staleness
    access_log: AccessLogFile
    master_keys: MasterKeys
    sinks: Sinks

    def prepare(self, settings: Settings) -> Take:
        """Changes nothing yet, and may be called in a thread; what it answers is for the event loop.

        Raises:
            ConfigError: the access log cannot be opened, an upstream's certificates or the master keys cannot be used.
        """
        take_routing = next_config(self.plane, self.upstreams, self.access_log.writer, self.snapshot, settings)
        hosts = configured(settings)
        take_sinks = self.sinks.prepare(settings)
        take_ring = next_ring(self.master_keys, settings.master_key_file)
        file = settings.access_log.file
        descriptor = self.access_log.prepared(file)  # last: from here on nothing can fail, and leave it open

        def take() -> None:
            take_routing()
            take_sinks()
            take_ring()
            self.access_log.take(file, descriptor)
            self.plane.trust(settings.trusted_proxies)
            for context in self.contexts:
                context.trust(settings.trusted_proxies)
            if self.over_tls is not None:
                self.over_tls.trust(settings.trusted_proxies)
                self.over_tls.tell(settings.tls.hsts_seconds)
            self.edge.serve(settings.identity_host_set(), settings.api_host_set())
            if self.forward_auth is not None:
                self.forward_auth.serve(settings.api_host_set(), settings.trusted_proxies)
            self.own_hosts.leave(hosts)
            self.guard.answer_to(settings.management_host_set())
            self.limits.take(settings)
            self.staleness.change(settings.revocation_staleness)
            if settings.log != self.settings.log:
                telemetry.configure(settings.log)
            self.settings = settings
            tell_collisions(self.snapshot, settings)

        return take


@dataclass(frozen=True, slots=True)
class Service:
    """The applications of a serving process, one for each of its listeners, and what of it another configuration
    changes. ``forward_auth`` where it is set up. ``ready`` says whether this very process should get traffic,
    ``metrics`` what it counted.
    """

    public: ASGIApp
    management: ASGIApp
    live: Live
    ready: Callable[[], bool]
    metrics: Registry
    forward_auth: ASGIApp | None = None


def tell_collisions(snapshot: Snapshot, settings: Settings) -> None:
    """Tenants whose own host these settings have, too: they are not served there."""
    for tenant, where in collisions(snapshot.all(), settings):
        _log.error("own_host_not_served", tenant=tenant.slug, issuer=tenant.issuer, configured_as=where)
