"""The supervisor of a pod's workers: starts them, starts the dead anew, passes on what it is told, ends when they have.

It serves nothing, has no thread, no event loop and no connection to anything, so that a worker can be forked from it at
any time. What a worker does is not its business: that is a function, which is called in the new process.

The first worker starts alone: what keeps it from starting is told once, and ends the service. The others follow when it
is ready. Once all have been, the service is up, and goes on for as long as it takes: who dies is started anew, who
hangs is killed, and what a killed one leaves behind is buried.
"""

import ctypes
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NoReturn

import click
import structlog

from gateway.cli.attention import PATIENCE, Attention
from gateway.cli.errors import BUG, REFUSED
from gateway.cli.lines import Line, Lines
from gateway.metrics import Sheets
from gateway.worker import Board, Worker

log = structlog.get_logger("yett.supervisor")

HURRY: Final = signal.SIGQUIT
"""What a worker is sent at the second signal to stop: the first one may reach it twice, from whoever stops a group."""
_STOPS = (signal.SIGTERM, signal.SIGINT)
_HEARD = (*_STOPS, HURRY, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
_EVERY = 1.0  # seconds between two looks at what nobody tells of
_LAST_WORK = 30.0  # seconds after the drain: jobs end, observations and the access log are written
_LIVED = 10.0  # seconds; who dies younger waits before it is started again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_PR_SET_CHILD_SUBREAPER = 36


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
    ``terminal_gone`` whether SIGHUP means the end. Who says nothing for ``patience`` hangs.
    """

    def __init__(
        self,
        processes: int,
        work: Callable[[Worker, Line], int],
        *,
        drain: timedelta,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
        reads_anew: Callable[[bool], bool],
        terminal_gone: Callable[[], bool],
        patience: timedelta = PATIENCE,
    ) -> None:
        self._processes = processes
        self._work = work
        self._drain = drain.total_seconds()
        self._on_ready, self._on_stop = on_ready, on_stop
        self._reads_anew, self._terminal_gone = reads_anew, terminal_gone
        self._board, self._sheets = Board(processes), Sheets(processes)
        self._attention = Attention(patience)
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._signals: list[int] = []
        self._read = 0  # how often the configuration was read anew
        self._looked_at = 0.0
        self._all_started = processes == 1
        self._served = False
        self._stopped_at: float | None = None
        self._code = 0

    def run(self) -> int:
        """Until the last worker has ended; the exit code."""
        sys.stdout.flush()
        gc.collect()
        gc.freeze()  # so that the workers go on sharing the memory of what is loaded
        self._lines = Lines()
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        _adopt_orphans()
        with self._hearing():
            self._start(0)
            while self._children or (self._due and self._stopped_at is None):
                self._wait()
                self._reap()
                self._listen()
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
        readable, _, _ = select.select([self._woken, self._lines.heard], [], [], max(0.0, min(soonest, _EVERY)))
        if self._woken in readable:
            os.read(self._woken, 4096)

    def _start(self, number: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)  # what comes meanwhile is for one of the two, not for both
        try:
            pid = os.fork()
            if pid == 0:
                self._become(number)
        except OSError as error:  # too many processes, no memory: what runs goes on
            pause = self._again(number, max(2, self._failures.get(number, 0) + 1))
            log.error("worker_not_started", worker=number, error=os.strerror(error.errno or 0), again_in=pause)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        now = time.monotonic()
        self._children[pid] = _Child(number, now, self._read)
        self._attention.hear(pid, now)

    def _again(self, number: int, failures: int) -> float:
        """Start it after a while, the longer the more failures there were in a row; how many seconds that is."""
        self._failures[number] = failures
        pause = min(_FIRST_PAUSE * 2.0 ** min(failures - 2, 16), _LONGEST_PAUSE) if failures > 1 else 0.0
        self._due[number] = time.monotonic() + pause
        return pause

    def _become(self, number: int) -> NoReturn:
        code = BUG
        try:
            signal.set_wakeup_fd(-1)
            for each in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            for each in (signal.SIGINT, HURRY, signal.SIGHUP, signal.SIGUSR1):  # Ctrl-C is the supervisor's to pass on
                signal.signal(each, signal.SIG_IGN)
            for descriptor in (self._woken, self._wake):
                os.close(descriptor)
            line = self._lines.become(number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            code = self._work(Worker(number, self._processes, self._board, self._sheets), line)
        finally:
            try:
                for stream in (sys.stdout, sys.stderr):
                    with suppress(OSError, ValueError):  # nobody reads it, or its disk is full
                        stream.flush()
            finally:
                os._exit(code)

    def _listen(self) -> None:
        now = time.monotonic()
        by_number = {child.number: pid for pid, child in self._children.items()}
        for number, ready in self._lines.hear():
            pid = by_number.get(number)
            if pid is None:
                continue  # the last word of one that has ended
            self._attention.hear(pid, now)
            child = self._children[pid]
            if ready and not child.ready:
                child.ready = True
                if child.read != self._read:  # it was told while it could not hear
                    os.kill(pid, signal.SIGHUP)
        if self._served or self._stopped_at is not None:
            return
        ready_now = sum(child.ready for child in self._children.values())
        if ready_now == self._processes:
            self._served = True
            self._on_ready()
        elif ready_now and not self._all_started:
            self._all_started = True
            for number in range(1, self._processes):
                self._start(number)

    def _reap(self) -> None:
        """All that have ended: workers, and helpers of workers that could not do it for them any more."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                self._attention.forget(pid)
                self._buried(pid, child, os.waitstatus_to_exitcode(status))

    def _buried(self, pid: int, child: _Child, code: int) -> None:
        self._board.clear(child.number)
        self._sheets.bury(child.number)
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
        pause = self._again(child.number, 0 if old else self._failures.get(child.number, 0) + 1)
        log.error("worker_died", worker=child.number, pid=pid, ended_by=how, again_in=pause)

    def _obey(self) -> None:
        while self._signals:
            match self._signals.pop(0):
                case signal.SIGTERM | signal.SIGINT:
                    self._stop() if self._stopped_at is None else self._tell(HURRY)
                case signal.SIGQUIT:
                    self._stop()
                    self._tell(HURRY)
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
            self._end_those_that_hang(now)
            self._read_anew(by_signal=False)

    def _end_those_that_hang(self, now: float) -> None:
        for pid, finding, silent in self._attention.look(now):
            told = {"worker": self._children[pid].number, "pid": pid, "seconds": round(silent)}
            if finding == "silent":
                log.warning("worker_silent", **told)
            else:
                log.error("worker_hangs", **told)
                os.kill(pid, signal.SIGKILL)  # it may be stopped, and would hear nothing else

    def _read_anew(self, *, by_signal: bool) -> None:
        try:
            changed = self._reads_anew(by_signal)
        except (OSError, RuntimeError) as error:  # no thread, no descriptor: what is served goes on
            log.error("config_not_read", error=type(error).__name__)
            return
        if changed:
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


def _adopt_orphans() -> None:
    """Become the parent of what a killed worker leaves behind. As PID 1 this process is that anyhow; in a container
    whose PID 1 is somebody else, a shell say, nobody would bury them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
