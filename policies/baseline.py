"""Whether something happens far more often than it used to, for each of many: windows that follow each other, and the
mean of those before.

The mean leans to the newest windows, and an empty one counts as one: who has been quiet for long is expected to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from policies.sightings import Rule, short

MOST_KEPT: Final = 500
"""That have a baseline. Where one more has to find room, the one that was quiet for longest goes."""
TIMES: Final = 5
"""As many times the mean are a jump."""

_SHARE = 8  # an eighth of the mean is the newest window's
_UNIT = 1000  # a mean is kept in thousandths
_FORGOTTEN = 64  # so many empty windows leave nothing of a mean that anybody would notice


class Jump(NamedTuple):
    """So many in this window, where there were ``mean`` before (rounded up)."""

    number: int
    mean: int


@dataclass(slots=True)
class Baselines:
    """``kept``: by short hash, when its window began, what was counted in it, the mean before it, whether it was told
    of; the one that was quiet for longest first. Times are whole seconds since 1970.
    """

    kept: dict[str, list[int]] = field(default_factory=dict)

    def count(self, key: str, more: int, *, at: int, rule: Rule) -> Jump | None:
        """Take note. Something, once in a window, where ``rule.threshold`` is reached and ``TIMES`` the mean are."""
        hashed, begins = short(key), at - at % rule.seconds
        began, counted, mean, told = self.kept.pop(hashed, [begins, 0, 0, 0])
        if began < begins:
            mean, counted, told = _went_on(mean, counted, (begins - began) // rule.seconds), 0, 0
            began = begins
        elif began > begins + rule.seconds:  # said by a clock that was wrong
            began, counted, told = begins, 0, 0
        counted += more
        jumped = not told and counted >= rule.threshold and counted * _UNIT >= mean * TIMES
        while len(self.kept) >= MOST_KEPT:
            del self.kept[next(iter(self.kept))]
        self.kept[hashed] = [began, counted, mean, int(jumped or told)]
        return Jump(counted, -(-mean // _UNIT)) if jumped else None

    def stored(self) -> dict[str, Any]:
        """As JSON holds it; empty where nothing is kept."""
        return {"kept": self.kept} if self.kept else {}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Baselines":
        """What ``stored`` gave."""
        return cls(dict(sorted(stored.get("kept", {}).items(), key=lambda entry: entry[1])))


def _went_on(mean: int, counted: int, windows: int) -> int:
    """The mean after the window with ``counted`` and the empty ones behind it."""
    mean += (counted * _UNIT - mean) // _SHARE
    for _ in range(min(windows - 1, _FORGOTTEN)):
        mean -= -(-mean // _SHARE)
    return mean
