"""Metrics as values: what a scrape tells, and how those of several processes become one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

Kind = Literal["counter", "gauge", "histogram"]
Exemplar: TypeAlias = tuple[str, float, float]
"""A trace id, what was measured of that request, and when (epoch seconds)."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts`` has one number for each of ``bounds`` (upper ones, included) and one for what lies beyond."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float
    exemplars: tuple[Exemplar | None, ...]

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together; of two exemplars the newer."""
        exemplars = zip(self.exemplars, other.exemplars, strict=True)
        return Histogram(
            self.bounds,
            tuple(mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)),
            self.total + other.total,
            tuple(max(filter(None, pair), key=_when, default=None) for pair in exemplars),
        )


Value: TypeAlias = float | Histogram


@dataclass(frozen=True, slots=True)
class Family:
    """All series of one name. ``labels`` are the names of what the keys of ``values`` say. ``together``: what the value
    of several processes is.
    """

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], Value]
    together: Literal["sum", "max", "min"] = "sum"

    def plus(self, other: "Family") -> "Family":
        """Both together."""
        values = dict(self.values)
        for labels, value in other.values.items():
            known = values.get(labels)
            values[labels] = value if known is None else self._joined(known, value)
        return replace(self, values=values)

    def _joined(self, mine: Value, theirs: Value) -> Value:
        if isinstance(mine, Histogram) and isinstance(theirs, Histogram):
            return mine.plus(theirs)
        if isinstance(mine, Histogram) or isinstance(theirs, Histogram):
            raise TypeError(f"{self.name} is a histogram in one process only")
        match self.together:
            case "sum":
                return mine + theirs
            case "max":
                return max(mine, theirs)
            case "min":
                return min(mine, theirs)

    def packed(self) -> list[Any]:
        """As lists and numbers."""
        values = [
            [list(labels), [value.bounds, value.counts, value.total, value.exemplars]]
            if isinstance(value, Histogram)
            else [list(labels), value]
            for labels, value in self.values.items()
        ]
        return [self.name, self.help, self.kind, self.labels, values, self.together]

    @classmethod
    def unpacked(cls, said: Sequence[Any]) -> "Family":
        """What ``packed`` wrote."""
        name, text, kind, labels, values, together = said
        return cls(name, text, kind, tuple(labels), {tuple(key): _value(value) for key, value in values}, together)


def added_up(processes: Iterable[Iterable[Family]]) -> list[Family]:
    """The families of several processes as one's, by name."""
    found: dict[str, Family] = {}
    for families in processes:
        for family in families:
            known = found.get(family.name)
            found[family.name] = family if known is None else known.plus(family)
    return [found[name] for name in sorted(found)]


def _value(said: Any) -> Value:
    if not isinstance(said, list):
        return float(said)
    bounds, counts, total, exemplars = said
    examples = tuple(None if one is None else (one[0], one[1], one[2]) for one in exemplars)
    return Histogram(tuple(bounds), tuple(counts), total, examples)


def _when(exemplar: Exemplar) -> float:
    return exemplar[2]
