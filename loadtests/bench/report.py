"""The figures of all rounds: what they amount to, whether they meet the bars, and how they are shown. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import table
from wrk import Measured

BARE, HAPROXY, FASTIFY, YETT = "bare upstream", "haproxy jwt_verify", "fastify", "yett"
AUTH_REQUEST = "nginx auth_request + yett"
ALONE = "verifying alone"
REMEMBERED, FRESH, FORGED, MANY = (
    "remembered token",
    "every token new",
    "beside forged tokens",
    "10,000 tenants and routes",
)
QUIET = "30 % of the capacity"
_COLUMNS = (
    "case",
    "peer",
    "req/s min",
    "median",
    "max",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "slower than 10 p50",
    "core",
    "failed",
)
_UNDISTURBED = 0.9
_PACED = (QUIET, FORGED)  # at a rate that leaves the core idle for most of the time


class Key(NamedTuple):
    """What was measured: a case and who was asked."""

    case: str
    peer: str


Round = Mapping[Key, Measured]


def _rates(above: Measured, below: Measured) -> float:
    return above.rate / below.rate


def _p99s(above: Measured, below: Measured) -> float:
    return above.p99 / below.p99


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio within each round. It is to reach ``least`` in every one, or to stay below ``most``."""

    name: str
    above: Key
    below: Key
    least: float | None = None
    most: float | None = None
    of: Callable[[Measured, Measured], float] = _rates

    def ratios(self, rounds: Sequence[Round]) -> list[float]:
        """One a round: a machine has better and worse minutes. None where a side was not measured."""
        return [
            self.of(each[self.above], each[self.below]) for each in rounds if self.above in each and self.below in each
        ]

    def missed(self, rounds: Sequence[Round]) -> str | None:
        """A sentence where it was missed."""
        found = self.ratios(rounds)
        if self.least is not None and found and min(found) < self.least:
            return f"{self.name}: {min(found):.2f}, not {self.least:.2f}"
        if self.most is not None and found and max(found) > self.most:
            return f"{self.name}: {max(found):.2f}, not at most {self.most:.2f}"
        return None

    def line(self, rounds: Sequence[Round]) -> str:
        """The ratios of all rounds, and the bar."""
        found = self.ratios(rounds)
        wanted = f"at least {self.least:.2f}" if self.least is not None else f"at most {self.most:.2f}"
        return f"{self.name} per round: {', '.join(f'{ratio:.2f}' for ratio in found)} (bar: {wanted})"


BARS = (
    Bar("yett / haproxy jwt_verify", Key(REMEMBERED, YETT), Key(REMEMBERED, HAPROXY), least=2.0),
    Bar("yett / fastify", Key(REMEMBERED, YETT), Key(REMEMBERED, FASTIFY), least=2.0),
    Bar("every token new / verifying alone", Key(FRESH, YETT), Key(FRESH, ALONE), least=0.6),
    Bar("p99 beside forged tokens / without", Key(FORGED, YETT), Key(QUIET, YETT), most=2.0, of=_p99s),
    Bar("10,000 tenants and routes / one", Key(MANY, YETT), Key(REMEMBERED, YETT), least=0.85),
)


def missed(rounds: Sequence[Round], slow_share: float, bars: Sequence[Bar] = BARS) -> list[str]:
    """Sentences about what was not reached; none when all was."""
    sentences = [sentence for bar in bars if (sentence := bar.missed(rounds)) is not None]
    slowest = max(each[Key(REMEMBERED, YETT)].slow_share for each in rounds)
    if slowest > slow_share:
        sentences.append(f"{slowest:.2%} of yett's requests took over 10 medians, not {slow_share:.2%}")
    return sentences + [
        f"{key.case}, {key.peer}: {failed} requests failed"
        for key in _keys(rounds)
        if (failed := sum(each[key].failed for each in rounds if key in each))
    ]


def disturbances(rounds: Sequence[Round]) -> list[str]:
    """Sentences about rounds in which something else ran on the peers' CPU: their figures say too little."""
    return [
        f"round {number}: {key.peer} ({key.case}) had only {measured.core:.0%} of its CPU: something else ran"
        for number, each in enumerate(rounds, 1)
        for key, measured in each.items()
        if key.peer in (HAPROXY, FASTIFY, AUTH_REQUEST, YETT)
        and key.case in (REMEMBERED, FRESH)
        and measured.core < _UNDISTURBED
    ]


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """A row per case and peer: of times and core the rounds' median, of slow shares the worst, of failures the sum."""
    return [_row(key, [each[key] for each in rounds if key in each]) for key in _keys(rounds)]


def text(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For a terminal."""
    facts = [f"{name}: {value}" for name, value in conditions.items()]
    return "\n".join([*facts, "", *table.text(_COLUMNS, rows(rounds), names=2), "", *_lines(rounds)])


def markdown(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For docs/benchmarks.md."""
    facts = [f"- {name}: {value}" for name, value in conditions.items()]
    lines = [f"- {line}" for line in _lines(rounds)]
    return "\n".join([*facts, "", *table.markdown(_COLUMNS, rows(rounds), names=2), "", *lines])


def as_json(rounds: Sequence[Round], conditions: Mapping[str, str]) -> dict[str, Any]:
    """For scripts: every number of every round."""
    return {
        "conditions": dict(conditions),
        "rounds": [
            [{"case": key.case, "peer": key.peer, **_fields(measured)} for key, measured in each.items()]
            for each in rounds
        ],
        "ratios": {bar.name: [round(ratio, 3) for ratio in bar.ratios(rounds)] for bar in BARS},
    }


def _keys(rounds: Sequence[Round]) -> list[Key]:
    return list(dict.fromkeys(key for each in rounds for key in sorted(each, key=lambda key: _order(key.case))))


def _order(case: str) -> int:
    known = (REMEMBERED, FRESH, QUIET, FORGED, MANY)
    return known.index(case) if case in known else len(known)


def _lines(rounds: Sequence[Round]) -> list[str]:
    return [bar.line(rounds) for bar in BARS if bar.ratios(rounds)]


def _row(key: Key, measured: Sequence[Measured]) -> tuple[str, ...]:
    rates = [each.rate for each in measured]
    timed = key.peer != ALONE
    return (
        *key,
        f"{min(rates):,.0f}",
        f"{median(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{median(each.p50 for each in measured):.2f}" if timed else "",
        f"{median(each.p99 for each in measured):.2f}" if timed else "",
        f"{median(each.p999 for each in measured):.2f}" if timed else "",
        f"{max(each.slow_share for each in measured):.3%}" if timed else "",
        f"{median(each.core for each in measured):.0%}" if timed and key.case not in _PACED else "",
        str(sum(each.failed for each in measured)),
    )


def _fields(measured: Measured) -> dict[str, Any]:
    return {
        "requests": measured.requests,
        "seconds": round(measured.seconds, 3),
        "requests_per_second": round(measured.rate, 1),
        "p50_ms": measured.p50,
        "p99_ms": measured.p99,
        "p999_ms": measured.p999,
        "max_ms": measured.longest,
        "slow_share": measured.slow_share,
        "core": round(measured.core, 3),
        "errors": measured.errors,
    }
