"""How each job went that one process does for all: when it was done last, how that ended, and when it is due again.

Written by whoever does it. As ``yett_system``.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, case, null, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tenants.cluster_tables import job_runs, turns
from tenants.database import Database

_LONGEST = 200
GIVEN_UP: Final = timedelta(hours=1)
"""After that nobody runs it any more who has not said how it ended: the process is gone."""

_INSERT: Mapping[bool, Any] = {True: sqlite_insert(job_runs), False: postgresql_insert(job_runs)}
_TIME = job_runs.c.began_at.type
_PROBLEM = bindparam("p_problem", type_=job_runs.c.problem.type)
_BEGIN = {
    on_sqlite: insert.values(job=bindparam("p_job"), began_at=bindparam("p_now"), failures=0).on_conflict_do_update(
        index_elements=("job",), set_={"began_at": insert.excluded.began_at, "ended_at": null()}
    )
    for on_sqlite, insert in _INSERT.items()
}
_END = (
    update(job_runs)
    .where(job_runs.c.job == bindparam("p_job"))
    .values(
        ended_at=bindparam("p_now"),
        problem=_PROBLEM,
        succeeded_at=case((_PROBLEM.is_(None), bindparam("p_now", type_=_TIME)), else_=job_runs.c.succeeded_at),
        failures=case((_PROBLEM.is_(None), 0), else_=job_runs.c.failures + 1),
    )
)
_DUE_NOW = update(turns).where(turns.c.job == bindparam("p_job")).values(next_at=bindparam("p_now"))


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run. ``ended_at`` None: it goes on. ``problem`` None: it went well. ``failures`` are those in a row."""

    began_at: datetime
    ended_at: datetime | None
    succeeded_at: datetime | None
    problem: str | None
    failures: int


class JobRuns:
    """``clock`` says the time."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def told(self, job: str) -> AsyncIterator[None]:
        """While the block does it, that it is done; then how it ended. What went wrong is the error's kind, and raised
        on: its text may quote what is stored.
        """
        async with self._database.system_step() as connection:
            await connection.execute(_BEGIN[self._database.is_sqlite], {"p_job": job, "p_now": self._clock()})
        try:
            yield
        except Exception as error:
            await self._end(job, _kind(error))
            raise
        await self._end(job, None)

    async def all(self) -> Mapping[str, JobRun]:
        """Of each job that was ever done, by name."""
        async with self._database.system_snapshot() as connection:
            rows = (await connection.execute(select(job_runs))).all()
        return {
            row.job: JobRun(row.began_at, row.ended_at, row.succeeded_at, row.problem, row.failures) for row in rows
        }

    async def due(self) -> Mapping[str, datetime]:
        """When somebody's turn with each begins."""
        async with self._database.system_snapshot() as connection:
            return {row.job: row.next_at for row in await connection.execute(select(turns))}

    async def make_due(self, job: str) -> None:
        """It is anybody's turn with it now: done as soon as a process looks. One that goes on is not disturbed."""
        async with self._database.system_step() as connection:
            await connection.execute(_DUE_NOW, {"p_job": job, "p_now": self._clock()})

    async def _end(self, job: str, problem: str | None) -> None:
        async with self._database.system_step() as connection:
            await connection.execute(_END, {"p_job": job, "p_now": self._clock(), "p_problem": problem})


def _kind(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        kinds = sorted({_kind(each) for each in error.exceptions})
        return f"{', '.join(kinds)} ({len(error.exceptions)})"[:_LONGEST]
    return type(error).__name__[:_LONGEST]
