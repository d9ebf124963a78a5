"""What must fit together beside the proxy itself: where another one asks, and where browsers come."""

from collections.abc import Iterator

from gateway.settings.checks import Facts, Finding
from gateway.settings.routing import ANY_TENANT

_FOR_AN_UPSTREAM = frozenset({"authorization", "strip", "rewrite", "body", "cors", "websocket", "stream_ends"})


def front_findings(facts: Facts) -> Iterator[Finding]:
    """All of them."""
    if facts.knows("forward_auth"):
        yield from _routes_lead_somewhere(facts)
        yield from _forward_auth_has_both(facts)
    if facts.knows("browser_sessions"):
        yield from _browser_sessions_are_possible(facts)


def _routes_lead_somewhere(facts: Facts) -> Iterator[Finding]:
    """To an upstream; or nowhere, where another proxy asks what it may pass on itself."""
    asked = facts.settings.forward_auth.listen is not None
    for index, route in facts.routes:
        if route.upstream is not None:
            if route.audience is not None:
                yield ("routes", index, "audience"), "is its upstream's to say; drop it, or `upstream`"
        elif not asked:
            yield ("routes", index, "upstream"), "is required; only with `forward_auth.listen` may a route have none"
        elif idle := sorted(_FOR_AN_UPSTREAM & route.model_fields_set):
            yield ("routes", index, idle[0]), "has no effect without an upstream: the proxy that asks sees to that"
        elif route.require == "anonymous":
            if route.audience is not None:
                yield ("routes", index, "audience"), "has no effect: an anonymous request has no token"
        elif route.audience is None:
            yield ("routes", index, "audience"), "is required without an upstream: what a token must be issued for"


def _forward_auth_has_both(facts: Facts) -> Iterator[Finding]:
    asked = facts.settings.forward_auth
    if asked.listen is not None and not asked.peers:
        yield ("forward_auth", "listen"), "answers nobody: name the networks of your proxies in `forward_auth.peers`"
    if asked.listen is None and asked.peers:
        yield ("forward_auth", "peers"), "has no effect without `forward_auth.listen`"


def _browser_sessions_are_possible(facts: Facts) -> Iterator[Finding]:
    client = facts.settings.browser_sessions.client
    for index, route in facts.routes:
        if route.session != "cookie":
            continue
        if client is None:
            yield ("routes", index, "session"), "needs `browser_sessions.client`: the client that people log in by"
        if route.require == "anonymous":
            yield ("routes", index, "session"), "has no effect: an anonymous request is nobody's"
        elif len(route.tenants) != 1 or ANY_TENANT in route.tenants:
            yield ("routes", index, "tenants"), "must name the one tenant whose login a browser is sent to"
        if route.upstream is None:
            yield ("routes", index, "session"), "has no effect without an upstream: forward auth takes tokens only"
    if client is not None and facts.knows("routes") and not any(route.session == "cookie" for _, route in facts.routes):
        yield ("browser_sessions", "client"), "has no effect: no route says `session: cookie`"
