"""What a decision was expected to be, and what of it is otherwise."""

from dataclasses import dataclass

from gateway.proxy.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is None may be anything. ``would`` and ``would_reason`` are of a route in shadow."""

    decision: str
    reason: str | None = None
    route: str | None = None
    would: str | None = None
    would_reason: str | None = None

    def fails(self, found: Verdict) -> list[str]:
        """What is not as it was expected, a sentence each."""
        would = found.would
        pairs = [
            ("decision", self.decision, found.decision),
            ("reason", self.reason, found.reason),
            ("route", self.route, found.route),
            ("would", self.would, would and would.decision),
            ("would's reason", self.would_reason, would and would.reason),
        ]
        return [f"{name}: expected {want}, found {have}" for name, want, have in pairs if want not in (None, have)]
