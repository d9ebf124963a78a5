"""What a run has to reach, as the options write it, and which of that was missed, in sentences."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scenarios.rows import KINDS


@dataclass(frozen=True, slots=True)
class Row:
    """What was counted of one kind of request. ``times`` are how many took so many milliseconds."""

    name: str
    requests: int
    failures: int
    times: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Bars:
    """``p99`` are the most milliseconds and ``rps`` the fewest requests a second by kind; ``ratio`` is the largest
    share of failures (0 to 1), ``failures`` their largest number. None: not asked for.
    """

    p99: Mapping[str, float]
    rps: Mapping[str, float]
    ratio: float | None
    failures: int | None

    @classmethod
    def parse(cls, *, p99: str, rps: str, ratio: float | None, failures: int | None) -> "Bars":
        """Raises ``ValueError`` with a sentence. Without a word on failures, none is allowed."""
        if ratio is not None and not 0 <= ratio <= 1:
            raise ValueError(f"--fail-ratio is a share from 0 to 1, and not {ratio:g}")
        if failures is None and ratio is None:
            failures = 0
        return cls(_by_kind("--fail-p99", p99), _by_kind("--fail-rps", rps), ratio, failures)

    def missed(self, rows: Iterable[Row], *, seconds: float, errors: int) -> list[str]:
        """A sentence for each that was not reached. ``errors`` of the test itself count as failures."""
        rows = list(rows)
        requests = sum(row.requests for row in rows)
        failures = sum(row.failures for row in rows) + errors
        said = []
        for kind, most in self.p99.items():
            times = _times(rows, kind)
            if not times:
                said.append(f"--fail-p99 {kind}={most:g} cannot be judged: no request of that kind was answered")
            elif (slow := percentile(times, 0.99)) > most:
                said.append(f"99 % of {kind} took up to {slow} ms, and --fail-p99 allows {most:g}")
        for kind, fewest in self.rps.items():
            done = sum(row.requests - row.failures for row in rows if row.name in KINDS[kind])
            if done < fewest * seconds:
                said.append(f"{kind} came to {done / seconds:.1f} a second, and --fail-rps asks for {fewest:g}")
        if self.ratio is not None and failures > self.ratio * max(requests, 1):
            share = failures / max(requests, 1)
            said.append(
                f"{failures:,} of {requests:,} requests failed ({share:.2%}), and --fail-ratio allows {self.ratio:.2%}"
            )
        if self.failures is not None and failures > self.failures:
            said.append(f"{failures:,} failures, and --max-failures allows {self.failures:,}")
        return said


def percentile(times: Mapping[int, int], share: float) -> int:
    """The shortest time within which at least this share was done. Raises ``ValueError`` where nothing was."""
    wanted, so_far = share * sum(times.values()), 0
    for time in sorted(times):
        so_far += times[time]
        if so_far >= wanted:
            return time
    raise ValueError("no request, no percentile")


def _times(rows: Iterable[Row], kind: str) -> Counter[int]:
    times: Counter[int] = Counter()
    for row in rows:
        if row.name in KINDS[kind]:
            times.update(row.times)
    return times


def _by_kind(option: str, text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = entry.partition("=")
        if kind not in KINDS:
            raise ValueError(f"{option}: {kind!r} is none of {', '.join(KINDS)}")
        if kind in found:
            raise ValueError(f"{option}: {kind} stands there twice")
        try:
            found[kind] = float(number)
        except ValueError:
            raise ValueError(f"{option}: {entry!r} must be KIND=NUMBER") from None
        if not 0 < found[kind] < float("inf"):
            raise ValueError(f"{option}: {entry!r} must be more than nothing, and a number")
    return found
