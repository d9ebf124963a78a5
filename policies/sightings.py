"""How much was seen of each of many things within a window that slides, in memory that strangers cannot fill.

Each has a key (a network, a user) and members (the accounts that were tried from there, the networks that tried it);
a member counts with its weight for as long as the window goes back. A key that reached the threshold is told of once,
and is quiet for a window. Both are kept as short hashes: it is remembered that something came again, and not what.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

MOST_KEYS: Final = 200
"""That are counted at a time. Where one more has to find room, the one of least weight that was quiet for longest goes:
who would have others forgotten needs as many tries with each of his own."""
MOST_MEMBERS: Final = 1000
"""Of all keys together."""
MOST_TOLD: Final = 20
"""Keys that are told of in one window. The last of them is told with the remark that there may be more."""
MOST_REMEMBERED: Final = 200
"""Keys that are kept quiet for a window, where others are told of however many they are."""

_BYTES = 6
_LEFT = 0.75  # of what there is room for, once room was made: a flood makes it now and then, and not each time


@dataclass(frozen=True, slots=True)
class Rule:
    """What is told of: a weight of ``threshold`` within ``window``."""

    threshold: int
    window: timedelta

    @property
    def seconds(self) -> int:
        """The window's length."""
        return int(self.window.total_seconds())


class Reached(NamedTuple):
    """The threshold was: by this weight. ``last``: of this kind nothing more is told before a window is over."""

    weight: int
    last: bool


def short(text: str) -> str:
    """Twelve hexadecimal digits in its place."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_BYTES).hexdigest()


@dataclass(slots=True)
class Sightings:
    """Those of one kind. Times are whole seconds since 1970, and may step back a little: events come from many clocks.

    ``forgets_told``: who was told of longest ago makes room for others, instead of their silence: for keys that no
    stranger makes up.
    """

    forgets_told: bool = False
    members: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    swept: bool = False

    def see(self, key: str, member: str, weight: int, *, at: int, rule: Rule) -> Reached | None:
        """Take note. Something where this very sighting reaches the threshold."""
        if not self.swept:
            self._sweep(at, rule.seconds)
        hashed, part = short(key), short(member)
        if _quiet(self.told.get(hashed, at), at, rule.seconds):
            return None
        seen = _recent(self.members.get(hashed, {}), at, rule.seconds)
        if part not in seen:
            self._make_room(hashed, at, rule.seconds)
        seen[part] = [max(at, seen.get(part, [at])[0]), weight]
        self.members[hashed] = seen
        total = sum(weight for _, weight in seen.values())
        if total < rule.threshold:
            return None
        del self.members[hashed]
        return self._reached(hashed, total, at, rule.seconds)

    def stored(self) -> dict[str, Any]:
        """As JSON holds it; empty where nothing is kept."""
        kept: dict[str, Any] = {"members": self.members, "told": self.told}
        return {name: value for name, value in kept.items() if value}

    @classmethod
    def of(cls, stored: Mapping[str, Any], *, forgets_told: bool = False) -> "Sightings":
        """What ``stored`` gave."""
        told = sorted(stored.get("told", {}).items(), key=lambda entry: entry[1])
        return cls(forgets_told, dict(stored.get("members", {})), dict(told))

    def _reached(self, hashed: str, total: int, at: int, window: int) -> Reached | None:
        most = MOST_REMEMBERED if self.forgets_told else MOST_TOLD
        if len(self.told) >= most and self.forgets_told:
            del self.told[next(iter(self.told))]
        elif len(self.told) >= most:
            self.told = _still(self.told, at, window)
        if len(self.told) >= most:
            return None
        self.told.pop(hashed, None)  # the one told of last stands last
        self.told[hashed] = at + window
        return Reached(total, last=len(self.told) >= most and not self.forgets_told)

    def _sweep(self, at: int, window: int) -> None:
        """Away with what is older than the window."""
        self.swept = True
        self.told = _still(self.told, at, window)
        recent = {key: _recent(seen, at, window) for key, seen in self.members.items()}
        self.members = {key: seen for key, seen in recent.items() if seen}

    def _make_room(self, key: str, at: int, window: int) -> None:
        if len(self.members) < MOST_KEYS and self._held() < MOST_MEMBERS:
            return
        self._sweep(at, window)
        others = sorted((held for held in self.members if held != key), key=self._worth, reverse=True)
        while others and (len(others) > _LEFT * MOST_KEYS or self._held() > _LEFT * MOST_MEMBERS):
            del self.members[others.pop()]

    def _held(self) -> int:
        return sum(map(len, self.members.values()))

    def _worth(self, key: str) -> tuple[int, int]:
        seen = self.members[key].values()
        return sum(weight for _, weight in seen), max(at for at, _ in seen)


def _quiet(until: int, at: int, window: int) -> bool:
    """A silence that would be longer than a window is a clock's that was wrong."""
    return at < until <= at + window


def _still(told: Mapping[str, int], at: int, window: int) -> dict[str, int]:
    return {key: until for key, until in told.items() if _quiet(until, at, window)}


def _recent(seen: Mapping[str, list[int]], at: int, window: int) -> dict[str, list[int]]:
    return {part: held for part, held in seen.items() if -window < at - held[0] < window}
