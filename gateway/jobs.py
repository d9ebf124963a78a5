"""What a process does beside answering: each job at its own interval, its failures logged and tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

_log = structlog.get_logger("yett.jobs")
_LONGEST_PAUSE = 5.0
_MAX_DOUBLINGS = 16  # a database may be away for days: two to the power of all its failures is no number to pause by
_LONGEST_LAST_RUN = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """``run`` is awaited every ``interval`` seconds. A truthy result asks for the next run at once: there is more.
    ``stop`` tells a run that may go on for long to come to its end. ``cut_off``: a run writes nothing, so the end of
    the process need not wait for it.
    """

    name: str
    interval: float
    run: Callable[[], Awaitable[object]]
    stop: Callable[[], None] | None = None
    cut_off: bool = False


class Jobs:
    """Runs its jobs from ``start`` to ``stop``. A job that fails is logged once per kind of failure, and retried."""

    def __init__(
        self,
        jobs: list[Job],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        last_run: float = _LONGEST_LAST_RUN,
    ) -> None:
        self._jobs = jobs
        self._sleep = sleep
        self._last_run = last_run
        self._tasks: list[asyncio.Task[None]] = []
        self._resting: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self) -> None:
        """Begin. The loop must be running."""
        self._stopping = False
        self._tasks = [asyncio.create_task(self._repeat(job), name=f"job {job.name}") for job in self._jobs]

    async def stop(self) -> None:
        """End all of them: who rests at once, who runs after this run, or after ``last_run`` seconds of it.

        A run is not cut off at its commit: what was written would then be taken for not written, and written again.
        """
        self._stopping = True
        for job in self._jobs:
            if job.stop is not None:
                job.stop()
        for task in self._resting:
            task.cancel()
        for job, task in zip(self._jobs, self._tasks, strict=False):  # none, where it was not started
            if job.cut_off:
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._last_run)
            for task in late:
                task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        self._tasks = []

    async def _repeat(self, job: Job) -> None:
        failures = 0
        last_failure = ""
        while not self._stopping:
            try:
                more = await job.run()
            except Exception as error:  # noqa: BLE001 - a job must outlive a database that is away; it says so
                failures += 1
                if (kind := type(error).__name__) != last_failure:
                    last_failure = kind
                    _log.exception("job_failed", job=job.name)
                pause = min(job.interval * 2.0 ** min(failures, _MAX_DOUBLINGS), _LONGEST_PAUSE)
                await self._rest(max(pause, job.interval))
                continue
            if failures:
                _log.info("job_recovered", job=job.name, failures=failures)
            failures, last_failure = 0, ""
            await self._rest(0 if more else job.interval)

    async def _rest(self, seconds: float) -> None:
        task = asyncio.current_task()
        if self._stopping or task is None:
            return
        self._resting.add(task)
        try:
            await self._sleep(seconds)
        finally:
            self._resting.discard(task)
