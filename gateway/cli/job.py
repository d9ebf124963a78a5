"""``yett job``: what is done in the background for all tenants, and how it went."""

import click

from gateway.cli.options import Invocation, command
from gateway.job_list import JobStanding, standing

_COLUMNS = ["name", "outcome", "began_at", "duration_seconds", "failures", "problem", "waiting", "next_at"]


@click.group()
def job() -> None:
    """See what is done in the background, and how it went."""


@command(job, "list")
async def list_(call: Invocation) -> None:
    """List the jobs that one process does for all.

    WAITING counts what there is to do, where that is known. FAILURES are those in a row; PROBLEM is the kind of the
    last error. A job that never ran has no server yet.
    """
    async with call.installation() as installation:
        rows = [_row(found) for found in await standing(installation.database, installation.clock())]
    call.output.table(rows, _COLUMNS)


def _row(found: JobStanding) -> dict[str, object]:
    run = found.run
    lasted = None if run is None or run.ended_at is None else (run.ended_at - run.began_at).total_seconds()
    return {
        "name": found.job.name,
        "summary": found.job.summary,
        "outcome": found.outcome,
        "began_at": None if run is None else run.began_at,
        "ended_at": None if run is None else run.ended_at,
        "duration_seconds": lasted,
        "succeeded_at": None if run is None else run.succeeded_at,
        "problem": None if run is None else run.problem,
        "failures": 0 if run is None else run.failures,
        "next_at": found.next_at,
        "waiting": found.waiting,
    }
