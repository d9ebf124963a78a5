"""The figures of the login benchmark: whether they meet the bars, and how they are shown. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import table
from closed_loop import Logins, Refusals
from open_loop import Latencies

TOKEN, PAGE = "/token", "/login page"
_UNDISTURBED = 0.03


@dataclass(frozen=True, slots=True)
class Beside:
    """Logins, and the proxied load that ran meanwhile."""

    logins: Logins
    proxied: Latencies


@dataclass(frozen=True, slots=True)
class Round:
    """What was measured within a minute. ``alone`` is Argon2id's rate without the gateway, ``idle`` the proxied load
    without logins, ``foreign`` the share of each CPU that processes had which are not of this benchmark.
    """

    alone: float
    idle: Latencies
    beside: Mapping[str, Beside]
    foreign: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Overload:
    """More attempts than fit. Memory is the gateway's in MiB: before, and the median of each quarter of the time."""

    refusals: Refusals
    memory_before: float
    memory: tuple[float, float, float, float]
    memory_most: float
    after: Logins


@dataclass(frozen=True, slots=True)
class Figures:
    """A whole run. ``queue``: how many may wait; ``helpers``: who hashes; ``capacity``: of the proxied path."""

    queue: int
    helpers: int
    capacity: float
    rounds: Sequence[Round]
    overload: Overload

    def longest_wait(self, alone: float) -> float:
        """Milliseconds that a full queue and the helpers take, where ``alone`` are hashed a second."""
        return 1000 * (self.queue + self.helpers) / alone


@dataclass(frozen=True, slots=True)
class Bars:
    """What has to be reached in every round: the share of Argon2id's rate, how much slower the proxied path may become,
    how much the memory may grow while attempts are refused (MiB), and how many refusals that is said of.
    """

    share: float
    slower: float
    growth: float
    refusals: int

    def missed(self, figures: Figures) -> list[str]:
        """Sentences about what was not reached; none when all was."""
        sentences = []
        for number, each in enumerate(figures.rounds, 1):
            for way, beside in each.beside.items():
                sentences += [
                    f"round {number}, {way}: {sentence}"
                    for sentence in self._missed_by(beside, each, figures.longest_wait(each.alone))
                ]
        return sentences + self._missed_under(figures.overload)

    def _missed_by(self, beside: Beside, round_: Round, longest_wait: float) -> list[str]:
        sentences = []
        logins, proxied, idle = beside.logins, beside.proxied, round_.idle
        if logins.rate < self.share * round_.alone:
            sentences.append(f"{logins.rate / round_.alone:.1%} of Argon2id's rate, not {self.share:.0%}")
        if logins.p99 >= longest_wait:
            sentences.append(f"p99 of logins is {logins.p99:,.0f} ms, not below {longest_wait:,.0f} ms")
        if proxied.p99 >= self.slower * idle.p99:
            sentences.append(
                f"p99 of the proxied path is {proxied.p99 / idle.p99:.2f} times the idle one, not below {self.slower:g}"
            )
        if lost := logins.refused + logins.failed:
            sentences.append(f"{lost} logins were refused, where all fit")
        if proxied.failed or idle.failed:
            sentences.append(f"{proxied.failed + idle.failed} proxied requests failed")
        return sentences

    def _missed_under(self, overload: Overload) -> list[str]:
        sentences = []
        refusals = overload.refusals
        if refusals.total < self.refusals:
            sentences.append(f"overload: {refusals.total:,} attempts were refused, not {self.refusals:,}")
        if refusals.unsaid:
            sentences.append(f"overload: {refusals.unsaid:,} refusals do not say when to come again")
        sentences += [
            f"overload: {count:,} attempts were answered {status}" for status, count in refusals.failed.items()
        ]
        if (growth := overload.memory[3] - overload.memory[0]) > self.growth:
            sentences.append(f"overload: the memory grew by {growth:.1f} MiB, not {self.growth:g}")
        if lost := overload.after.refused + overload.after.failed:
            sentences.append(f"after the overload {lost} logins did not succeed")
        return sentences


