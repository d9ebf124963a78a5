"""What is counted where requests pass: numbers of one event loop, without a lock.

The names of a series come from the configuration or from the code, never from a request; what is beyond the bound
all the same is counted as ``other`` (rule 15 of the design: bounded cardinality).
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping

from gateway.metrics.family import Exemplar, Histogram

OTHER = "other"
MOST = 1_000
"""Series of one name."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EXEMPLAR_EVERY = 1.0  # seconds, for each bucket: a scrape sees one of them


class Counts:
    """How often, by the values of the labels."""

    __slots__ = ("_most", "values")

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.values: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str, by: int = 1) -> None:
        """One more, or ``by``, with these labels."""
        values = self.values
        if labels not in values:
            if len(values) >= self._most:
                labels = (OTHER,) * len(labels)
            values.setdefault(labels, 0)
        values[labels] += by


class Durations:
    """How long, in seconds, by the value of one label."""

    __slots__ = ("_most", "_of")

    def __init__(self, most: int = 100) -> None:
        self._most = most
        self._of: dict[str, _Buckets] = {}

    def add(self, label: str, seconds: float) -> None:
        """One more."""
        found = self._of.get(label) or self._new(label)
        found.counts[bisect_left(SECONDS, seconds)] += 1
        found.total += seconds

    def add_example(self, label: str, seconds: float, at: float, trace_id: Callable[[], str]) -> None:
        """One more, of ``at`` (epoch seconds). ``trace_id`` says where to look for an example of such a one, and is
        seldom asked.
        """
        found = self._of.get(label) or self._new(label)
        bucket = bisect_left(SECONDS, seconds)
        found.counts[bucket] += 1
        found.total += seconds
        if at >= found.next_exemplar[bucket]:
            found.exemplars[bucket] = trace_id(), seconds, at
            found.next_exemplar[bucket] = at + _EXEMPLAR_EVERY

    def of(self, label: str) -> Histogram | None:
        """That of one label, where there is any."""
        return self.values.get((label,))

    def _new(self, label: str) -> "_Buckets":
        return self._of.setdefault(label if len(self._of) < self._most else OTHER, _Buckets())

    @property
    def values(self) -> Mapping[tuple[str, ...], Histogram]:
        """As of now."""
        return {
            (label,): Histogram(SECONDS, tuple(of.counts), of.total, tuple(of.exemplars))
            for label, of in self._of.items()
        }


class _Buckets:
    __slots__ = ("counts", "exemplars", "next_exemplar", "total")

    def __init__(self) -> None:
        size = len(SECONDS) + 1
        self.counts = [0] * size
        self.total = 0.0
        self.exemplars: list[Exemplar | None] = [None] * size
        self.next_exemplar = [0.0] * size
