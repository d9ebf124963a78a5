"""The decision about one API request: which route answers, whose token it is, and whether that is enough.

The order of the checks is the order of ``decide``. Everything that it needs is in this process's memory: no SQL, no
hashing, no awaiting. It passes nothing on and answers nobody.
"""

from collections.abc import Callable, Set
from typing import Protocol, assert_never
from uuid import UUID

from gateway.authn.dpop import Possession
from gateway.proxy import handshake, refusal
from gateway.proxy.caller import Authenticate, Callers
from gateway.proxy.cross_origin import Rules, preflight, preflighted
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.tenant_upstream import own_pool
from policies.access import decide
from policies.decision import Allow, Challenge, Deny
from policies.path import NotCanonical
from policies.principal import Principal
from policies.route import DelimiterRefused, Match, Matched, MethodNotAllowed, NotFound, Route

_WELL_KNOWN = (".well-known", "oauth-protected-resource")
_OF_A_CALLER = (refusal.INSUFFICIENT_SCOPE, refusal.ACCESS_DENIED, refusal.STEP_UP)  # whose token does count here
_RESERVED = frozenset({".yett", ".well-known"})  # first segments worth a closer look


class Limits(Protocol):
    """Counts a request of a route that has limits."""

    def refusal(self, request: ProxiedRequest, route: Route, /) -> Refusal | None:
        """None lets it through."""


