"""The decision about one API request: which route answers, whose token it is, and whether that is enough.

The order of the checks is the order of ``decide``. Everything that it needs is in this process's memory: no SQL, no
hashing, no awaiting. It passes nothing on and answers nobody.
"""

from collections.abc import Callable
from typing import assert_never

from gateway.authn.dpop import Possession
from gateway.proxy import refusal
from gateway.proxy.caller import Authenticate, Callers
from gateway.proxy.cross_origin import preflighted
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.tenant_upstream import own_pool
from policies.access import decide
from policies.decision import Allow, Challenge, Deny
from policies.path import NotCanonical
from policies.route import DelimiterRefused, Match, Matched, MethodNotAllowed, NotFound, Route

_WELL_KNOWN = (".well-known", "oauth-protected-resource")
_RESERVED = frozenset({".yett", ".well-known"})  # first segments worth a closer look


class Gate:
    """``authenticate`` verifies an access token, ``possession`` that its sender holds the key which it is bound to;
    ``feed_fresh`` says whether revocations are heard (rule 5). ``now`` is epoch seconds.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticate,
        possession: Possession,
        feed_fresh: Callable[[], bool],
        now: Callable[[], float],
    ) -> None:
        self._identify = Callers(authenticate, possession).identify
        self._feed_fresh = feed_fresh
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
            if inbound.upgrade is not None and b"websocket" in inbound.upgrade.lower():
                return Refusal(refusal.UPGRADE_REFUSED, "upgrade_refused")
            cross_origin = config.cross_origin
            wanted = None if cross_origin is None else preflighted(method, scope["headers"])
            found = table.match(host, wanted or method, segments, None)
            if cross_origin is not None and wanted is not None and isinstance(found, Matched):
                return cross_origin.preflight(scope["headers"])
            if isinstance(found, Matched) and found.route.anonymous and not found.tenant_decides:
                request.matched, request.pool = found, upstreams[found.route.upstream]
                return None
            # Whose token it is may change which route answers, and whether there is one.
            token_refused = self._identify(request)
            for_strangers = found
            if request.principal is not None and not (isinstance(found, Matched) and not found.tenant_decides):
                found = table.match(host, method, segments, request.principal.tenant)
            if request.principal is not None and request.principal.api_key_id is not None and not _takes_keys(found):
                found, token_refused = for_strangers, refusal.invalid_token("api_key_not_allowed")
        except NotCanonical as error:
            return Refusal(refusal.PATH_NOT_CANONICAL, error.reason)
        match found:
            case Matched(route):
                request.matched = found
                pool = own_pool(route, request, upstreams) if route.per_tenant else upstreams[route.upstream]
                request.pool = pool
                if route.anonymous:
                    return None
                if pool is None and request.principal is not None:
                    return Refusal(refusal.UPSTREAM_NOT_FOUND, "upstream_not_found")
                audience = None if pool is None else pool.upstream.audience
                refused = token_refused or self._judge(request, route, audience)
                return None if refused is None else refusal.with_metadata(refused, config.resources.url(audience))
            case MethodNotAllowed(allowed):
                return refusal.method_not_allowed(allowed)
            case DelimiterRefused():
                return Refusal(refusal.PATH_NOT_CANONICAL, "encoded_delimiter")
            case NotFound():
                return Refusal(refusal.ROUTE_NOT_FOUND, "route_not_found")
            case _:
                assert_never(found)

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


def _takes_keys(found: Match) -> bool:
    """Where not, an API key is answered as a token that nobody knows, so that nothing can be learned of it."""
    return isinstance(found, Matched) and found.route.api_keys
