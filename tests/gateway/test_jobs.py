"""Jobs: each at its own pace, none ends by a failure, all end at the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from gateway.jobs import Job, Jobs


class Pauses:
    """A sleep that passes at once and remembers how long it would have been; after ``limit`` of them it holds."""

    def __init__(self, limit: int) -> None:
        self.taken: list[float] = []
        self.reached = asyncio.Event()
        self._limit = limit

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)
        if len(self.taken) >= self._limit:
            self.reached.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


@asynccontextmanager
async def running(pauses: Pauses, *jobs: Job) -> AsyncIterator[Jobs]:
    running = Jobs(list(jobs), sleep=pauses)
    running.start()
    try:
        await pauses.reached.wait()
        yield running
    finally:
        await running.stop()


def results(*outcomes: object) -> Callable[[], Awaitable[object]]:
    """One outcome after the other, an exception is raised; the last goes on."""
    left = list(outcomes)

    async def run() -> object:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return run


async def test_a_job_rests_for_its_interval() -> None:
    pauses = Pauses(3)
    async with running(pauses, Job("a", 0.2, results(None))):
        assert pauses.taken == [0.2, 0.2, 0.2]


async def test_a_job_with_more_to_do_goes_on_at_once() -> None:
    pauses = Pauses(3)
    async with running(pauses, Job("a", 0.2, results(1000, 3, 0))):
        assert pauses.taken == [0, 0, 0.2]


async def test_a_job_that_fails_is_logged_once_retried_ever_later_and_its_recovery_logged() -> None:
    pauses = Pauses(8)
    failures = [ConnectionError("away")] * 6
    with capture_logs() as lines:
        async with running(pauses, Job("feed", 0.2, results(*failures, None))):
            pass

    assert pauses.taken == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.2]
    assert [(line["event"], line["job"]) for line in lines] == [("job_failed", "feed"), ("job_recovered", "feed")]
    assert lines[1]["failures"] == 6


async def test_a_job_that_fails_is_not_run_more_often_than_one_that_does_not() -> None:
    pauses = Pauses(3)
    with capture_logs():
        async with running(pauses, Job("pruning", 30, results(ConnectionError("away")))):
            pass

    assert pauses.taken == [30, 30, 30]


async def test_another_kind_of_failure_is_logged_too() -> None:
    pauses = Pauses(4)
    with capture_logs() as lines:
        async with running(pauses, Job("a", 1, results(ConnectionError(), ValueError(), ValueError(), None))):
            pass

    assert [line["event"] for line in lines] == ["job_failed", "job_failed", "job_recovered"]


async def test_a_job_outlives_a_database_that_is_away_for_days() -> None:
    pauses = Pauses(3000)
    with capture_logs():
        async with running(pauses, Job("feed", 0.2, results(*[ConnectionError()] * 2000, None))):
            pass

    assert pauses.taken[1999:2001] == [5.0, 0.2]


async def test_one_jobs_failure_is_not_anothers() -> None:
    pauses = Pauses(6)
    count = 0

    async def well() -> None:
        nonlocal count
        count += 1

    with capture_logs():
        async with running(pauses, Job("ill", 1, results(ValueError())), Job("well", 1, well)):
            pass

    assert count >= 3


async def test_the_end_lets_a_run_come_to_its_end() -> None:
    """A commit that is cut off would be taken for none, and what it wrote be written again."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    ended = False

    async def run() -> None:
        nonlocal ended
        begun.set()
        await go_on.wait()
        ended = True

    jobs = Jobs([Job("observations", 1, run)])
    jobs.start()
    await begun.wait()
    stopping = asyncio.create_task(jobs.stop())
    await asyncio.sleep(0)
    go_on.set()
    await stopping

    assert ended


async def test_a_run_that_goes_on_for_long_is_told_of_the_end() -> None:
    begun, told = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        begun.set()
        await told.wait()

    jobs = Jobs([Job("logouts", 1, run, told.set)])
    jobs.start()
    await begun.wait()
    await jobs.stop()

    assert told.is_set()


async def test_the_end_does_not_wait_for_ever() -> None:
    begun = asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    jobs = Jobs([Job("stuck", 1, run)], last_run=0.0)
    jobs.start()
    await begun.wait()
    await jobs.stop()

    assert [task for task in asyncio.all_tasks() if task.get_name() == "job stuck"] == []


async def test_a_job_that_fails_while_it_is_stopped_is_logged_and_stops() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        begun.set()
        await go_on.wait()
        raise ConnectionError

    jobs = Jobs([Job("observations", 1000, run)])
    jobs.start()
    await begun.wait()
    with capture_logs() as lines:
        stopping = asyncio.create_task(jobs.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stopping

    assert [line["event"] for line in lines] == ["job_failed"]


@pytest.mark.parametrize("count", [0, 2])
async def test_jobs_that_rest_end_at_once(count: int) -> None:
    jobs = Jobs([Job(f"a{number}", 3600, results(None)) for number in range(count)])
    jobs.start()
    for _ in range(3):
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await jobs.stop()


async def test_a_run_that_writes_nothing_is_not_waited_for() -> None:
    begun = asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    jobs = Jobs([Job("names", 1, run, cut_off=True)], last_run=3600)
    jobs.start()
    await begun.wait()
    async with asyncio.timeout(1):
        await jobs.stop()
