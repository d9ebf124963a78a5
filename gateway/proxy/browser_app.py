"""The browser applications of a configuration: which routes of a host take a session in a cookie, of which tenant, and
what a login for them asks for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.settings import HostSet
from policies.route import ANY_HOST, Route
from policies.rule import scopes_asked_for


@dataclass(frozen=True, slots=True)
class BrowserApp:
    """One tenant's at one host: a login is for all its routes at once. ``client_id`` is whom the tenant knows it as."""

    tenant: str
    client_id: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]


class BrowserApps:
    """By host, then by tenant."""

    def __init__(self, by_host: Mapping[str, Mapping[str, BrowserApp]]) -> None:
        self._by_host = by_host
        self._hosts = HostSet(frozenset(by_host))

    @classmethod
    def of(
        cls, routes: Iterable[Route], audiences: Mapping[str, str | None], hosts: HostSet, client_id: str
    ) -> "BrowserApps":
        """``audiences`` are the upstreams', by name; ``hosts`` are those of a route that names none."""
        found: dict[str, dict[str, list[Route]]] = {}
        for route in routes:
            if not route.browser or route.tenants is None:
                continue
            (tenant,) = route.tenants
            for host in hosts.names if route.hosts == (ANY_HOST,) else route.hosts:
                found.setdefault(host.lower(), {}).setdefault(tenant, []).append(route)
        return cls(
            {
                host: {tenant: _app(tenant, client_id, of, audiences) for tenant, of in tenants.items()}
                for host, tenants in found.items()
            }
        )

    def at(self, host: str) -> Mapping[str, BrowserApp] | None:
        """Those of this ``Host``, by tenant; None where there are none."""
        name = self._hosts.find(host.lower())
        return None if name is None else self._by_host[name]


def _app(tenant: str, client_id: str, routes: Sequence[Route], audiences: Mapping[str, str | None]) -> BrowserApp:
    scopes = frozenset({"openid"}).union(*(scopes_asked_for(route.rule) for route in routes))
    named = {audience for route in routes if (audience := audiences.get(route.upstream_of(tenant)))}
    return BrowserApp(tenant, client_id, scopes, tuple(sorted(named)))
