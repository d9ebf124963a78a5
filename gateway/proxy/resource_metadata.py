"""Protected resource metadata (RFC 9728): what a client has to know of an API before it asks for a token.

An upstream's audience is the resource's identifier. Its metadata is served where section 3.1 looks for it: at the
audience's own host, with the audience's path behind the well-known one. An audience whose host is none of the API hosts
has no metadata, since nobody could be sure of whom it comes from. Owns the documents and the addresses; not the
challenge that points at them (refusal.py).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.proxy import refusal
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.tenant_upstream import by_upstream
from gateway.settings import HostSet
from gateway.settings.addresses import DEFAULT_PORTS
from policies.dpop import ALGORITHMS
from policies.route import Route
from policies.rule import scopes_asked_for

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_METHODS = ("GET", "HEAD")
_MOST_SERVERS = 50
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=300"),
    (b"access-control-allow-origin", b"*"),
)

IssuerOf = Callable[[str], str | None]
Address = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Resource:
    """One audience. ``tenants`` None: some of its routes are any tenant's, and a list of all of them is nobody's to
    read.
    """

    audience: str
    name: str
    scopes: tuple[str, ...]
    tenants: tuple[str, ...] | None


class Resources:
    """The resources of a configuration, by their addresses. ``issuer_of`` says what the issuer of a tenant is."""

    def __init__(self, resources: Iterable[Resource], hosts: HostSet, issuer_of: IssuerOf) -> None:
        self._issuer_of = issuer_of
        self._by_address: dict[Address, Resource] = {}
        self._urls: dict[str, str] = {}
        for resource in resources:
            parts = urlsplit(resource.audience)
            if not _is_served(parts, hosts):
                continue
            below, query = parts.path if parts.path != "/" else "", f"?{parts.query}" if parts.query else ""
            self._urls[resource.audience] = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{below}{query}"
            for host in _spellings(parts):
                self._by_address[host, f"{WELL_KNOWN}{below}{query}"] = resource

    @classmethod
    def of(
        cls, routes: Iterable[Route], audiences: Mapping[str, str | None], hosts: HostSet, issuer_of: IssuerOf
    ) -> "Resources":
        """Those that the routes lead to; ``audiences`` are the upstreams', by name. Anonymous routes need no token."""
        of_audience: dict[str, list[tuple[Route, Route]]] = {}
        for route in routes:
            for each in by_upstream(route, audiences):
                audience = audiences[each.upstream] if each.upstream else each.audience
                if audience is not None and not route.anonymous:
                    of_audience.setdefault(audience, []).append((route, each))
        return cls((_resource(audience, found) for audience, found in of_audience.items()), hosts, issuer_of)

    def url(self, audience: str | None) -> str | None:
        """Where the metadata of this audience is, for challenges (RFC 9728 section 5.1)."""
        return None if audience is None else self._urls.get(audience)

    def answer(self, method: str, host: str, path: str, query: str) -> OwnAnswer | Refusal:
        """The answer at a well-known address, which is no route whether there is a resource or not."""
        resource = self._by_address.get((host.lower(), f"{path}?{query}" if query else path))
        if resource is None:
            return Refusal(refusal.ROUTE_NOT_FOUND, "reserved_path")
        if method not in _METHODS:
            return refusal.method_not_allowed(_METHODS)
        body = json.dumps(self._document(resource), separators=(",", ":")).encode()
        length = (b"content-length", b"%d" % len(body))
        return OwnAnswer(200, "resource_metadata", (*_HEADERS, length), b"" if method == "HEAD" else body)

    def _document(self, resource: Resource) -> dict[str, object]:
        """RFC 9728 section 2."""
        document: dict[str, object] = {
            "resource": resource.audience,
            "resource_name": resource.name,
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(ALGORITHMS),
        }
        if resource.scopes:
            document["scopes_supported"] = list(resource.scopes)
        issuers = [issuer for slug in resource.tenants or () if (issuer := self._issuer_of(slug)) is not None]
        if issuers:
            document["authorization_servers"] = issuers[:_MOST_SERVERS]
        return document


NO_RESOURCES = Resources((), HostSet.of(()), lambda _: None)


def _resource(audience: str, found: list[tuple[Route, Route]]) -> Resource:
    """``found`` are its routes, as they are written and as they lead there."""
    routes = [route for _, route in found]
    bound = [route.tenants for route in routes]
    tenants = frozenset().union(*(slugs or () for slugs in bound))
    # The names of upstreams say who has one, and that is no list to publish: only of its own tenant is told here.
    unlisted = frozenset().union(*(route.tenants or () for written, route in found if written.tenants is None))
    hidden = len(unlisted) > 1
    return Resource(
        audience,
        min(named.upstream or named.name for named in (written if hidden else route for written, route in found)),
        tuple(sorted(frozenset().union(*(scopes_asked_for(route.rule) for route in routes)))),
        None if None in bound or hidden else tuple(sorted(tenants)),
    )


def _is_served(parts: SplitResult, hosts: HostSet) -> bool:
    """Whether this is an address of ours, and one that can stand in a challenge as it is."""
    plain = not any(sign in f"{parts.path}{parts.query}" for sign in '"\\')
    return parts.scheme in DEFAULT_PORTS and hosts.find(parts.netloc.lower()) is not None and plain


def _spellings(parts: SplitResult) -> tuple[str, ...]:
    """How a ``Host`` may name it: the scheme's own port may be written or left out."""
    host, port = parts.netloc.lower(), f":{DEFAULT_PORTS[parts.scheme]}"
    if host.endswith(port):
        return host, host.removesuffix(port)
    return (host,) if host.rpartition(":")[2].isdigit() else (host, f"{host}{port}")