class Gate:
    """``authenticate`` verifies an access token, ``possession`` that its sender holds the key which it is bound to;
    ``feed_fresh`` says whether revocations are heard (rule 5). ``registered`` are the web origins of a tenant's
    clients, or of all tenants'. ``now`` is epoch seconds.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        possession: Possession,
        feed_fresh: Callable[[], bool],
        registered: Callable[[UUID | None], Set[str]],
        limits: Limits,
        now: Callable[[], float],
    ) -> None:
        self._identify = Callers(authenticate, possession).identify
        self._feed_fresh = feed_fresh
        self._registered = registered
        self._limits = limits
        self._now = now

    def decide(self, request: ProxiedRequest, config: PlaneConfig) -> Refusal | OwnAnswer | None:
        """None lets the request through; then ``request.matched`` and ``request.pool`` say where to."""
        scope, inbound, table, upstreams = request.scope, request.inbound, config.table, config.upstreams
        method: str = scope["method"]
        host = inbound.host.decode("latin-1")
        try:
            segments = table.segments(scope["raw_path"])
            if inbound.authorizations > 1:
                return Refusal(refusal.AUTHORIZATION_REPEATED, "authorization_repeated")
            if len(inbound.proofs) > 1:
                return Refusal(refusal.PROOF_REPEATED, "dpop_repeated")
            if segments and segments[0] in _RESERVED:
                if segments[0] == ".yett":
                    return Refusal(refusal.ROUTE_NOT_FOUND, "reserved_path")
                if segments[:2] == _WELL_KNOWN:
                    query = scope["query_string"].decode("latin-1")
                    return config.resources.answer(method, host, scope["raw_path"].decode("latin-1"), query)
            asks = inbound.upgrade is not None and handshake.asks(inbound)
            if asks and (repeated := handshake.take_token(request)) is not None:
                return repeated
            if method == "OPTIONS" and config.answers_preflights:
                told = self._preflight(request, config, host, segments)
                if told is not None:
                    return told
            found = table.match(host, method, segments, None)
            if isinstance(found, Matched) and found.route.anonymous and not found.tenant_decides:
                route = found.route
                request.matched, request.pool = found, upstreams.get(route.upstream)
                unfit = handshake.refused(request, route, self._registered) if asks or route.websocket else None
                return unfit or (self._measure(request, route) if route.quotas or inbound.length else None)
            # Whose token it is may change which route answers, and whether there is one.
            token_refused = self._identify(request)
            if token_refused is not None:
                request.token_refused = token_refused
            for_strangers = found
            if request.principal is not None and not (isinstance(found, Matched) and not found.tenant_decides):
                found = table.match(host, method, segments, request.principal.tenant)
            if request.principal is not None and request.principal.api_key_id is not None and not _takes_keys(found):
                found, token_refused = for_strangers, refusal.invalid_token("api_key_not_allowed")
                if isinstance(found, Matched) and found.route.anonymous:
                    _forget_key(request)
                    request.token_refused = token_refused
        except NotCanonical as error:
            return Refusal(refusal.PATH_NOT_CANONICAL, error.reason)
        match found:
            case Matched(route):
                request.matched = found
                pool = own_pool(route, request, upstreams) if route.per_tenant else upstreams.get(route.upstream)
                request.pool = pool
                if asks or route.websocket:
                    unfit = handshake.refused(request, route, self._registered)
                    if unfit is not None:
                        return unfit
                if not route.anonymous:
                    if pool is None and route.per_tenant and request.principal is not None:
                        return Refusal(refusal.UPSTREAM_NOT_FOUND, "upstream_not_found")
                    audience = route.audience if pool is None else pool.upstream.audience
                    refused = token_refused or self._judge(request, route, audience)
                    if refused is not None:
                        if not route.shadow or found.contested or (pool is None and route.per_tenant):
                            return refusal.with_metadata(refused, config.resources.url(audience))
                        request.would = refused
                        request.nameless = refused.problem not in _OF_A_CALLER
                return self._measure(request, route) if route.quotas or inbound.length else None
            case MethodNotAllowed(allowed):
                return refusal.method_not_allowed(allowed)
            case DelimiterRefused():
                return Refusal(refusal.PATH_NOT_CANONICAL, "encoded_delimiter")
            case NotFound():
                return Refusal(refusal.ROUTE_NOT_FOUND, "route_not_found")
            case _:
                assert_never(found)

    def _measure(self, request: ProxiedRequest, route: Route) -> Refusal | None:
        """Whether what may be is not too much: last, so that nothing counts that is refused for another reason."""
        length = request.inbound.length
        if length is not None and route.body is not None and int(length) > route.body:
            return refusal.body_too_large()
        return None if route.signed_identity else self.count(request, route)

    def count(self, request: ProxiedRequest, route: Route) -> Refusal | None:
        """Whether the route's limits let it through. ``decide`` leaves that to be asked where there is an identity to
        sign before.
        """
        return self._limits.refusal(request, route) if route.quotas else None

    def _preflight(
        self, request: ProxiedRequest, config: PlaneConfig, host: str, segments: tuple[str, ...]
    ) -> OwnAnswer | Refusal | None:
        """The answer to a preflight, which has no token; None where it is none, or where no rules answer for one."""
        headers = request.scope["headers"]
        wanted = preflighted(request.scope["method"], headers)
        if wanted is None:
            return None
        match config.table.match(host, wanted, segments, None):
            case Matched(route, tenant_decides=False):
                return None if route.pages is None else preflight(route.pages, headers, self._registered(None))
            case Matched() | DelimiterRefused():
                rules = config.table.page_rules(host, wanted, segments)
                return preflight(rules, headers, self._registered(None)) if rules.any else None
            case MethodNotAllowed(allowed):
                return None if config.pages is None else refusal.method_not_allowed(allowed)
            case NotFound():
                return None

    def rules_of_refused(
        self, request: ProxiedRequest, config: PlaneConfig, principal: Principal | None
    ) -> Rules | None:
        """What pages may read of a refusal: by the rules of the route; by those of each that it may be for another
        tenant, where no token says whose the request is.
        """
        found = request.matched
        if found is None:
            return config.pages
        if not found.tenant_decides or principal is not None or not config.answers_preflights:
            return found.route.pages
        scope, host = request.scope, request.inbound.host.decode("latin-1")
        rules = config.table.page_rules(host, scope["method"], config.table.segments(scope["raw_path"]))
        return rules if rules.any else None

    def _judge(self, request: ProxiedRequest, route: Route, audience: str | None) -> Refusal | None:
        """What a verified token is good for here."""
        principal = request.principal
        if principal is None:
            return refusal.token_missing()
        if audience not in principal.audiences:
            return refusal.invalid_token("audience_mismatch", request.scheme)
        if not self._feed_fresh():
            return refusal.retry_later(refusal.REVOCATIONS_STALE, "revocations_stale")
        decision = decide(route.rule, principal, source=request.origin.address, now=int(self._now()))
        match decision:
            case Allow():
                return None
            case Deny("insufficient_scope", scopes):
                return refusal.insufficient_scope(scopes, request.scheme)
            case Deny(reason):
                return Refusal(refusal.ACCESS_DENIED, reason)
            case Challenge(reason, acr_values, max_age):
                return refusal.step_up(reason, acr_values, max_age, request.scheme)
            case _:
                assert_never(decision)


def _forget_key(request: ProxiedRequest) -> None:
    """A route for strangers answers who sent a key that will not do: as a stranger, whatever becomes of the key."""
    if request.principal is not None:
        request.proved_tenant, request.api_key_id = request.principal.tenant_id, request.principal.api_key_id
        request.principal = None


def _takes_keys(found: Match) -> bool:
    """Where not, an API key is answered as a token that nobody knows, so that nothing can be learned of it."""
    return isinstance(found, Matched) and found.route.api_keys
