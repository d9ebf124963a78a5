"""The figures of all rounds: what they amount to, whether they meet the bar, and how they are shown. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import table
from wrk import Measured

BARE, HAPROXY, YETT = "bare upstream", "haproxy jwt_verify", "yett"
PEERS = (BARE, HAPROXY, YETT)
_COLUMNS = (
    "peer",
    "req/s min",
    "median",
    "max",
    "p50 ms",
    "p99 ms",
    "p99.5 ms",
    "slower than 10 p50",
    "core",
    "failed",
)
_UNDISTURBED = 0.9

Round = Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class Bar:
    """What yett has to reach in every round: a multiple of HAProxy's rate, and few requests that wait long."""

    ratio: float
    slow_share: float

    def missed(self, rounds: Sequence[Round]) -> list[str]:
        """Sentences about what was not reached; none when all was."""
        sentences = []
        lowest = min(ratios(rounds))
        if lowest < self.ratio:
            sentences.append(f"yett reached {lowest:.2f} times HAProxy's rate, not {self.ratio:.2f}")
        slowest = max(each[YETT].slow_share for each in rounds)
        if slowest > self.slow_share:
            sentences.append(f"{slowest:.2%} of yett's requests took over 10 medians, not {self.slow_share:.2%}")
        sentences += [
            f"{name}: {failed} requests failed"
            for name in PEERS
            if (failed := sum(each[name].failed for each in rounds))
        ]
        return sentences


def ratios(rounds: Sequence[Round]) -> list[float]:
    """yett's rate over HAProxy's, per round: of one round only, because a machine has better and worse minutes."""
    return [each[YETT].rate / each[HAPROXY].rate for each in rounds]


def disturbances(rounds: Sequence[Round]) -> list[str]:
    """Sentences about rounds in which something else ran on the peers' CPU: their figures say too little."""
    return [
        f"round {number}: {name} had only {each[name].core:.0%} of its CPU, so something else was running here"
        for number, each in enumerate(rounds, 1)
        for name in (HAPROXY, YETT)
        if each[name].core < _UNDISTURBED
    ]


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """A row per peer: of times and core the rounds' median, of the slow share the worst, of failures the sum."""
    return [_row(name, [each[name] for each in rounds]) for name in PEERS]


def text(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For a terminal."""
    facts = [f"{name}: {value}" for name, value in conditions.items()]
    return "\n".join([*facts, "", *table.text(_COLUMNS, rows(rounds)), "", _ratio_line(rounds)])


def markdown(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For docs/benchmarks.md."""
    facts = [f"- {name}: {value}" for name, value in conditions.items()]
    return "\n".join([*facts, "", *table.markdown(_COLUMNS, rows(rounds)), "", _ratio_line(rounds)])


def as_json(rounds: Sequence[Round], conditions: Mapping[str, str]) -> dict[str, Any]:
    """For scripts: every number of every round."""
    return {
        "conditions": dict(conditions),
        "rounds": [{name: _fields(each[name]) for name in PEERS} for each in rounds],
        "ratios": [round(ratio, 3) for ratio in ratios(rounds)],
    }


def _row(name: str, measured: Sequence[Measured]) -> tuple[str, ...]:
    rates = [each.rate for each in measured]
    return (
        name,
        f"{min(rates):,.0f}",
        f"{median(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{median(each.p50 for each in measured):.2f}",
        f"{median(each.p99 for each in measured):.2f}",
        f"{median(each.p995 for each in measured):.2f}",
        f"{max(each.slow_share for each in measured):.3%}",
        f"{median(each.core for each in measured):.0%}",
        str(sum(each.failed for each in measured)),
    )


def _ratio_line(rounds: Sequence[Round]) -> str:
    found = ratios(rounds)
    listed = ", ".join(f"{ratio:.2f}" for ratio in found)
    return f"yett / haproxy jwt_verify per round: {listed} (median {median(found):.2f})"


def _fields(measured: Measured) -> dict[str, Any]:
    return {
        "requests": measured.requests,
        "seconds": round(measured.seconds, 3),
        "requests_per_second": round(measured.rate, 1),
        "p50_ms": measured.p50,
        "p99_ms": measured.p99,
        "p995_ms": measured.p995,
        "max_ms": measured.longest,
        "slow_share": measured.slow_share,
        "core": round(measured.core, 3),
        "errors": measured.errors,
    }
