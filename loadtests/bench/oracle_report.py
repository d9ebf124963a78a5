"""What the answers of a login tell about an account: whether they differ, and whether their times do. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import kolmogorov
from keep_alive import Answer

SIGNIFICANCE = 0.01
EXISTING, UNKNOWN, DISABLED, EMPTY = "wrong password", "unknown", "disabled", "empty password"
THROTTLED, THROTTLED_UNKNOWN = "throttled", "throttled unknown"
GROUPS: Mapping[str, tuple[str, ...]] = {
    EXISTING: (UNKNOWN, DISABLED, EMPTY),
    THROTTLED: (THROTTLED_UNKNOWN,),
}
"""Who is compared with whom: the existing account with all others of its group."""

_OF_THE_MOMENT = ("date", "x-request-id")
_FORM_TOKEN = re.compile(rb'(name="form_token" value=")[A-Za-z0-9_-]{43}"')

Said = tuple[int, tuple[tuple[str, str], ...], bytes]


def said(answer: Answer, name: str) -> Said:
    """Status, fields and body, but for what differs from moment to moment, the form's token, and the name as typed."""
    fields = tuple(field for field in answer.fields if field[0] not in _OF_THE_MOMENT)
    body = _FORM_TOKEN.sub(rb'\1TOKEN"', answer.body)
    return answer.status, fields, body.replace(f'value="{name}"'.encode(), b'value="NAME"')


@dataclass(frozen=True, slots=True)
class Attempts:
    """One run. By kind of account: what was said, each thing once, and how long it took each time (milliseconds)."""

    said: Mapping[str, frozenset[Said]]
    times: Mapping[str, Sequence[float]]

    def apart(self, kind: str, other: str) -> float:
        """The p-value of both kinds' times."""
        return kolmogorov.p_value(self.times[kind], self.times[other])


@dataclass(frozen=True, slots=True)
class Tenant:
    """The runs in one tenant; ``hashes`` says of which sort its passwords are."""

    hashes: str
    runs: Sequence[Attempts]

    def missed(self) -> list[str]:
        """Sentences about what can be told apart; none where nothing can."""
        sentences = []
        for existing, others in GROUPS.items():
            found = {each for run in self.runs for kind in (existing, *others) for each in run.said[kind]}
            if len(found) > 1:
                sentences.append(f"{self.hashes}: {', '.join((existing, *others))} are not answered alike:")
                sentences += sorted(_shown(each) for each in found)
            for other in others:
                even = sum(run.apart(existing, other) > SIGNIFICANCE for run in self.runs)
                if 3 * even < 2 * len(self.runs):
                    sentences.append(
                        f"{self.hashes}: {other} is told apart from {existing} by the time in "
                        f"{len(self.runs) - even} of {len(self.runs)} runs"
                    )
        return sentences


def markdown(tenants: Sequence[Tenant], conditions: Mapping[str, str]) -> str:
    """For docs/benchmarks.md."""
    facts = [f"- {name}: {value}" for name, value in conditions.items()]
    columns = ("passwords", "compared", "answers", "median ms", "of", "p in each run", "told from")
    lines = [f"| {' | '.join(columns)} |", f"|---|---|{'---:|' * 5}"]
    lines += [f"| {' | '.join(row)} |" for tenant in tenants for row in rows(tenant)]
    return "\n".join([*facts, "", *lines])


def rows(tenant: Tenant) -> list[tuple[str, ...]]:
    """A row for each pair. Medians are of all runs; "told from" is the shift that one run would have noticed."""
    found = []
    for existing, others in GROUPS.items():
        for other in others:
            different = {each for run in tenant.runs for kind in (existing, other) for each in run.said[kind]}
            medians = (median(time for run in tenant.runs for time in run.times[kind]) for kind in (existing, other))
            shift = median(kolmogorov.least_shift(run.times[existing], SIGNIFICANCE) for run in tenant.runs)
            found.append(
                (
                    tenant.hashes,
                    f"{existing} / {other}",
                    "the same" if len(different) == 1 else f"{len(different)} different",
                    *(f"{each:.2f}" for each in medians),
                    ", ".join(f"{run.apart(existing, other):.3f}" for run in tenant.runs),
                    f"{shift:.2f} ms",
                )
            )
    return found


def as_json(tenants: Sequence[Tenant], conditions: Mapping[str, str]) -> dict[str, Any]:
    """For scripts: every time of every run."""
    return {
        "conditions": dict(conditions),
        "tenants": [
            {
                "passwords": tenant.hashes,
                "runs": [
                    {
                        "p": {
                            f"{existing} / {other}": run.apart(existing, other)
                            for existing, others in GROUPS.items()
                            for other in others
                        },
                        "times_ms": {kind: [round(time, 4) for time in times] for kind, times in run.times.items()},
                    }
                    for run in tenant.runs
                ],
            }
            for tenant in tenants
        ],
    }


def _shown(each: Said) -> str:
    status, fields, body = each
    return f"  {status} {dict(fields)} {len(body)} bytes: {body[-300:]!r}"