def disturbances(figures: Figures) -> list[str]:
    """Sentences about rounds in which something else ran on our CPUs: their figures say too little."""
    return [
        f"round {number}: something else had {share:.0%} of the CPU of {name}"
        for number, each in enumerate(figures.rounds, 1)
        for name, share in each.foreign.items()
        if share > _UNDISTURBED
    ]


def markdown(figures: Figures, conditions: Mapping[str, str]) -> str:
    """For docs/benchmarks.md."""
    parts = [
        "\n".join(f"- {name}: {value}" for name, value in conditions.items()),
        "\n".join(table.markdown(_LOGIN_COLUMNS, login_rows(figures))),
        "\n".join(table.markdown(_PROXIED_COLUMNS, proxied_rows(figures))),
        "\n".join(table.markdown(("overload", ""), overload_rows(figures))),
    ]
    return "\n\n".join(parts)


def as_json(figures: Figures, conditions: Mapping[str, str]) -> dict[str, Any]:
    """For scripts: every number of every round."""
    return {"conditions": dict(conditions), **asdict(figures)}


_LOGIN_COLUMNS = (
    "logins",
    "Argon2id alone /s",
    "logins /s",
    "share min",
    "median",
    "max",
    "p50 ms",
    "p99 ms",
    "bound of p99 ms",
)
_PROXIED_COLUMNS = (
    "proxied path meanwhile",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "p99 / idle min",
    "median",
    "max",
)


def login_rows(figures: Figures) -> list[tuple[str, ...]]:
    """A row for each way in: medians of the rounds, and the spread of what the bar is on."""
    rows = []
    for way in figures.rounds[0].beside:
        logins = [each.beside[way].logins for each in figures.rounds]
        shares = [each.beside[way].logins.rate / each.alone for each in figures.rounds]
        alone = median(each.alone for each in figures.rounds)
        rows.append(
            (
                way,
                f"{alone:.1f}",
                f"{median(each.rate for each in logins):.1f}",
                *(f"{share:.1%}" for share in (min(shares), median(shares), max(shares))),
                f"{median(each.p50 for each in logins):,.0f}",
                f"{max(each.p99 for each in logins):,.0f}",
                f"{figures.longest_wait(alone):,.0f}",
            )
        )
    return rows


def proxied_rows(figures: Figures) -> list[tuple[str, ...]]:
    """A row without logins, and one beside the logins of each way in."""
    rows = [("no logins", *_latencies([each.idle for each in figures.rounds]), "", "", "")]
    for way in figures.rounds[0].beside:
        runs = [each.beside[way].proxied for each in figures.rounds]
        ratios = [each.beside[way].proxied.p99 / each.idle.p99 for each in figures.rounds]
        spread = (f"{ratio:.2f}" for ratio in (min(ratios), median(ratios), max(ratios)))
        rows.append((f"logins by {way}", *_latencies(runs), *spread))
    return rows


def overload_rows(figures: Figures) -> list[tuple[str, ...]]:
    """What the attempts beyond what fits got, and what they cost."""
    overload = figures.overload
    refusals = overload.refusals
    quarters = " / ".join(f"{mib:.1f}" for mib in overload.memory)
    return [
        (
            "attempts",
            f"{refusals.total + refusals.granted + sum(refusals.failed.values()):,} in {refusals.seconds:.1f} s",
        ),
        ("logged in", f"{refusals.granted:,}"),
        *((f"answered {status}", f"{count:,}") for status, count in refusals.refused.items()),
        ("of these without Retry-After", f"{refusals.unsaid:,}"),
        ("answered otherwise", f"{sum(refusals.failed.values()):,}"),
        ("time of a refusal, p50 / p99", f"{refusals.p50:.1f} / {refusals.p99:.1f} ms"),
        ("memory of the gateway before", f"{overload.memory_before:.1f} MiB"),
        ("in each quarter of the time", f"{quarters} MiB"),
        ("at most", f"{overload.memory_most:.1f} MiB"),
        ("logins afterwards", f"{overload.after.granted:,}, {overload.after.rate:.1f} /s"),
    ]


def _latencies(runs: Sequence[Latencies]) -> tuple[str, ...]:
    return (
        f"{median(each.rate for each in runs):,.0f}",
        *(f"{median(getattr(each, name) for each in runs):.2f}" for name in ("p50", "p99", "p999")),
    )
