"""What ``everywhere.py`` found, what it has to be, and how it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import table
from open_loop import percentile

LONGEST, USUAL = 1.0, 0.999
"""So many seconds may a change take until the last process acts on it, in this share of all cases."""
MOST_CPU = 0.6
COLUMNS = ("what", "times", "median ms", "p99 ms", "p99.9 ms", "longest ms")


@dataclass(frozen=True, slots=True)
class Delays:
    """Of one kind of change: seconds from its commit until the last process acted on it, one for each time."""

    what: str
    seconds: tuple[float, ...]

    def at(self, share: float) -> float:
        """That share of all was not longer."""
        return percentile(sorted(self.seconds), share)


@dataclass(frozen=True, slots=True)
class Through:
    """How many of ``asked`` requests at once a limit of ``limit`` a minute let through, each time."""

    limit: int
    processes: int
    asked: int
    passed: tuple[int, ...]

    @property
    def documented(self) -> int:
        """As docs/routes.md says of the worst that callers can do."""
        others = self.processes - 1
        return self.limit + others * (self.limit + others) // self.processes


@dataclass(frozen=True, slots=True)
class Counted:
    """Wrong passwords that were sent at once, their answers by status (400 says that it was wrong), and how many the
    counters of accounts and of networks have.
    """

    sent: int
    answers: Mapping[int, int]
    accounts: int
    networks: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The load meanwhile: requests a second, its p99 in milliseconds, what failed, and the share of all CPUs that was
    used, by whomever.
    """

    asked: float
    rate: float
    p99: float
    failed: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Found:
    """All of one run."""

    delays: tuple[Delays, ...]
    through: Through
    counted: Counted
    load: Loaded


def missed(found: Found) -> list[str]:
    """What is not as good as it has to be, in words."""
    slow = [(one.what, took) for one in found.delays if (took := one.at(USUAL)) >= LONGEST]
    sentences = [f"{what}: p99.9 is {took:.2f} s, not below {LONGEST:.0f}" for what, took in slow]
    if (most := max(found.through.passed)) > found.through.documented:
        sentences.append(
            f"a limit of {found.through.limit} let {most} through, documented are {found.through.documented}"
        )
    counted = found.counted
    for of, number in (("accounts", counted.accounts), ("networks", counted.networks)):
        if number != counted.sent:
            sentences.append(f"{counted.sent} wrong passwords are {number} in the counters of {of}")
    others = {status: number for status, number in sorted(counted.answers.items()) if status != 400}
    sentences += [f"{number} wrong passwords were answered {status}" for status, number in others.items()]
    if found.load.failed:
        sentences.append(f"{found.load.failed} requests of the load failed")
    if found.load.cpu >= MOST_CPU:
        sentences.append(f"{found.load.cpu:.0%} of the CPUs were used, not below {MOST_CPU:.0%}: lower --rate")
    return sentences


def markdown(found: Found, conditions: Mapping[str, str]) -> str:
    """A block for docs/benchmarks.md."""
    load, through, counted = found.load, found.through, found.counted
    lines = [f"- {name}: {value}" for name, value in conditions.items()]
    lines += [
        f"- load meanwhile: {load.rate:,.0f} of {load.asked:,.0f} requests/s, p99 {load.p99:.1f} ms; "
        f"{load.cpu:.0%} of all CPUs were used",
        "",
        *table.markdown(COLUMNS, [_row(one) for one in found.delays]),
        "",
        f"- a limit of {through.limit}/minute, asked {through.asked} times at once, let through: "
        f"{', '.join(map(str, through.passed))}; documented are {through.documented} at the worst",
        f"- {counted.sent} wrong passwords at once are {counted.accounts} in the counters of accounts and "
        f"{counted.networks} in those of networks",
    ]
    return "\n".join(lines)


def as_json(found: Found, conditions: Mapping[str, str]) -> Mapping[str, Any]:
    """Every number."""
    return {
        "conditions": dict(conditions),
        "delays": {one.what: list(one.seconds) for one in found.delays},
        "limit": {"passed": list(found.through.passed), "documented": found.through.documented},
        "wrong_passwords": {
            "sent": found.counted.sent,
            "accounts": found.counted.accounts,
            "networks": found.counted.networks,
        },
        "load": {"rate": found.load.rate, "p99": found.load.p99, "failed": found.load.failed, "cpu": found.load.cpu},
    }


def _row(one: Delays) -> Sequence[str]:
    longest = max(one.seconds)
    times = (one.at(0.5), one.at(0.99), one.at(USUAL), longest)
    return (one.what, f"{len(one.seconds):,}", *(f"{1000 * each:,.0f}" for each in times))
