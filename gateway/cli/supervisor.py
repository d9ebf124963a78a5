"""The supervisor of a pod's workers: starts them, starts the dead anew, passes on what it is told, ends when they have.

It serves nothing, has no thread, no event loop and no connection to anything, so that a worker can be forked from it at
any time. What a worker does is not its business: that is a function, which is called in the new process.

The first worker starts alone: what keeps it from starting is told once, and ends the service. The others follow when it
is ready. Once all have been, the service is up, and goes on for as long as it takes: who dies is started anew.
"""

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

import click
import structlog

from gateway.cli.errors import BUG, REFUSED
from gateway.metrics import Sheets
from gateway.worker import Board, Worker

log = structlog.get_logger("yett.supervisor")

HURRY: Final = signal.SIGQUIT
"""What a worker is sent at the second signal to stop: the first one may reach it twice, from whoever stops a group."""
_STOPS = (signal.SIGTERM, signal.SIGINT)
_HEARD = (*_STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
_EVERY = 1.0  # seconds between two looks at what nobody tells of
_LAST_WORK = 30.0  # seconds after the drain: jobs end, observations and the access log are written
_LIVED = 10.0  # seconds; who dies younger waits before it is started again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Lines:
    """A worker's two to its supervisor: ``ready`` takes its number, ``alive`` ends when the supervisor does."""

    ready: int
    alive: int


@dataclass(slots=True)
class _Child:
    number: int
    started: float
    read: int
    ready: bool = False


class Supervisor:
    """``work`` is called in each new process, and answers its exit code. ``on_ready`` when all are ready for the first
    time, ``on_stop`` when the end begins: whatever the supervisor itself holds open has to be closed then.

    ``reads_anew(by_signal)`` says whether the workers should read the configuration: at SIGHUP, and every second.
    ``terminal_gone`` whether SIGHUP means the end.
    """

    def __init__(
        self,
        processes: int,
        work: Callable[[Worker, Lines], int],
        *,
        drain: timedelta,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
        reads_anew: Callable[[bool], bool],
        terminal_gone: Callable[[], bool],
    ) -> None:
        self._processes = processes
        self._work = work
        self._drain = drain.total_seconds()
        self._on_ready, self._on_stop = on_ready, on_stop
        self._reads_anew, self._terminal_gone = reads_anew, terminal_gone
        self._board = Board(processes)
        self._sheets = Sheets(processes)
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._signals: list[int] = []
        self._read = 0  # how often the configuration was read anew
        self._looked_at = 0.0
        self._served = False
        self._stopped_at: float | None = None
        self._code = 0

    def run(self) -> int:
        """Until the last worker has ended; the exit code."""
        sys.stdout.flush()
        gc.collect()
        gc.freeze()  # so that the workers go on sharing the memory of what is loaded
        self._ready, self._tell_ready = os.pipe()
        self._alive, self._live = os.pipe()
        self._woken, self._wake = os.pipe()
        for descriptor in (self._ready, self._woken, self._wake):
            os.set_blocking(descriptor, False)
        with self._hearing():
            self._start(0)
            while self._children or (self._due and self._stopped_at is None):
                self._wait()
                self._reap()
                self._greet()
                self._obey()
                self._look_after()
        return self._code

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        def hear(number: int, _frame: object) -> None:
            self._signals.append(number)

        former = {number: signal.signal(number, hear) for number in _HEARD}
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in former.items():
                signal.signal(number, handler)

    def _wait(self) -> None:
        soonest = min((at - time.monotonic() for at in self._due.values()), default=_EVERY)
        readable, _, _ = select.select([self._woken, self._ready], [], [], max(0.0, min(soonest, _EVERY)))
        if self._woken in readable:
            os.read(self._woken, 4096)

    def _start(self, number: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # what comes meanwhile is for one of the two, not for both
        try:
            pid = os.fork()
            if pid == 0:
                self._become(number)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        self._children[pid] = _Child(number, time.monotonic(), self._read)

    def _become(self, number: int) -> NoReturn:
        code = BUG
        try:
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            for each in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):  # Ctrl-C is the supervisor's to pass on
                signal.signal(each, signal.SIG_IGN)
            for descriptor in (self._ready, self._live, self._woken, self._wake):
                os.close(descriptor)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            worker = Worker(number, self._processes, self._board, self._sheets)
            code = self._work(worker, Lines(self._tell_ready, self._alive))
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)

    def _greet(self) -> None:
        try:
            numbers = os.read(self._ready, 4096)
        except BlockingIOError:
            return
        for pid, child in self._children.items():
            if child.number in numbers and not child.ready:
                child.ready = True
                if child.read != self._read:  # it was told while it could not hear
                    os.kill(pid, signal.SIGHUP)
        if self._served or self._stopped_at is not None:
            return
        ready = sum(child.ready for child in self._children.values())
        if ready == len(self._children) == 1 < self._processes:
            for number in range(1, self._processes):
                self._start(number)
        elif ready == self._processes:
            self._served = True
            self._on_ready()

    def _reap(self) -> None:
        for pid in tuple(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._buried(pid, self._children.pop(pid), os.waitstatus_to_exitcode(status))

    def _buried(self, pid: int, child: _Child, code: int) -> None:
        self._board.clear(child.number)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self._stopped_at is not None:
            if code not in (0, -signal.SIGTERM):
                log.error("worker_failed", worker=child.number, pid=pid, ended_by=how)
                self._code = self._code or BUG
            return
        if not self._served:
            sentence = f"worker {child.number} has ended before the service was up ({how}), so it does not start"
            click.echo(f"yett: {sentence}.", err=True)
            self._code = code if code > 0 else REFUSED
            self._stop()
            return
        old = child.ready and time.monotonic() - child.started >= _LIVED
        failures = self._failures[child.number] = 0 if old else self._failures.get(child.number, 0) + 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures - 2, 16), _LONGEST_PAUSE) if failures > 1 else 0.0
        self._due[child.number] = time.monotonic() + pause
        log.error("worker_died", worker=child.number, pid=pid, ended_by=how, again_in=pause)

    def _obey(self) -> None:
        while self._signals:
            match self._signals.pop(0):
                case signal.SIGTERM | signal.SIGINT:
                    self._stop() if self._stopped_at is None else self._tell(HURRY)
                case signal.SIGHUP if self._terminal_gone():
                    self._stop()
                case signal.SIGHUP if self._stopped_at is None:
                    self._read_anew(by_signal=True)
                case signal.SIGUSR1:
                    self._tell(signal.SIGUSR1)

    def _look_after(self) -> None:
        now = time.monotonic()
        if self._stopped_at is not None:
            if self._children and now - self._stopped_at > self._drain + _LAST_WORK:
                log.error("workers_killed", pids=list(self._children))
                self._code = BUG
                self._tell(signal.SIGKILL)
            return
        for number in [number for number, at in self._due.items() if at <= now]:
            del self._due[number]
            self._start(number)
        if now - self._looked_at >= _EVERY:
            self._looked_at = now
            self._read_anew(by_signal=False)

    def _read_anew(self, *, by_signal: bool) -> None:
        if self._reads_anew(by_signal):
            self._read += 1
            self._tell(signal.SIGHUP)

    def _stop(self) -> None:
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._due.clear()  # nobody is started anew
            self._on_stop()
        self._tell(signal.SIGTERM)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._children:
            os.kill(pid, number)  # none is gone: whoever ended is a zombie until it is reaped
