"""The jobs that one process does for all, as operators see them: what each is for, how it went, what waits for it.

Owns their names and how often each is done. What they do is housekeeping.py's; what every process does for itself, such
as to follow the feed or to write what it observed, is no job here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

from tenants import deletion, erasures
from tenants.database import Database
from tenants.job_runs import GIVEN_UP, JobRun, JobRuns

Outcome = Literal["never", "running", "succeeded", "failed", "broken_off"]
_TURN = timedelta(seconds=25)  # less than it is looked for, so that one process alone never finds it taken
_TEN_MINUTES = timedelta(seconds=580)
LOOKED_FOR: Final = timedelta(seconds=30)
"""How often each process looks whether it is its turn."""


@dataclass(frozen=True, slots=True)
class KnownJob:
    """``every``: nobody does it again before that."""

    name: str
    summary: str
    every: timedelta = _TURN


JOBS: Final[Mapping[str, KnownJob]] = MappingProxyType(
    {
        each.name: each
        for each in (
            KnownJob("audit_erasure", "Erase events that are older than their tenant keeps them", _TEN_MINUTES),
            KnownJob("deletions", "Delete tenants whose time has come, in portions"),
            KnownJob("erasures", "Go on with erasures of people that were broken off"),
            KnownJob("keys", "Promote and retire signing keys that are due"),
            KnownJob("pruning", "Delete rows whose time is over: sessions, tokens, codes, links, counters"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class JobStanding:
    """``next_at`` None: nobody has done it yet. ``waiting`` is how much there is to do, where that can be counted:
    tenants whose deletion is due or has begun, people whose erasure has.
    """

    job: KnownJob
    run: JobRun | None
    outcome: Outcome
    next_at: datetime | None
    waiting: int | None


async def standing(database: Database, now: datetime) -> list[JobStanding]:
    """Of all of them, by name."""
    runs = JobRuns(database, lambda: now)
    last, due = await runs.all(), await runs.due()
    waiting = {"deletions": len(await deletion.due(database, now)), "erasures": await erasures.waiting(database)}
    return [
        JobStanding(job, last.get(name), outcome_of(last.get(name), now), due.get(name), waiting.get(name))
        for name, job in sorted(JOBS.items())
    ]


def outcome_of(run: JobRun | None, now: datetime) -> Outcome:
    """In a word."""
    if run is None:
        return "never"
    if run.ended_at is None:
        return "running" if now - run.began_at < GIVEN_UP else "broken_off"
    return "succeeded" if run.problem is None else "failed"
