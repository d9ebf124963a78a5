"""The figures of the token benchmark: whether they meet the bars, and how they are shown. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import table
from token_load import TokenRun
from token_peer import CLIENT_CREDENTIALS

YETT, MEMORY, DURABLE = "yett, SQLite", "oidc-provider, in memory", "oidc-provider, SQLite"
EACH, EVENTLESS = "oidc-provider, SQLite, a commit each", "oidc-provider, SQLite, no events"
PEERS = (YETT, MEMORY, DURABLE)
VARIANTS = (EACH, EVENTLESS)

_COLUMNS = ("grant", "peer", "req/s min", "median", "max", "per CPU s", "p50 ms", "p99 ms", "core", "wrk", "failed")
_UNDISTURBED = 0.03

Round = Mapping[str, Mapping[str, TokenRun]]
"""Of each grant, the run of each peer."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The least multiples, in every round: of the rate of oidc-provider with its store in memory, for client
    credentials, and of its rate over SQLite, for either grant.
    """

    memory: float
    durable: float

    def missed(self, rounds: Sequence[Round]) -> list[str]:
        """Sentences about what was not reached, and about runs that count for nothing; none when all is well."""
        sentences = [
            f"round {number}, {grant}, {peer}: {complaint}"
            for number, grant, peer, run in _runs(rounds)
            for complaint in run.complaints()
        ]
        for grant in rounds[0]:
            bars = {DURABLE: self.durable, **({MEMORY: self.memory} if grant == CLIENT_CREDENTIALS else {})}
            for peer, bar in bars.items():
                lowest = min(ratios(rounds, grant, peer))
                if lowest < bar:
                    sentences.append(f"{grant}: yett reached {lowest:.2f} times the rate of {peer}, not {bar:.2f}")
        return sentences


def ratios(rounds: Sequence[Round], grant: str, peer: str) -> list[float]:
    """yett's rate over the peer's, per round: of one round only, because a machine has better and worse minutes."""
    return [each[grant][YETT].measured.rate / each[grant][peer].measured.rate for each in rounds]


def disturbances(rounds: Sequence[Round]) -> list[str]:
    """Sentences about runs beside which something else ran on the peer's CPU: their figures say too little."""
    return [
        f"round {number}, {grant}: something else had {run.foreign:.0%} of the CPU of {peer}"
        for number, grant, peer, run in _runs(rounds)
        if run.foreign > _UNDISTURBED
    ]


def rows(rounds: Sequence[Round]) -> list[tuple[str, ...]]:
    """A row for each grant and peer: rates of the rounds, the median of what a second of the server's CPU time gave, of
    times, core and wrk, the sum of failures.
    """
    return [
        _row(grant, peer, [each[grant][peer] for each in rounds]) for grant in rounds[0] for peer in rounds[0][grant]
    ]


def text(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For a terminal."""
    return _shown(rounds, [f"{name}: {value}" for name, value in conditions.items()], table.text)


def markdown(rounds: Sequence[Round], conditions: Mapping[str, str]) -> str:
    """For docs/benchmarks.md."""
    return _shown(rounds, [f"- {name}: {value}" for name, value in conditions.items()], table.markdown)


def as_json(rounds: Sequence[Round], conditions: Mapping[str, str]) -> dict[str, Any]:
    """For scripts: every number of every round."""
    return {
        "conditions": dict(conditions),
        "rounds": [
            {
                grant: {peer: {"rate": run.measured.rate, **asdict(run)} for peer, run in peers.items()}
                for grant, peers in each.items()
            }
            for each in rounds
        ],
    }


def _shown(rounds: Sequence[Round], facts: Sequence[str], table_of: Callable[..., list[str]]) -> str:
    lines = [
        f"{grant}: yett / {peer} per round: {', '.join(f'{ratio:.2f}' for ratio in found)} (median {median(found):.2f})"
        for grant in rounds[0]
        for peer in rounds[0][grant]
        if peer != YETT and (found := ratios(rounds, grant, peer))
    ]
    backlog = max(run.backlog for _, _, _, run in _runs(rounds))
    log = (
        f"Events that were committed and still had to be brought into yett's log when a run ended: at most {backlog:,}"
    )
    return "\n".join([*facts, "", *table_of(_COLUMNS, rows(rounds), names=2), "", *_apart(lines, table_of), "", log])


def _apart(lines: Sequence[str], table_of: Callable[..., list[str]]) -> list[str]:
    """Each in a line of its own, which on a page is an item of a list."""
    return [f"- {line}" for line in lines] if table_of is table.markdown else list(lines)


def _row(grant: str, peer: str, runs: Sequence[TokenRun]) -> tuple[str, ...]:
    measured = [run.measured for run in runs]
    rates = [each.rate for each in measured]
    return (
        grant,
        peer,
        f"{min(rates):,.0f}",
        f"{median(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{median(each.rate / each.core for each in measured):,.0f}",
        f"{median(each.p50 for each in measured):.2f}",
        f"{median(each.p99 for each in measured):.2f}",
        f"{median(each.core for each in measured):.0%}",
        f"{median(each.generator for each in measured):.0%}",
        str(sum(run.measured.failed + run.answers.wrong for run in runs)),
    )


def _runs(rounds: Sequence[Round]) -> Iterator[tuple[int, str, str, TokenRun]]:
    for number, each in enumerate(rounds, 1):
        for grant, peers in each.items():
            for peer, run in peers.items():
                yield number, grant, peer, run
