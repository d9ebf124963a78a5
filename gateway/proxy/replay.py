"""A recorded day, decided by two configurations: what would change, counted by route and reason.

Reads line by line and keeps counts and one example of each kind of change, of which there are as many as routes and
reasons have pairs, whatever the length of the log. Who writes the log may choose reasons, so both are bounded.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.proxy.recorded import Missing, Unreadable, recorded
from gateway.proxy.rehearsal import Rehearsal, Unknown
from gateway.proxy.verdict import Verdict

MOST_KINDS: Final = 10_000
_LONGEST: Final = 500  # characters of an example


@dataclass(slots=True)
class Change:
    """``count`` lines, which stand for about ``estimate`` requests. The example is the first of them."""

    before: Verdict
    after: Verdict
    example: dict[str, str | None]
    count: int = 0
    estimate: float = 0.0


@dataclass(slots=True)
class Outcome:
    """``otherwise`` were decided otherwise when they came than they are now by the configuration that they name: by
    something that the log does not say. ``unknown`` and ``unreadable`` are by reason, ``first_unreadable`` says
    where; ``beyond`` are changes of kinds that found no room. ``left_out``: so many lines say that the log leaves
    others out.
    """

    lines: int = 0
    decided: int = 0
    unchanged: int = 0
    changes: dict[tuple[str, ...], Change] = field(default_factory=dict)
    unreadable: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    sampled: int = 0
    dropped: int = 0
    otherwise: int = 0
    beyond: int = 0
    left_out: int = 0
    first_unreadable: str | None = None

    @property
    def partial(self) -> bool:
        """Whether the log has not all requests of its time."""
        return self.left_out > 0 or self.dropped > 0

    @property
    def changed(self) -> int:
        """Lines that are decided otherwise."""
        return sum(change.count for change in self.changes.values()) + self.beyond

    def in_order(self) -> list[Change]:
        """Of which there are most first."""
        return sorted(self.changes.values(), key=lambda change: (-change.count, _text(change.before.route)))


class Replay:
    """``old`` and ``new`` decide about the same facts; ``old_digest`` is that of the first."""

    def __init__(self, old: Rehearsal, new: Rehearsal, old_digest: str) -> None:
        self._old, self._new, self._old_digest = old, new, old_digest
        self.outcome = Outcome()
        self._log, self._line = "", 0

    def begin(self, log: str) -> None:
        """What follows stands in the file of this name."""
        self._log, self._line = log, 0

    def take(self, raw: bytes) -> None:
        """One line of the log, whatever it is."""
        outcome = self.outcome
        outcome.lines += 1
        self._line += 1
        try:
            found = recorded(raw)
            if isinstance(found, Missing):
                outcome.dropped += found.count
                return
            if found.share < 1:
                outcome.sampled += 1
            outcome.left_out += found.partial
            if found.fixed:
                outcome.decided += 1
                outcome.unchanged += 1
                return
            before, after = self._old.decide(found.facts), self._new.decide(found.facts)
        except Unreadable as error:
            self._unreadable(str(error))
            return
        except Unknown as error:
            outcome.unknown[str(error)] += 1
            return
        outcome.decided += 1
        if found.config == self._old_digest and (before.decision, before.reason, before.route) != found.decided:
            outcome.otherwise += 1
        if before == after:
            outcome.unchanged += 1
            return
        key = (*_key(before), *_key(after))
        change = outcome.changes.get(key)
        if change is None:
            if len(outcome.changes) >= MOST_KINDS:
                outcome.beyond += 1
                return
            facts = found.facts
            example = {
                "request_id": found.request_id[:_LONGEST],
                "request": f"{facts.method} {facts.host}{facts.path}"[:_LONGEST],
                "subject": facts.principal.subject[:_LONGEST] if facts.principal else None,
            }
            change = outcome.changes[key] = Change(before, after, example)
        change.count += 1
        change.estimate += 1 / found.share

    def pass_over(self, why: str) -> None:
        """One that is not looked at."""
        self.outcome.lines += 1
        self._line += 1
        self._unreadable(why)

    def _unreadable(self, reason: str) -> None:
        if self.outcome.first_unreadable is None:
            self.outcome.first_unreadable = f"line {self._line:,} of {self._log}"
        self.outcome.unreadable[reason] += 1


def _key(found: Verdict) -> tuple[str, ...]:
    would = () if found.would is None else (found.would.decision, found.would.reason)
    return found.decision, found.reason, _text(found.route), *would, "|"


def _text(route: str | None) -> str:
    return "" if route is None else route
