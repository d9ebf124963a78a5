"""What a process does beside answering: each job at its own interval, its failures logged and tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

_log = structlog.get_logger("yett.jobs")
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """``run`` is awaited every ``interval`` seconds. A truthy result asks for the next run at once: there is more."""

    name: str
    interval: float
    run: Callable[[], Awaitable[object]]


class Jobs:
    """Runs its jobs from ``start`` to ``stop``. A job that fails is logged once per kind of failure, and retried."""

    def __init__(self, jobs: list[Job], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._jobs = jobs
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin. The loop must be running."""
        self._tasks = [asyncio.create_task(self._repeat(job), name=f"job {job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """End all of them, wherever they are; a transaction in flight rolls back."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        self._tasks = []

    async def _repeat(self, job: Job) -> None:
        failures = 0
        last_failure = ""
        while True:
            try:
                more = await job.run()
            except Exception as error:  # noqa: BLE001 - a job must outlive a database that is away; it says so
                failures += 1
                if (kind := type(error).__name__) != last_failure:
                    last_failure = kind
                    _log.exception("job_failed", job=job.name)
                await self._sleep(min(job.interval * 2**failures, _LONGEST_PAUSE))
                continue
            if failures:
                _log.info("job_recovered", job=job.name, failures=failures)
            failures, last_failure = 0, ""
            await self._sleep(0 if more else job.interval)
