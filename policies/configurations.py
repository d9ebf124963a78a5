"""Whether a service was given another configuration than before: processes say which they took, part by part.

Many processes take the same one, some of them late and some the former one again; each is told of once in a window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policies.sightings import Rule, short

MOST_SEEN: Final = 20


@dataclass(slots=True)
class Configurations:
    """``parts`` are those of the newest one that was told of, by name; ``seen`` is when each was taken last, by short
    hash. Times are whole seconds since 1970.
    """

    parts: dict[str, str] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def take(self, parts: Sequence[str], *, at: int, rule: Rule) -> Sequence[str]:
        """Take note of one that a process took: ``name:digest`` for each part. The names of what differs in it, where
        it was not taken within the window; of the first one of all nothing.
        """
        whole = short("\n".join(sorted(parts)))
        last = self.seen.pop(whole, None)
        self.seen[whole] = at
        while len(self.seen) > MOST_SEEN:
            del self.seen[next(iter(self.seen))]
        if last is not None and abs(at - last) < rule.seconds:
            return ()
        before, self.parts = self.parts, dict(_split(part) for part in parts)
        if not before:
            return ()
        return sorted(name for name in before.keys() | self.parts.keys() if before.get(name) != self.parts.get(name))

    def stored(self) -> dict[str, Any]:
        """As JSON holds it; empty where nothing is kept."""
        return {"parts": self.parts, "seen": self.seen} if self.seen else {}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Configurations":
        """What ``stored`` gave."""
        seen = sorted(stored.get("seen", {}).items(), key=lambda entry: entry[1])
        return cls(dict(stored.get("parts", {})), dict(seen))


def _split(part: str) -> tuple[str, str]:
    name, _, digest = part.partition(":")
    return name, digest
