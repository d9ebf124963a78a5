"""The route table: which route answers a host, a method, a path and a tenant.

The most specific route wins: host, tenants, number of literal segments, of ``{param:int}`` and ``{param:uuid}``, of
``{param:slug}``, of ``{param}``, no ``**``, methods; never the order in the file. Two routes that tie for one request
are an error when the table is compiled.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from policies.candidates import NOT_FOUND, Answers, Candidates
from policies.cross_origin import PageRulesOfAny, PageRulesOfSome
from policies.path import NotCanonical, canonical
from policies.path_automaton import Node, PathAutomaton, Report
from policies.pattern import BadPattern
from policies.route import ANY_HOST, ANY_METHOD, DelimiterRefused, Match, Matched, Route

_REMEMBERED = 4096  # host headers; places and methods that browsers came to


class Ambiguous(ValueError):
    """Two routes tie for a request. ``routes`` are their names."""

    def __init__(self, one: str, other: str, host: str) -> None:
        super().__init__(f"routes {one} and {other} tie for the same requests on host {host}")
        self.routes = (one, other)


Ties = dict[tuple[str, str], Ambiguous]


class RouteTable:
    """Routes, compiled. Immutable to its users, who replace it whole."""

    def __init__(self, routes: tuple[Route, ...], roots: Mapping[str, Node]) -> None:
        self.routes = routes
        self.keeps_encoded_slash = any(route.encoded_slash for route in routes)
        self._roots = roots
        self._tiers: dict[str, tuple[Node, ...]] = {}
        self._browsers: dict[tuple[tuple[Candidates, ...], str], str | None] = {}

    @classmethod
    def compile(cls, routes: Iterable[Route]) -> "RouteTable":
        """Raises ``Ambiguous`` for a tie, ``BadPattern`` for a name that is there twice, ``Entangled`` for patterns
        that cross too often.
        """
        listed = tuple(routes)
        for name, count in Counter(route.name for route in listed).items():
            if count > 1:
                raise BadPattern(f"{count} routes are called {name}")
        ties: Ties = {}
        roots = _roots(listed, ties)
        if ties:
            raise next(iter(ties.values()))
        return cls(listed, roots)

    @classmethod
    def ties(cls, routes: Iterable[Route]) -> "Collection[Ambiguous]":
        """All of them: each pair of routes that ties, once. Raises ``Entangled``."""
        found: Ties = {}
        _roots(tuple(routes), found)
        return found.values()

    def match(self, host: str, method: str, path: bytes | tuple[str, ...], tenant: str | None) -> Match:
        """Which route answers. ``host`` is the Host header's value, ``path`` raw or already ``canonical``.

        Raises ``NotCanonical``, also for an encoded delimiter outside a ``{param}`` of a route that keeps them. Where
        the caller's tenant may lead to another route, which may keep it, that is not known yet: ``DelimiterRefused``.
        """
        segments = self.segments(path) if isinstance(path, bytes) else path
        found: Match = NOT_FOUND
        tiers = self._tiers.get(host) or self._tiers_of(host)
        for root in tiers:
            found = root.find(segments).answer(method, tenant)
            if found is not NOT_FOUND:
                break
        if tenant is None and isinstance(found, Matched) and found.route.shadow and found.route.tenants is not None:
            places = [root.find(segments).answer(method, None) for root in tiers]
            if sum(place is not NOT_FOUND for place in places) > 1:
                found = replace(found, contested=True)
        if self.keeps_encoded_slash and not _takes_delimiters(segments, found):
            if tenant is None and isinstance(found, Matched) and found.tenant_decides:
                return DelimiterRefused()
            raise NotCanonical("encoded_delimiter")
        if isinstance(found, Matched) and found.route.parsed.names:
            params = {name: segments[place] for place, name in found.route.parsed.names}
            return Matched(found.route, params, found.tenant_decides, found.contested)
        return found

    def browser_tenant(self, host: str, method: str, segments: tuple[str, ...]) -> str | None:
        """The one tenant whose route for browsers answers; None where there is none, or several."""
        if method not in ANY_METHOD:
            return None
        places = tuple(root.find(segments) for root in self._tiers.get(host) or self._tiers_of(host))
        key = places, method
        if key not in self._browsers:
            bound = frozenset().union(*(shape.bound.keys() for place in places for shape in place.shapes))
            found = [tenant for tenant in bound if _takes_sessions(places, method, tenant)]
            if len(self._browsers) >= _REMEMBERED:
                self._browsers.clear()
            self._browsers[key] = found[0] if len(found) == 1 else None
        return self._browsers[key]

    def page_rules(self, host: str, method: str, segments: tuple[str, ...]) -> PageRulesOfAny:
        """What pages may do here by the rules of one or other route that answers the method to somebody."""
        found: list[PageRulesOfSome] = []
        for root in self._tiers.get(host) or self._tiers_of(host):
            rules, ends_here = root.find(segments).page_rules(method)
            found += rules
            if ends_here:
                break
        return PageRulesOfAny(found)

    def segments(self, raw_path: bytes) -> tuple[str, ...]:
        """``canonical``, as lenient as the most lenient route; ``match`` then holds each path to its own route."""
        return canonical(raw_path, keep_encoded_slash=self.keeps_encoded_slash)

    def _tiers_of(self, host: str) -> tuple[Node, ...]:
        """The routes of host and port, then of the host on any port, then of any host."""
        lowered = host.lower()
        name, colon, port = lowered.rpartition(":")
        without_port = name if colon and port.isdigit() else lowered
        keys = dict.fromkeys((lowered, without_port, ANY_HOST))
        tiers = tuple(self._roots[key] for key in keys if key in self._roots)
        if len(self._tiers) >= _REMEMBERED:
            self._tiers.clear()
        self._tiers[host] = tiers
        return tiers


def _roots(routes: tuple[Route, ...], ties: Ties) -> dict[str, Node]:
    """The automaton of each host. All remember their answers in one place, which is bounded."""
    by_host: dict[str, list[Route]] = {}
    for route in routes:
        for host in dict.fromkeys(host.lower() for host in route.hosts):
            by_host.setdefault(host, []).append(route)
    answers: Answers = {}
    return {host: PathAutomaton(host, answers, _told(ties, host)).build(found) for host, found in by_host.items()}


def _told(ties: Ties, host: str) -> Report:
    def tell(one: Route, other: Route) -> None:
        ties.setdefault((one.name, other.name), Ambiguous(one.name, other.name, host))

    return tell


def _takes_sessions(places: tuple[Candidates, ...], method: str, tenant: str) -> bool:
    found = next((answer for place in places if (answer := place.answer(method, tenant)) is not NOT_FOUND), NOT_FOUND)
    return isinstance(found, Matched) and found.route.browser


def _takes_delimiters(segments: tuple[str, ...], found: Match) -> bool:
    """``/``, ``#`` and ``?`` in a segment were escaped; only a ``{param}`` of a route that says so takes them."""
    joined = "".join(segments)
    if "/" not in joined and "#" not in joined and "?" not in joined:
        return True
    if not isinstance(found, Matched) or not found.route.encoded_slash:
        return False
    data = {place for place, _ in found.route.parsed.names}
    return all(place in data or not any(sign in segment for sign in "/#?") for place, segment in enumerate(segments))
