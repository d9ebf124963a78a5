"""Upstreams that a route names by the tenant of the request, as in ``live-{tenant}``. Never another tenant's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gateway.proxy.pool import UpstreamPool
from gateway.proxy.request import ProxiedRequest
from policies.principal import Principal
from policies.route import Route


def own_pool(route: Route, request: ProxiedRequest, upstreams: Mapping[str, UpstreamPool]) -> UpstreamPool | None:
    """The upstream of whose token it is; None where that tenant has none, or nobody is known."""
    principal = request.principal
    return None if principal is None else upstreams.get(route.upstream_of(principal.tenant))


def subject_key(route: Route, principal: Principal | None) -> str | None:
    """By what the requests of one subject are known; on an anonymous route nobody is."""
    return None if principal is None or route.anonymous else f"{principal.tenant} {principal.subject}"


def by_upstream(route: Route, upstreams: Iterable[str]) -> Iterator[Route]:
    """The route as it stands, or once for each tenant that has an upstream, with that as its upstream."""
    if not route.per_tenant:
        yield route
        return
    for name in upstreams:
        if (tenant := route.tenant_of(name)) is not None:
            yield replace(route, upstream=name, tenants=frozenset({tenant}))


def refuse_unknown(route: Route, upstreams: Mapping[str, UpstreamPool]) -> None:
    """Raises ``ValueError`` for a route that leads nowhere, or to an upstream that no token can be for; for one of
    another proxy's, where it says no audience.
    """
    if not route.upstream:
        if route.audience is None and not route.anonymous:
            raise ValueError(f"route {route.name} needs a token, but has neither an upstream nor an audience")
        return
    if route.per_tenant:
        if route.anonymous:
            raise ValueError(f"route {route.name} is anonymous, so no tenant says which upstream is meant")
        names = [route.upstream_of(tenant) for tenant in route.tenants or ()]
        names = names or [each.upstream for each in by_upstream(route, upstreams)]
    else:
        names = [route.upstream]
    for name in names:
        pool = upstreams.get(name)
        if pool is None:
            raise ValueError(f"route {route.name} names upstream {name}, which there is not")
        if pool.upstream.audience is None and not route.anonymous:
            raise ValueError(f"route {route.name} needs a token, but upstream {name} has no audience")
