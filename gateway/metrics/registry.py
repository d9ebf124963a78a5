"""All that a process counts: who has numbers says how to read them, and a scrape reads them all."""

from collections.abc import Callable, Iterable

from gateway.metrics.family import Family

Source = Callable[[], Iterable[Family]]


class Registry:
    """Nothing is counted in here; a source is asked when somebody wants to know."""

    def __init__(self, *sources: Source) -> None:
        self._sources = list(sources)

    def add(self, source: Source) -> None:
        """Ask this one, too."""
        self._sources.append(source)

    def read(self) -> list[Family]:
        """As of now."""
        return [family for source in self._sources for family in source()]
