"""The queue in front of the hashing processes: bounded, failing over, never answering twice.

Owns which job goes to which process, and the replacement of processes that die. Not what is hashed, nor at which cost
(hashing.py).
"""

import asyncio
import itertools
import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any, Protocol

from tenants.argon2_hash import Cost
from tenants.hashing_process import Helper, HelperDied
from tenants.hashing_worker import Frame

_JOB_SECONDS = 30.0
_MAX_TRIES = 2
_MAX_RETRY_AFTER = 60
_FIRST_GUESS = 0.05
_FAILED_STARTS = 3
_MAX_BACKOFF = 5.0
_AT_HAND = 2
"""Jobs that a helper is given: what it works on, and what it goes on with. It would else have nothing to do from each
answer until the event loop has read it, which beside a busy proxied path is a good part of a hash."""


class HashingUnavailable(Exception):
    """No answer, through no fault of the password. ``retry_after`` is in seconds; the HTTP answer is 503."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(HashingUnavailable):
    """More passwords are waiting than may wait."""


class Log(Protocol):
    """Where events go."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log an event."""


@dataclass(slots=True, eq=False)
class _Job:
    frame: Frame
    answer: "asyncio.Future[Frame]"
    tries: int = 0
    asked_at: float = 0.0


class HashingQueue:
    """``helpers`` processes, and at most ``limit`` jobs that wait for one. One ``start()``, one ``stop()``."""

    def __init__(self, cost: Cost, *, helpers: int, limit: int, log: Log) -> None:
        self._cost, self._wanted, self._limit, self._log = cost, helpers, limit, log
        self._numbers = itertools.count(1)
        self._waiting: OrderedDict[int, _Job] = OrderedDict()
        self._jobs: dict[Helper, deque[_Job]] = {}  # of each helper, the one that it works on first
        self._replacing: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._started = False
        self._failures = 0
        self._seconds = _FIRST_GUESS

    @property
    def waiting(self) -> int:
        """Jobs that nobody works on yet."""
        return len(self._waiting) + sum(max(0, len(jobs) - 1) for jobs in self._jobs.values())

    @property
    def has_room(self) -> bool:
        """Whether a job that came now would not be refused for want of room."""
        return self.waiting < self._limit or any(not jobs for jobs in self._jobs.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """The living helpers."""
        return tuple(helper.pid for helper in self._jobs)

    async def start(self) -> None:
        """Start the helpers; returns when all are ready. Raises OSError, HelperDied or TimeoutError, and leaves none
        behind then.
        """
        starts = [asyncio.ensure_future(Helper.start(self._cost, self)) for _ in range(self._wanted)]
        try:
            for start in starts:
                self._adopt(await start)
        except BaseException:
            self._stopped.set()
            for start in starts:
                start.cancel()
            for done in await asyncio.gather(*starts, return_exceptions=True):
                if isinstance(done, Helper):
                    await done.end(at_once=True)
            await self.stop()
            raise
        self._started = True

    async def stop(self) -> None:
        """End and reap the helpers. Who still waits gets HashingUnavailable."""
        self._stopped.set()
        left = [*self._waiting.values(), *itertools.chain.from_iterable(self._jobs.values())]
        self._waiting.clear()
        for job in left:
            _fail(job, HashingUnavailable("password hashing has stopped"))
        await asyncio.gather(*(helper.end() for helper in list(self._jobs)), *self._replacing)

    async def run(self, kind: int, body: bytes) -> Frame:
        """A process's answer. Raises QueueFull at once where the queue is full, HashingUnavailable where no process can
        do it.
        """
        if not self._started or self._stopped.is_set():
            raise HashingUnavailable("password hashing is not running")
        if not self.has_room:
            raise QueueFull("too many passwords wait to be hashed", retry_after=self._retry_after())
        number = next(self._numbers)
        job = _Job(Frame(number, kind, body), asyncio.get_running_loop().create_future())
        self._waiting[number] = job
        self._dispatch()
        try:
            return await job.answer
        finally:
            # A waiter that went away leaves the queue, and its password is not hashed, where no helper has it yet.
            self._waiting.pop(number, None)

    def _dispatch(self) -> None:
        while self._waiting and (helper := self._next_helper()) is not None:
            _, job = self._waiting.popitem(last=False)
            if job.answer.done():
                continue
            job.tries += 1
            job.asked_at = asyncio.get_running_loop().time()
            self._jobs[helper].append(job)
            helper.ask(job.frame, within=_JOB_SECONDS)

    def _next_helper(self) -> Helper | None:
        """The living helper with the least to do, None where all have enough. A dead one is replaced by ``gone``."""
        free = [helper for helper, jobs in self._jobs.items() if len(jobs) < _AT_HAND and helper.alive]
        return min(free, key=lambda helper: len(self._jobs[helper]), default=None)

    def _adopt(self, helper: Helper) -> None:
        if not helper.alive:
            return  # it died before we came to it, and gone() has seen to its replacement
        self._jobs[helper] = deque()
        self._dispatch()

    def answered(self, helper: Helper, frame: Frame) -> None:
        """A helper's answer (called by Helper)."""
        jobs = self._jobs.get(helper)
        if not jobs or jobs[0].frame.job != frame.job:
            helper.kill()
            return
        job = jobs.popleft()
        now = asyncio.get_running_loop().time()
        self._failures = 0
        self._seconds += (now - job.asked_at - self._seconds) / 8
        if jobs:
            jobs[0].asked_at = now
            helper.expect(within=_JOB_SECONDS)
        if not job.answer.done():
            job.answer.set_result(frame)
        self._dispatch()

    def gone(self, helper: Helper) -> None:
        """A helper has died (called by Helper): its jobs go to another, the one that it was working on only once, and a
        new helper takes its place.
        """
        jobs = self._jobs.pop(helper, deque())
        if self._stopped.is_set():
            return
        self._failures += 1
        for job in reversed(jobs):  # each goes to the front
            if job is not jobs[0]:
                job.tries -= 1
            if not job.answer.done():
                self._again(job)
        task = asyncio.get_running_loop().create_task(self._replace(helper))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    def _again(self, job: _Job) -> None:
        if job.tries >= _MAX_TRIES:
            _fail(job, HashingUnavailable("two helpers died over this password"))
            return
        self._waiting[job.frame.job] = job
        self._waiting.move_to_end(job.frame.job, last=False)
        self._dispatch()

    async def _replace(self, dead: Helper) -> None:
        await dead.end(at_once=True)
        self._log.warning("hashing_helper_died", pid=dead.pid, exit_status=dead.exit_status)
        while not self._stopped.is_set():
            if await self._stopped_within(_backoff(self._failures)):
                return
            try:
                helper = await Helper.start(self._cost, self)
            except (OSError, HelperDied, TimeoutError) as error:
                self._failures += 1
                self._log.warning("hashing_helper_not_started", error=type(error).__name__)
                self._give_up_waiting()
                continue
            if self._stopped.is_set():
                await helper.end(at_once=True)
            else:
                self._adopt(helper)
            return

    def _give_up_waiting(self) -> None:
        """Nobody is left to do the work and nobody can be started: who waits should not wait for ever."""
        if self._jobs or self._failures < _FAILED_STARTS:
            return
        for job in self._waiting.values():
            _fail(job, HashingUnavailable("no helper can be started", retry_after=math.ceil(_MAX_BACKOFF)))
        self._waiting.clear()

    async def _stopped_within(self, seconds: float) -> bool:
        if seconds > 0:
            try:
                await asyncio.wait_for(self._stopped.wait(), seconds)
            except TimeoutError:
                return False
        return self._stopped.is_set()

    def _retry_after(self) -> int:
        """Seconds until who waits now is served, at the rate measured."""
        ahead = self.waiting + self._wanted
        return min(_MAX_RETRY_AFTER, max(1, math.ceil(ahead * self._seconds / max(1, len(self._jobs)))))


def _fail(job: _Job, error: HashingUnavailable) -> None:
    if not job.answer.done():
        job.answer.set_exception(error)


def _backoff(failures: int) -> float:
    """The first replacement comes at once, the next ones later and later; an answered job starts over."""
    return 0.0 if failures <= 1 else min(_MAX_BACKOFF, 0.1 * 2.0 ** min(failures - 2, 16))
