"""Tenants that have a host of their own: which one a ``Host`` belongs to, and by which issuer a request has come.

There is one set of routes, below ``/t/{slug}``. A request to an own host is led there, and carries the issuer that it
came by; it is answered as that issuer. Below ``/t`` of the shared host a tenant is found under the issuer that it has
there, today or until the overlap of a change ends, and not otherwise.
"""

from collections.abc import Callable, Container, Iterable, Iterator

from starlette.types import Scope

from gateway.settings import HostSet, Settings
from policies import issuer as issuers
from tenants.snapshot import Snapshot, TenantFacts

_ISSUER = "yett.issuer"


class OwnHosts:
    """Follows the snapshot, and keeps nothing itself. ``taken`` are names that the configuration has, at any port: a
    page of an API there would share its cookies with the login.
    """

    def __init__(self, snapshot: Snapshot, taken: Container[str]) -> None:
        self._snapshot = snapshot
        self._taken = taken

    def leave(self, taken: Container[str]) -> None:
        """These names are the configuration's from here on."""
        self._taken = taken

    def find(self, host: str) -> TenantFacts | None:
        """The tenant that has this (lower-case) ``Host`` to itself, suspended or not."""
        if _without_port(host) in self._taken:
            return None
        tenant = self._snapshot.by_issuer(issuers.at(host))
        return None if tenant is None or issuers.own_host(tenant.issuer) is None else tenant


def below_slug(scope: Scope, tenant: TenantFacts) -> Scope:
    """The request to an own host as one to the tenant's routes. No ``/t/…`` of anybody's is to be had there: it becomes
    an address below the tenant's own that does not exist.
    """
    prefix = f"/t/{tenant.slug}"
    return {
        **scope,
        "path": prefix + scope["path"],
        "raw_path": prefix.encode("ascii") + scope["raw_path"],
        _ISSUER: tenant.issuer,
    }


def reached(snapshot: Snapshot, slug: str, scope: Scope) -> TenantFacts | None:
    """The tenant of a route's path, suspended or not, as it looks under the issuer that the request came by; None where
    it is not to be had there.
    """
    came_by: str | None = scope.get(_ISSUER)
    if came_by is not None:
        return snapshot.by_issuer(came_by)
    tenant = snapshot.by_slug(slug)
    if tenant is None or issuers.own_host(tenant.issuer) is None:
        return tenant
    before = (snapshot.by_issuer(former.issuer) for former in tenant.former if issuers.own_host(former.issuer) is None)
    return next(filter(None, before), None)


def configured(settings: Settings) -> frozenset[str]:
    """The names that no tenant has to itself."""
    return _names(settings.identity_host_set()) | _names(settings.api_host_set())


def collision(issuer: str, settings: Settings) -> str | None:
    """What of the configuration has the host of this issuer already, whatever the port: cookies know no ports."""
    return _configured_as(settings)(issuer)


def collisions(tenants: Iterable[TenantFacts], settings: Settings) -> Iterator[tuple[TenantFacts, str]]:
    """Issuers whose host the configuration has, too, and as what. They are not served: configured hosts go first."""
    where_of = _configured_as(settings)
    for tenant in tenants:
        for facts in tenant.issuers():
            where = where_of(facts.issuer)
            if where is not None:
                yield facts, where


def _configured_as(settings: Settings) -> Callable[[str], str | None]:
    """Found out once for all tenants that there are, since all requests wait meanwhile."""
    identity, apis = _names(settings.identity_host_set()), _names(settings.api_host_set())

    def where(issuer: str) -> str | None:
        host = issuers.own_host(issuer)
        if host is None:
            return None
        name = _without_port(host)
        return "public_url" if name in identity else "api_hosts" if name in apis else None

    return where


def _names(hosts: HostSet) -> frozenset[str]:
    return frozenset(map(_without_port, hosts.names))


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
