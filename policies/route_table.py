"""The route table: which route answers a host, a method, a path and a tenant.

The most specific route wins: host, tenants, number of literal segments, number of ``{param}``, no ``**``, methods;
never the order in the file. Two routes that tie for one request are an error when the table is compiled.

Compiled, the patterns of a host are one deterministic automaton over segments: at every node all patterns that fit so
far are known, so a match walks the path once and never goes back, however many routes there are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

from policies.path import NotCanonical, canonical
from policies.pattern import BadPattern
from policies.route import ANY_HOST, Match, Matched, MethodNotAllowed, NotFound, Route

_NOT_FOUND = NotFound()
_REMEMBERED = 4096  # answers per node, and host headers per table


class Ambiguous(ValueError):
    """Two routes tie for a request. ``routes`` are their names."""

    def __init__(self, one: str, other: str, host: str) -> None:
        super().__init__(f"routes {one} and {other} tie for the same requests on host {host}")
        self.routes = (one, other)


class _Candidates:
    """All routes whose pattern fits one kind of path; which of them answers, per method and tenant, is remembered."""

    __slots__ = ("_answers", "_bound", "routes")

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._bound = any(route.tenants is not None for route in routes)
        self._answers: dict[tuple[str, str | None], Match] = {}

    def answer(self, method: str, tenant: str | None) -> Match:
        """``tenant`` None is a caller without a token: routes for any tenant answer first, bound ones after them."""
        key = (method, tenant)
        known = self._answers.get(key)
        if known is None:
            known = self._choose(method, tenant)
            if len(self._answers) >= _REMEMBERED:
                self._answers.clear()
            self._answers[key] = known
        return known

    def _choose(self, method: str, tenant: str | None) -> Match:
        if tenant is not None:
            return self._best(method, [route for route in self.routes if _admits(route, tenant)])
        for_any = self._best(method, [route for route in self.routes if route.tenants is None])
        if isinstance(for_any, Matched):
            return for_any
        # Some tenant's token may open it: then the answer is a question for the token, not that there is no such thing.
        tenants = sorted(frozenset().union(*(route.tenants or frozenset() for route in self.routes)))
        for_some = [self._choose(method, each) for each in tenants]
        known = [found for found in for_some if not isinstance(found, NotFound)]
        return next((found for found in known if isinstance(found, Matched)), next(iter(known), for_any))

    def _best(self, method: str, eligible: list[Route]) -> Match:
        if not eligible:
            return _NOT_FOUND
        strictest = max(route.parsed.specificity for route in eligible)
        known_path = [route for route in eligible if route.parsed.specificity == strictest]
        if not any(route.method_rank(method) for route in known_path):
            # Never a looser pattern instead: what a route does not answer must not be let in by a wider one.
            return MethodNotAllowed(tuple(sorted(frozenset().union(*(route.allowed for route in known_path)))))
        answering = [route for route in eligible if route.method_rank(method)]
        best = max(answering, key=lambda route: _rank(route, method))
        return Matched(best, tenant_decides=self._bound)

    def refuse_ties(self, host: str) -> None:
        """Raises ``Ambiguous`` when a request exists for which two of the routes rank the same."""
        for one, other in combinations(self.routes, 2):
            if one.parsed.specificity != other.parsed.specificity or not _share_a_tenant(one, other):
                continue
            for method in one.allowed & other.allowed:
                if _rank(one, method) == _rank(other, method) and not self._settled(one, other, method):
                    raise Ambiguous(one.name, other.name, host)

    def _settled(self, one: Route, other: Route, method: str) -> bool:
        """Whether a third, more specific route keeps every such request from both of them."""
        for third in self.routes:
            if third.parsed.specificity <= one.parsed.specificity:
                continue
            if one.tenants is None or other.tenants is None:
                if third.tenants is None:  # it answers, or it makes the path a known one and the answer 405
                    return True
            elif (
                third.tenants is not None and third.tenants >= one.tenants & other.tenants and third.method_rank(method)
            ):
                return True
        return False


class _Node:
    """A place in the automaton: what fits if the path ends here, what fits if it goes on unknown, and where to go."""

    __slots__ = ("beyond", "children", "here", "other")

    def __init__(self, here: _Candidates, beyond: _Candidates) -> None:
        self.here = here
        self.beyond = beyond
        self.children: dict[str, _Node] = {}
        self.other: _Node | None = None

    def find(self, segments: tuple[str, ...]) -> _Candidates:
        node = self
        for segment in segments:
            child = node.children.get(segment)
            if child is None:
                child = node.other if segment else None  # {param} is never empty
                if child is None:
                    return node.beyond
            node = child
        return node.here


class RouteTable:
    """Routes, compiled. Immutable to its users, who replace it whole."""

    def __init__(self, routes: tuple[Route, ...], roots: Mapping[str, _Node]) -> None:
        self.routes = routes
        self.keeps_encoded_slash = any(route.encoded_slash for route in routes)
        self._roots = roots
        self._tiers: dict[str, tuple[_Node, ...]] = {}

    @classmethod
    def compile(cls, routes: Iterable[Route]) -> "RouteTable":
        """Raises ``Ambiguous`` for a tie and ``BadPattern`` for a name that is there twice."""
        listed = tuple(routes)
        for name, count in Counter(route.name for route in listed).items():
            if count > 1:
                raise BadPattern(f"{count} routes are called {name}")
        by_host: dict[str, list[Route]] = {}
        for route in listed:
            for host in dict.fromkeys(host.lower() for host in route.hosts):
                by_host.setdefault(host, []).append(route)
        return cls(listed, {host: _Automaton(host).build(tuple(of_host)) for host, of_host in by_host.items()})

    def match(self, host: str, method: str, path: bytes | tuple[str, ...], tenant: str | None) -> Match:
        """Which route answers. ``host`` is the Host header's value, ``path`` raw or already ``canonical``.

        Raises ``NotCanonical``, also for an encoded delimiter outside a ``{param}`` of a route that keeps them.
        """
        segments = self.segments(path) if isinstance(path, bytes) else path
        found: Match = _NOT_FOUND
        for root in self._tiers.get(host) or self._tiers_of(host):
            found = root.find(segments).answer(method, tenant)
            if found is not _NOT_FOUND:
                break
        if self.keeps_encoded_slash:
            _check_delimiters(segments, found)
        if isinstance(found, Matched) and found.route.parsed.names:
            params = {name: segments[place] for place, name in found.route.parsed.names}
            return Matched(found.route, params, found.tenant_decides)
        return found

    def segments(self, raw_path: bytes) -> tuple[str, ...]:
        """``canonical``, as lenient as the most lenient route; ``match`` then holds each path to its own route."""
        return canonical(raw_path, keep_encoded_slash=self.keeps_encoded_slash)

    def _tiers_of(self, host: str) -> tuple[_Node, ...]:
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


class _Automaton:
    """Builds the nodes of one host. A node is known by the patterns still alive in it and how deep it is."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._nodes: dict[tuple[int, frozenset[str]], _Node] = {}

    def build(self, routes: tuple[Route, ...], depth: int = 0) -> _Node:
        key = (depth, frozenset(route.name for route in routes))
        known = self._nodes.get(key)
        if known is not None:
            return known
        past = tuple(route for route in routes if route.parsed.deep and len(route.parsed.parts) <= depth)
        ended = tuple(route for route in routes if not route.parsed.deep and len(route.parsed.parts) == depth)
        node = _Node(self._candidates(past + ended), self._candidates(past))
        self._nodes[key] = node
        open_routes = [route for route in routes if len(route.parsed.parts) > depth]
        through_any = tuple(route for route in open_routes if route.parsed.parts[depth] is None)
        literals = dict.fromkeys(part for route in open_routes if (part := route.parsed.parts[depth]) is not None)
        for literal in literals:
            same = tuple(route for route in open_routes if route.parsed.parts[depth] == literal)
            node.children[literal] = self.build(same + (through_any if literal else ()) + past, depth + 1)
        if through_any:
            node.other = self.build(through_any + past, depth + 1)
        return node

    def _candidates(self, routes: tuple[Route, ...]) -> _Candidates:
        candidates = _Candidates(routes)
        candidates.refuse_ties(self._host)
        return candidates


def _admits(route: Route, tenant: str) -> bool:
    return route.tenants is None or tenant in route.tenants


def _share_a_tenant(one: Route, other: Route) -> bool:
    if one.tenants is None or other.tenants is None:
        return one.tenants is other.tenants  # bound and unbound never tie: bound is more specific
    return bool(one.tenants & other.tenants)


def _rank(route: Route, method: str) -> tuple[bool, tuple[int, int, bool], int]:
    return route.tenants is not None, route.parsed.specificity, route.method_rank(method)


def _check_delimiters(segments: tuple[str, ...], found: Match) -> None:
    """``/``, ``#`` and ``?`` in a segment were escaped; only a ``{param}`` of a route that says so takes them."""
    joined = "".join(segments)
    if "/" not in joined and "#" not in joined and "?" not in joined:
        return
    data = {place for place, _ in found.route.parsed.names} if isinstance(found, Matched) else set()
    if not isinstance(found, Matched) or not found.route.encoded_slash:
        raise NotCanonical("encoded_delimiter")
    for place, segment in enumerate(segments):
        if place not in data and any(sign in segment for sign in "/#?"):
            raise NotCanonical("encoded_delimiter")
