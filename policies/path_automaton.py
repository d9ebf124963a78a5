"""The patterns of one host as a deterministic automaton over segments: a look-up walks a path once and never goes back.

First the patterns are a tree, where those that begin alike share their beginning. A node of the automaton stands for
all places of the tree where a path so far may be, and for the ``**`` that it has passed. Nodes that stand for the same
are one, so there are about as many as places, unless many patterns cross each other; that much is refused.

A path that an API may take for another one is answered by no other route: ``/a/`` is not let in by ``/**`` where ``/a``
is stricter, nor ``/+7`` where ``/{id:int}`` is. So a node also knows the places where the path would be that it looks
like. What they have is the ``shadows`` of candidates: where one would answer, nothing is found.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from policies.candidates import Answers, Candidates, Shape, Tie
from policies.route import Route
from policies.segment import CLASSES, Kind, class_of

_STEPS = 500_000  # about 200 MB
_STEPS_PER_PLACE = 16  # of the tree: what patterns that do not cross need, several times

Report = Callable[[Route, Route], None]


class Entangled(ValueError):
    """Too many patterns cross each other, as ``/{x}/b1 … /{x}/b5000`` and ``/a1/{y} … /a5000/{y}`` do."""

    def __init__(self, host: str, patterns: Iterable[str]) -> None:
        named = " and ".join(patterns)
        super().__init__(f"too many paths of host {host} can be met by several patterns at once, as by {named}")


class Node:
    """A place in the automaton: what fits if the path ends here, or with a slash, what fits if it goes on unknown, and
    where to go.
    """

    __slots__ = ("beyond", "by_class", "children", "here", "other", "slashed")

    def __init__(self, here: Candidates, beyond: Candidates, slashed: Candidates) -> None:
        self.here = here
        self.beyond = beyond
        self.slashed = slashed
        self.children: dict[str, Node] = {}
        self.other: Node | None = None
        self.by_class: tuple[Node | None, ...] | None = None  # where kinds matter; then ``other`` is not asked

    def find(self, segments: tuple[str, ...]) -> Candidates:
        """The candidates for a path."""
        node = self
        for segment in segments:
            child = node.children.get(segment)
            if child is None:
                if not segment:  # the last one, and no {param} is empty
                    return node.slashed
                child = node.other if node.by_class is None else node.by_class[class_of(segment)]
            if child is None:
                return node.beyond
            node = child
        return node.here


class _Place:
    """A place in the tree of patterns: ``exact`` ends here, ``deep`` takes this and all below."""

    __slots__ = ("children", "deep", "exact", "params", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern  # one that goes on from here
        self.children: dict[str, _Place] = {}
        self.params: dict[Kind, _Place] = {}
        self.exact: Shape | None = None
        self.deep: Shape | None = None

    def shape(self, route: Route) -> Shape:
        place, pattern = self, route.parsed
        for part in pattern.parts:
            if isinstance(part, Kind):
                there = place.params.get(part)
                if there is None:
                    there = place.params[part] = _Place(route.pattern)
            else:
                there = place.children.get(part)
                if there is None:
                    there = place.children[part] = _Place(route.pattern)
            place = there
        found = place.deep if pattern.deep else place.exact
        if found is None:
            found = Shape(route.pattern, pattern.specificity)
            if pattern.deep:
                place.deep = found
            else:
                place.exact = found
        return found


Shapes = frozenset[Shape]
Places = frozenset[_Place]
_NO_SHAPES: Shapes = frozenset()
_NOWHERE: Places = frozenset()


class _State(NamedTuple):
    """``passed`` are the ``**`` behind; ``shades`` the places where the path would be that this one looks like, and
    ``shadows`` what it has passed by then.
    """

    places: Places
    passed: Shapes
    shades: Places
    shadows: Shapes

    @property
    def width(self) -> int:
        return len(self.places) + len(self.passed)

    def patterns(self) -> list[str]:
        """Two that a path which leads here can meet, where there are two."""
        found = {place.pattern for place in self.places} | {shape.pattern for shape in self.passed}
        return sorted(found)[:2]


_BEGINNING = _State(_NOWHERE, _NO_SHAPES, _NOWHERE, _NO_SHAPES)


class PathAutomaton:
    """Builds the nodes of one host. ``report`` is told of each two routes that tie. Raises ``Entangled``."""

    def __init__(self, host: str, answers: Answers, report: Report) -> None:
        self._host = host
        self._answers = answers
        self._report = report
        self._steps = self._places = 0
        self._widest = _BEGINNING
        self._nodes: dict[_State, Node] = {}
        self._candidates: dict[tuple[Shapes, Shapes], Candidates] = {}
        self._ties: dict[tuple[Shape, Shape], list[Tie]] = {}

    def build(self, routes: Iterable[Route]) -> Node:
        """The node where every path begins."""
        root, shapes = _Place("/**"), set()
        for route in routes:
            shape = root.shape(route)
            shapes.add(shape)
            for other in shape.add(route):
                self._report(other, route)
            self._places += len(route.parsed.parts)
        for shape in shapes:
            shape.settle()
        return self._node(_State(frozenset((root,)), _NO_SHAPES, _NOWHERE, _NO_SHAPES))

    def _node(self, state: _State) -> Node:
        known = self._nodes.get(state)
        if known is not None:
            return known
        places, shades = state.places, state.shades
        passed, shadows = state.passed | _deep(places), state.shadows | _deep(shades)
        ending, dark = _exact(places), _exact(shades)
        behind = _exact(_below(places, "")), _exact(_below(shades, ""))
        node = Node(
            self._of(passed | ending, shadows | dark),
            self._of(passed, shadows),
            self._of(passed | behind[0], shadows | dark | ending | behind[1]),
        )
        self._nodes[state] = node
        if state.width > self._widest.width:
            self._widest = state
        self._spend(len(places) + len(shades) + len(passed) + len(shadows))
        literals = dict.fromkeys(literal for place in (*places, *shades) for literal in place.children)
        for literal in literals:
            if literal:  # with an empty one a path ends
                node.children[literal] = self._node(self._after(state, passed, shadows, class_of(literal), literal))
        kinds = {kind for place in (*places, *shades) for kind in place.params}
        if kinds:
            classes = range(len(CLASSES) if kinds - {Kind.ANY} else 1)
            by_class: list[Node | None] = []
            known_here: dict[tuple[frozenset[Kind], frozenset[Kind]], Node | None] = {}
            for one in classes:
                taken, like = CLASSES[one]
                alike = frozenset(kinds.intersection(taken)), frozenset(kinds.intersection(like))
                if alike not in known_here:
                    after = self._after(state, passed, shadows, one)
                    known_here[alike] = self._node(after) if after.places or after.shades else None
                by_class.append(known_here[alike])
            node.other = by_class[0]
            if len(by_class) > 1:
                node.by_class = tuple(by_class)
        return node

    def _after(self, state: _State, passed: Shapes, shadows: Shapes, kind: int, literal: str | None = None) -> _State:
        """Where a segment of a class leads to. What it only looks like leads where only shadows are."""
        self._spend(len(state.places) + len(state.shades))
        taken, like = CLASSES[kind]
        return _State(
            _below(state.places, literal, taken),
            passed,
            _below(state.shades, literal, taken + like) | _below(state.places, None, like),
            shadows,
        )

    def _of(self, shapes: Shapes, shadows: Shapes) -> Candidates:
        known = self._candidates.get((shapes, shadows))
        if known is None:
            known = self._candidates[shapes, shadows] = Candidates(shapes, shadows, self._answers)
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
            raise Entangled(self._host, self._widest.patterns())


def _below(places: Places, literal: str | None, kinds: Iterable[Kind] = ()) -> Places:
    if not places:
        return _NOWHERE
    found = [place.params[kind] for kind in kinds for place in places if kind in place.params]
    if literal is not None:
        found += [place.children[literal] for place in places if literal in place.children]
    return frozenset(found)


def _exact(places: Places) -> Shapes:
    if not places:
        return _NO_SHAPES
    return frozenset(place.exact for place in places if place.exact is not None)


def _deep(places: Places) -> Shapes:
    return frozenset(place.deep for place in places if place.deep is not None)
