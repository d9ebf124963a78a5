"""All that goes on after it was allowed: WebSockets, server-sent events, any long answer. It ends with what allowed it.

One sweep, every quarter of a second while there are any, asks of each whether its token has expired, and only where the
feed brought a change of its tenant whether that token still stands; where the configuration was replaced, or the
origins of its tenant's clients, whether the same route would still answer. In shadow nothing ends for what would only
be noted (expiry, audience, a silent feed); what is revoked ends there too. Owns when a stream ends; not how
(websocket.py, long_answer.py).
"""

import asyncio
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from math import inf
from typing import Protocol
from uuid import UUID

from gateway.authn.standing import Standing
from gateway.proxy import handshake
from gateway.proxy.handshake import Registered
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.tenant_upstream import own_pool
from policies.path import NotCanonical
from policies.principal import Principal
from policies.route import Matched, Route

SWEEP_EVERY = 0.25  # seconds
JUDGED_AT_ONCE = 200  # in one turn of the event loop


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the gateway ends a stream: ``reason`` is for log and audit log, ``close_code`` and ``text`` for a WebSocket's
    client. ``refused``: it would be refused if it came now. ``waits``: not before its answer has begun.
    """

    reason: str
    close_code: int
    text: str
    refused: bool = True
    waits: bool = False


EXPIRED = Ended("token_expired", 4401, "the token has expired", refused=False, waits=True)
ROUTE_CHANGED = Ended("route_changed", 1012, "the configuration changed", refused=False, waits=True)
STALE = Ended("revocations_stale", 1013, "tokens cannot be checked at present")


def refused(reason: str) -> Ended:
    """The token counts no longer."""
    return Ended(reason, 4401, "the token counts no longer")


class Stream(Protocol):
    """One that goes on."""

    @property
    def request(self) -> ProxiedRequest: ...

    def end(self, ended: Ended) -> None:
        """It may not go on. Asked again at the next sweep where it did not end."""

    def sweep(self, now: float) -> None:
        """Time passes; ``now`` is monotonic seconds."""


class Standings(Protocol):
    """What is known of tokens (authn/standing.py)."""

    def begin(self, principal: Principal, token: bytes) -> Standing: ...
    def refused(self, standing: Standing) -> str | None: ...
    @property
    def version_of(self) -> Callable[[UUID], int]: ...


@dataclass(slots=True, eq=False)
class _Live:
    stream: Stream
    route: Route
    principal: Principal | None  # None where nobody's token was needed
    expires_at: float
    standing: Standing | None = None  # once it was judged
    config: PlaneConfig | None = None  # in which its route was found to answer
    origins: Set[str] | None = None  # the same; only WebSockets depend on them

    @property
    def ends_at(self) -> float:
        return self.expires_at if self.standing is None else min(self.expires_at, self.standing.until)


@dataclass(slots=True)
class _OfTenant:
    version: int
    live: set[_Live] = field(default_factory=set)


class Streams:
    """``now`` is epoch seconds, ``clock`` monotonic ones (by default the event loop's). Of one event loop."""

    def __init__(
        self,
        standings: Standings,
        *,
        config: Callable[[], PlaneConfig],
        registered: Registered,
        feed_fresh: Callable[[], bool],
        now: Callable[[], float],
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._standings = standings
        self._config = config
        self._registered = registered
        self._feed_fresh = feed_fresh
        self._now = now
        self._clock = clock
        self._judged: PlaneConfig | None = None
        self._live: dict[Stream, _Live] = {}
        self._doubtful: set[_Live] = set()  # to be judged
        self._queue: list[_Live] = []  # of these, whose turn is next
        self._next: asyncio.Handle | None = None
        self._of_tenant: dict[UUID, _OfTenant] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._live)

    def clock(self) -> float:
        """Monotonic seconds."""
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    def add(self, stream: Stream) -> None:
        """Watch one whose request was let through. What changed since then is noticed at the next sweep."""
        if stream in self._live:
            return
        request = stream.request
        if request.matched is None:
            raise AssertionError("only what a route answers goes on")
        route, principal = request.matched.route, request.principal
        if route.anonymous:
            principal = None
        lasting = route.outlives_token or route.shadow
        expires_at = inf if principal is None or lasting else float(principal.expires_at)
        live = self._live[stream] = _Live(stream, route, principal, expires_at)
        if principal is not None:
            tenant_id = principal.tenant_id
            if tenant_id not in self._of_tenant:
                self._of_tenant[tenant_id] = _OfTenant(self._standings.version_of(tenant_id))
            self._of_tenant[tenant_id].live.add(live)
        self._doubtful.add(live)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._tick)

    def discard(self, stream: Stream) -> None:
        """It has ended."""
        live = self._live.pop(stream, None)
        if live is None:
            return
        self._doubtful.discard(live)
        if live.principal is not None:
            tenant_id = live.principal.tenant_id
            of_tenant = self._of_tenant[tenant_id]
            of_tenant.live.discard(live)
            if not of_tenant.live:
                del self._of_tenant[tenant_id]

    def sweep(self) -> None:
        """End what may not go on."""
        self._doubt()
        self._judge_some()
        now, monotonic, fresh = self._now(), self.clock(), self._feed_fresh()
        for live in tuple(self._live.values()):
            if live.ends_at <= now:
                live.stream.end(EXPIRED)
            elif live.principal is not None and not fresh and not live.route.shadow:
                live.stream.end(STALE)
            live.stream.sweep(monotonic)

    def _doubt(self) -> None:
        """Find those of which something may have changed: all, by another configuration, or those of a tenant."""
        config = self._config()
        if config is not self._judged:
            self._judged = config
            self._doubtful.update(self._live.values())
        for tenant_id, of_tenant in self._of_tenant.items():
            version = self._standings.version_of(tenant_id)
            if version != of_tenant.version:
                of_tenant.version = version
                self._doubtful.update(of_tenant.live)

        if not self._queue:
            self._queue = list(self._doubtful)

    def _judge_some(self) -> None:
        """The rest has its turn after whoever else waits for one: a change may concern all streams there are."""
        self._queue, some = self._queue[:-JUDGED_AT_ONCE], self._queue[-JUDGED_AT_ONCE:]
        for live in some:
            if live not in self._doubtful:
                continue  # it has ended
            ended = self._judge(live)
            if ended is None:
                self._doubtful.discard(live)
            else:  # asked again, as long as it is there
                live.stream.end(ended)
        if self._queue and self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._next = None
        self._judge_some()

    def _judge(self, live: _Live) -> Ended | None:
        request, principal = live.stream.request, live.principal
        config, origins = self._config(), None
        if live.route.websocket and principal is not None:
            origins = self._registered(principal.tenant_id)
        if config is not live.config or origins != live.origins:
            if not _stands(request, live.route, config, self._registered):
                return ROUTE_CHANGED
            live.config, live.origins = config, origins
        if principal is None:
            return None
        if live.standing is None:
            live.standing = self._standings.begin(principal, _token(request))
        reason = self._standings.refused(live.standing)
        return None if reason is None else refused(reason)

    def _tick(self) -> None:
        self._timer = None
        try:
            self.sweep()
        finally:
            if self._live:
                self._timer = asyncio.get_running_loop().call_later(SWEEP_EVERY, self._tick)


def _token(request: ProxiedRequest) -> bytes:
    """What followed the scheme."""
    return (request.inbound.authorization or b"").partition(b" ")[2].lstrip(b" ")


def _stands(request: ProxiedRequest, route: Route, config: PlaneConfig, registered: Registered) -> bool:
    host, method, path = request.inbound.host.decode("latin-1"), request.scope["method"], request.scope["raw_path"]
    principal = request.principal
    try:
        for_strangers = found = config.table.match(host, method, path, None)
        if principal is not None and not (isinstance(found, Matched) and not found.tenant_decides):
            found = config.table.match(host, method, path, principal.tenant)
        takes_keys = isinstance(found, Matched) and found.route.api_keys
        if principal is not None and principal.api_key_id is not None and not takes_keys:
            found = for_strangers  # as for the gate: such a key is as good as none, which is enough in shadow
    except NotCanonical:
        return False
    if not isinstance(found, Matched) or found.route != route:
        return False
    pool = own_pool(route, request, config.upstreams) if route.per_tenant else config.upstreams[route.upstream]
    if pool is None:
        return False
    meant = route.shadow or (principal is not None and pool.upstream.audience in principal.audiences)
    return (route.anonymous or meant) and (not route.websocket or handshake.refused(request, route, registered) is None)
