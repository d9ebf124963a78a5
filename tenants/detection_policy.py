"""What a tenant sets of detections: which are on, and from how many within which time something is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from policies.detection import DEFAULTS, KINDS, Kind
from policies.sightings import Rule
from tenants.errors import InvalidValue

LEAST_WINDOW, MOST_WINDOW = timedelta(minutes=1), timedelta(days=7)
MOST: Final = 500
"""The highest threshold: less than what is remembered at a time (``policies.sightings.MOST_MEMBERS``)."""
MOST_REFUSALS: Final = 1_000_000
"""Of a client, which are counted and not remembered one by one."""


@dataclass(frozen=True, slots=True)
class DetectionPolicy:
    """One tenant's: what differs from the defaults of all. None is off."""

    own: Mapping[Kind, Rule | None] = field(default_factory=dict)

    def rule_for(self, kind: Kind) -> Rule | None:
        """The one in force; None where the kind is switched off."""
        return self.own.get(kind, DEFAULTS[kind])

    def rules(self) -> Mapping[Kind, Rule]:
        """Those of all kinds that are on."""
        found = ((kind, self.rule_for(kind)) for kind in KINDS)
        return {kind: rule for kind, rule in found if rule is not None}

    def changed(self, values: Mapping[Kind, Rule | None]) -> "DetectionPolicy":
        """With these kinds changed and checked; what is the default is not kept.

        Raises:
            InvalidValue: with the rule.
        """
        for kind, rule in values.items():
            if rule is not None:
                _check(kind, rule)
        merged = {**self.own, **values}
        return DetectionPolicy(
            {kind: merged[kind] for kind in KINDS if kind in merged and merged[kind] != DEFAULTS[kind]}
        )

    def stored(self) -> dict[str, Any]:
        """As JSON."""
        return {kind: None if rule is None else [rule.threshold, rule.seconds] for kind, rule in self.own.items()}

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> "DetectionPolicy":
        """What ``stored`` wrote. Kinds of a later release are left out: this one cannot tell of them."""
        return cls({kind: _rule(stored[kind]) for kind in KINDS if kind in stored})


def _rule(stored: list[int] | None) -> Rule | None:
    return None if stored is None else Rule(stored[0], timedelta(seconds=stored[1]))


def _check(kind: Kind, rule: Rule) -> None:
    most = MOST_REFUSALS if kind == "client_refusals" else MOST
    if not 1 <= rule.threshold <= most:
        raise InvalidValue(f"{kind} is told from 1 to {most} on")
    if not LEAST_WINDOW <= rule.window <= MOST_WINDOW or rule.window.microseconds:
        raise InvalidValue(f"{kind} has a window of a minute to 7 days, in whole seconds")
