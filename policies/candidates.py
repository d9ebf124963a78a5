"""Which of the routes whose patterns fit a path answers, for a method and a tenant; and which two of them tie.

Routes of one pattern are a shape, indexed by tenant and method; the candidates of a place in the automaton are a few
shapes, the strictest first. So neither an answer nor the search for ties ever looks at all routes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from policies.cross_origin import PageRulesOfSome
from policies.pattern import Specificity
from policies.route import ANY_METHOD, Match, Matched, MethodNotAllowed, NotFound, Route

NOT_FOUND = NotFound()
SHADOWED = NotFound()
"""Another path that this one may be taken for has a route: so no looser one answers, of this host or of any."""
NOBODY = ""
"""A tenant that no route names: an empty text is no slug."""

_REMEMBERED = 65_536  # answers of a whole table

ByMethod = dict[str, Route]
Tie = tuple[str, str, Route, Route]
Answers = dict[tuple["Candidates", str, str | None], Match]
_NO_ROUTES: ByMethod = {}


class Shape:
    """All routes of a host with one pattern, whatever its parameters are called."""

    __slots__ = ("_page_rules", "bound", "bound_methods", "pattern", "specificity", "unbound")

    def __init__(self, pattern: str, specificity: Specificity) -> None:
        self.pattern = pattern  # as one of the routes writes it
        self.specificity = specificity
        self.unbound: ByMethod = {}
        self.bound: dict[str, ByMethod] = {}
        self.bound_methods: set[str] = set()
        self._page_rules: dict[tuple[str, bool], PageRulesOfSome] = {}

    def add(self, route: Route) -> Iterator[Route]:
        """Take a route in; yields those that it ties with."""
        if route.tenants is not None:
            self.bound_methods |= route.allowed
        for tenant in route.tenants or (None,):
            held = self.unbound if tenant is None else self.bound.setdefault(tenant, {})
            for method in route.allowed:
                there = held.get(method)
                if there is None or route.method_rank(method) > there.method_rank(method):
                    held[method] = route
                elif route.method_rank(method) == there.method_rank(method):
                    yield there

    def settle(self) -> None:
        """All are there. From now on the order of the file says nothing."""
        self.bound = dict(sorted(self.bound.items()))

    def page_rules(self, method: str, *, unbound: bool) -> PageRulesOfSome | None:
        """What pages may by the rules of one or other route that answers the method, of those for every tenant where
        ``unbound`` says so; None where no route does. Found out when it is asked for.
        """
        among_unbound = unbound and method in self.unbound
        if not among_unbound and method not in self.bound_methods:
            return None
        known = self._page_rules.get((method, among_unbound))
        if known is None:
            tenants = self.bound.values()
            holding = (self.unbound, *tenants) if among_unbound else tenants
            known = PageRulesOfSome(held[method].pages for held in holding if method in held)
            self._page_rules[method, among_unbound] = known
        return known

    def ties(self, other: "Shape") -> list[Tie]:
        """Tenant, method and the two routes of each request that both would answer if nothing stricter did."""
        found = _alike(NOBODY, self.unbound, other.unbound)
        fewer, more = sorted((self.bound, other.bound), key=len)
        for tenant in fewer:
            if tenant in more:
                found += _alike(tenant, self.bound[tenant], other.bound[tenant])
        return found


def _alike(tenant: str, one: ByMethod, other: ByMethod) -> list[Tie]:
    return [
        (tenant, method, route, other[method])
        for method, route in one.items()
        if method in other and route.method_rank(method) == other[method].method_rank(method)
    ]


class Candidates:
    """The shapes that fit one kind of path. What was answered is remembered in ``answers``, which the table owns.

    ``shadows`` fit the paths that it may be taken for. They stand among the shapes, and where one would answer, nothing
    is found.
    """

    __slots__ = ("_answers", "_bound_methods", "_shadows", "shapes")

    def __init__(self, shapes: frozenset[Shape], shadows: frozenset[Shape], answers: Answers) -> None:
        self._shadows = shadows
        both = sorted(shapes | shadows, key=lambda shape: (shape.specificity, shape in shadows), reverse=True)
        self.shapes = tuple(both)
        self._bound_methods = frozenset().union(*(shape.bound_methods for shape in self.shapes))
        self._answers = answers

    def answer(self, method: str, tenant: str | None) -> Match:
        """``tenant`` None is a caller without a token: routes for any tenant answer first, bound ones after them."""
        if not self._bound_methods:
            tenant = NOBODY  # all are given the same
        key = (self, method, tenant)
        known = self._answers.get(key)
        if known is None:
            known = self._for_a_stranger(method) if tenant is None else self._for(method, tenant)
            if method in ANY_METHOD:  # a preflight may name any word
                if len(self._answers) >= _REMEMBERED:
                    self._answers.clear()
                self._answers[key] = known
        return known

    def page_rules(self, method: str) -> tuple[list[PageRulesOfSome], bool]:
        """What pages may by routes that may answer; and whether no other host's routes are asked, since there is one
        for every tenant here. Of those only the strictest answers: which of a tenant's own does is not looked at.
        """
        strictest = next((shape.specificity for shape in self.shapes if shape.unbound), None)
        answering = (shape for shape in self.shapes if shape not in self._shadows)
        found = (shape.page_rules(method, unbound=shape.specificity == strictest) for shape in answering)
        return [rules for rules in found if rules is not None], strictest is not None

    def rivals(self) -> Iterator[tuple[Shape, Shape]]:
        """Two shapes each that are as specific as each other."""
        for _, alike in groupby(self.shapes, key=lambda shape: shape.specificity):
            same = list(alike)
            for place, one in enumerate(same):
                for other in same[place + 1 :]:
                    yield one, other

    def undecided(self, tie: Tie) -> bool:
        """Whether it is one of the two that is found, and not a stricter route, or that there is none to answer."""
        tenant, method, one, other = tie
        found = self._for(method, tenant)
        return isinstance(found, Matched) and found.route in (one, other)

    def _for(self, method: str, tenant: str) -> Match:
        there = [
            (shape, bound) for shape in self.shapes if (bound := shape.bound.get(tenant, _NO_ROUTES)) or shape.unbound
        ]
        if not there:
            return NOT_FOUND
        strictest = [(shape, bound) for shape, bound in there if shape.specificity == there[0][0].specificity]
        known_path = [held for shape, bound in strictest for held in (bound, shape.unbound)]
        if not any(method in held for held in known_path):
            # Never a looser pattern instead: what a route does not answer must not be let in by a wider one.
            if any(shape in self._shadows for shape, _ in strictest):
                return SHADOWED
            return MethodNotAllowed(tuple(sorted(frozenset().union(*known_path))))
        found = _strictest(method, there) or _strictest(method, ((shape, shape.unbound) for shape, _ in there))
        if found is None:
            return NOT_FOUND
        shape, route = found
        return SHADOWED if shape in self._shadows else Matched(route, tenant_decides=bool(self._bound_methods))

    def _for_a_stranger(self, method: str) -> Match:
        for_any = self._for(method, NOBODY)
        if isinstance(for_any, Matched):
            return for_any
        # Some tenant's token may open it: then the answer is a question for the token, not that there is no such thing.
        if method in self._bound_methods:
            for tenant in self._tenants():
                found = self._for(method, tenant)
                if isinstance(found, Matched):
                    return replace(found, contested=found.route.shadow and self._contested(found.route, method))
        return self._for(method, next(self._tenants()))

    def _contested(self, route: Route, method: str) -> bool:
        found = (self._for(method, tenant) for tenant in self._tenants())
        return any(not isinstance(other, Matched) or other.route is not route for other in found)

    def _tenants(self) -> Iterator[str]:
        return (tenant for shape in self.shapes for tenant in shape.bound)


def _strictest(method: str, held: Iterable[tuple[Shape, ByMethod]]) -> tuple[Shape, Route] | None:
    """The route of the strictest pattern that answers the method, and of those the one that names it most plainly."""
    best: tuple[Shape, Route] | None = None
    for shape, routes in held:
        if best is not None and shape.specificity != best[0].specificity:
            break
        route = routes.get(method)
        if route is not None and (best is None or route.method_rank(method) > best[1].method_rank(method)):
            best = shape, route
    return best
