"""``/jobs``: what is done in the background for all tenants, how it went, and that it be done now. For operators."""

from datetime import datetime
from typing import Literal

from gateway.admin.document import Document, Nothing, Page
from gateway.admin.errors import ResourceNotFound
from gateway.admin.operation import Answer, Call, Operation
from gateway.job_list import JOBS, JobStanding, standing
from policies.administration import INSTALLATION_READ, INSTALLATION_WRITE
from tenants.job_runs import JobRuns


class JobDocument(Document):
    """The last run of whoever did it. ``duration_seconds`` null: it goes on, or was never done. ``problem`` is the kind
    of the error; ``failures`` are those in a row. ``waiting`` is what there is to do, where that is counted.
    """

    name: str
    summary: str
    outcome: Literal["never", "running", "succeeded", "failed", "broken_off"]
    began_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None
    succeeded_at: datetime | None
    problem: str | None
    failures: int
    next_at: datetime | None
    waiting: int | None


def _shown(found: JobStanding) -> JobDocument:
    run = found.run
    lasted = None if run is None or run.ended_at is None else (run.ended_at - run.began_at).total_seconds()
    return JobDocument(
        name=found.job.name,
        summary=found.job.summary,
        outcome=found.outcome,
        began_at=None if run is None else run.began_at,
        ended_at=None if run is None else run.ended_at,
        duration_seconds=lasted,
        succeeded_at=None if run is None else run.succeeded_at,
        problem=None if run is None else run.problem,
        failures=0 if run is None else run.failures,
        next_at=found.next_at,
        waiting=found.waiting,
    )


async def _list(call: Call) -> Answer:
    found = await standing(call.services.installation.database, call.now)
    return Answer(Page[JobDocument](items=tuple(_shown(each) for each in found), next_cursor=None))


async def _run(call: Call) -> Answer:
    """Behind the transaction, since another role of the database keeps whose turn it is. Each job may be done twice."""
    name, database = call.parameters["job"], call.services.installation.database
    if name not in JOBS:
        raise ResourceNotFound
    await call.by.tell(call.store, "job.ordered", job=name)

    async def make_due() -> None:
        await JobRuns(database, lambda: call.now).make_due(name)

    return Answer(afterwards=make_due)


OPERATIONS = (
    Operation(
        "list_jobs",
        "GET",
        "/jobs",
        INSTALLATION_READ,
        "List background jobs, how they went, and when they are due",
        _list,
        answer=Page[JobDocument],
        operators_only=True,
        where="platform",
    ),
    Operation(
        "run_job",
        "POST",
        "/jobs/{job}/run",
        INSTALLATION_WRITE,
        "Have a job done within half a minute, whenever it is due",
        _run,
        body=Nothing,
        body_optional=True,
        operators_only=True,
        where="platform",
        refusals=(ResourceNotFound,),
    ),
)
