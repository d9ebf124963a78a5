"""The patterns of one host as a deterministic automaton over segments: a look-up walks a path once and never goes back.

First the patterns are a tree, where those that begin alike share their beginning. A node of the automaton stands for
all places of the tree where a path so far may be, and for the ``**`` that it has passed. Nodes that stand for the same
are one, so there are about as many as places, unless many patterns cross each other; that much is refused.
"""

from collections.abc import Callable, Iterable

from policies.candidates import Answers, Candidates, Shape, Tie
from policies.pattern import Pattern
from policies.route import Route
from policies.segment import CLASSES, Kind, class_of

_STEPS = 100_000
_STEPS_PER_PLACE = 16  # of the tree: what patterns that do not cross need, several times

Report = Callable[[Route, Route], None]
_NO_KINDS: tuple[Kind, ...] = ()


class Entangled(ValueError):
    """Too many patterns cross each other, as ``/{x}/b1 … /{x}/b5000`` and ``/a1/{y} … /a5000/{y}`` do."""

    def __init__(self, host: str) -> None:
        super().__init__(f"too many paths of host {host} can be met by several patterns at once")


class Node:
    """A place in the automaton: what fits if the path ends here, what fits if it goes on unknown, and where to go."""

    __slots__ = ("beyond", "by_class", "children", "here", "other")

    def __init__(self, here: Candidates, beyond: Candidates) -> None:
        self.here = here
        self.beyond = beyond
        self.children: dict[str, Node] = {}
        self.other: Node | None = None
        self.by_class: tuple[Node | None, ...] | None = None  # where kinds matter; then ``other`` is not asked

    def find(self, segments: tuple[str, ...]) -> Candidates:
        """The candidates for a path."""
        node = self
        for segment in segments:
            child = node.children.get(segment)
            if child is None and segment:  # no {param} is empty
                child = node.other if node.by_class is None else node.by_class[class_of(segment)]
            if child is None:
                return node.beyond
            node = child
        return node.here


class _Place:
    """A place in the tree of patterns: ``exact`` ends here, ``deep`` takes this and all below."""

    __slots__ = ("children", "deep", "exact", "params")

    def __init__(self) -> None:
        self.children: dict[str, _Place] = {}
        self.params: dict[Kind, _Place] = {}
        self.exact: Shape | None = None
        self.deep: Shape | None = None

    def below(self, pattern: Pattern) -> "_Place":
        place = self
        for part in pattern.parts:
            if isinstance(part, Kind):
                place = place.params.setdefault(part, _Place())
            else:
                place = place.children.setdefault(part, _Place())
        return place

    def shape(self, pattern: Pattern) -> Shape:
        found = self.deep if pattern.deep else self.exact
        if found is None:
            found = Shape(pattern.specificity)
            if pattern.deep:
                self.deep = found
            else:
                self.exact = found
        return found


class PathAutomaton:
    """Builds the nodes of one host. ``report`` is told of each two routes that tie. Raises ``Entangled``."""

    def __init__(self, host: str, answers: Answers, report: Report) -> None:
        self._host = host
        self._answers = answers
        self._report = report
        self._steps = self._places = 0
        self._nodes: dict[tuple[frozenset[_Place], frozenset[Shape]], Node] = {}
        self._candidates: dict[frozenset[Shape], Candidates] = {}
        self._ties: dict[tuple[Shape, Shape], list[Tie]] = {}

    def build(self, routes: Iterable[Route]) -> Node:
        """The node where every path begins."""
        root, shapes = _Place(), set()
        for route in routes:
            shape = root.below(route.parsed).shape(route.parsed)
            shapes.add(shape)
            for other in shape.add(route):
                self._report(other, route)
            self._places += len(route.parsed.parts)
        for shape in shapes:
            shape.settle()
        return self._node(frozenset((root,)), frozenset())

    def _node(self, places: frozenset[_Place], passed: frozenset[Shape]) -> Node:
        known = self._nodes.get((places, passed))
        if known is not None:
            return known
        deep = passed.union(place.deep for place in places if place.deep is not None)
        ended = deep.union(place.exact for place in places if place.exact is not None)
        node = Node(self._of(ended), self._of(deep))
        self._nodes[places, passed] = node
        self._spend(len(places) + len(deep))
        for literal in dict.fromkeys(literal for place in places for literal in place.children):
            kinds = CLASSES[class_of(literal)] if literal else _NO_KINDS
            node.children[literal] = self._node(self._after(places, literal, kinds), deep)
        kinds_there = {kind for place in places for kind in place.params}
        if kinds_there:
            after = [
                self._after(places, None, kinds) for kinds in (CLASSES if kinds_there - {Kind.ANY} else CLASSES[:1])
            ]
            by_class = tuple(self._node(one, deep) if one else None for one in after)
            node.other = by_class[0]
            if len(by_class) > 1:
                node.by_class = by_class
        return node

    def _after(self, places: frozenset[_Place], literal: str | None, kinds: tuple[Kind, ...]) -> frozenset[_Place]:
        self._spend(len(places))
        found = [place.params[kind] for place in places for kind in kinds if kind in place.params]
        if literal is not None:
            found += [place.children[literal] for place in places if literal in place.children]
        return frozenset(found)

    def _of(self, shapes: frozenset[Shape]) -> Candidates:
        known = self._candidates.get(shapes)
        if known is None:
            known = self._candidates[shapes] = Candidates(shapes, self._answers)
            self._look_for_ties(known)
        return known

    def _look_for_ties(self, candidates: Candidates) -> None:
        for one, other in candidates.rivals():
            ties = self._ties.get((one, other))
            if ties is None:
                ties = self._ties[one, other] = one.ties(other)
            self._spend(1 + len(ties))
            for tie in ties:
                if candidates.undecided(tie):
                    self._report(tie[2], tie[3])

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _STEPS + _STEPS_PER_PLACE * self._places:
            raise Entangled(self._host)
