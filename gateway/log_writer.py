"""Lines for a file, written by a thread: whoever has one to write hands over a record and goes on.

The thread renders and writes a few records at a time, so that it holds the interpreter for a tenth of a millisecond
and no longer; a disk that is slow or full holds up nobody else. What waits is bounded: beyond that records are
dropped, counted, and told of in the file itself and in the service's log. The file can be opened anew (logrotate) and
be another one from some moment on. Several processes may write to one file, or to one pipe: no line is torn there,
unless it is longer than a pipe takes at once. Owns no format.
"""

import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from select import PIPE_BUF
from typing import Any, Final

import structlog

MOST_WAITING: Final = 8_192
_AT_ONCE: Final = 8  # a line is some 15 microseconds, in which the interpreter is the thread's
_GATHER: Final = (
    0.01  # seconds that records wait for company; beside what 50 ms gather, the event loop stands for 2 to 4
)
_TELL_EVERY: Final = 10.0  # seconds
_TELL_EACH: Final = 10_000  # records
_MODE: Final = 0o640

log = structlog.get_logger("yett.access_log")

Record = Any


class LogWriter:
    """``render`` makes a line of a record; ``gap`` of the number of those that were dropped. Both with a line end.

    ``waiting`` bounds what is in memory.
    """

    def __init__(
        self,
        render: Callable[[Record], bytes],
        gap: Callable[[int], bytes],
        *,
        waiting: int = MOST_WAITING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._render = render
        self._gap = gap
        self._records: deque[Record] = deque()
        self._most = waiting
        self._clock = clock
        self._turned_away = 0  # counted by whoever hands over, and the next by the thread
        self._failed = 0
        self._told = 0  # of both, in the file
        self._logged_at = -_TELL_EVERY
        self._descriptor: int | None = None
        self._pipe = False
        self._next: int | None = None
        self._handing_over = threading.Lock()
        self._torn = False
        self._work = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, record: Record) -> None:
        """Hand over. Never blocks and never raises."""
        records = self._records
        if len(records) >= self._most:
            if self._turned_away % _TELL_EACH == 0:  # here, since a thread that hangs tells nothing
                log.error("access_log_full", dropped=self.dropped + 1)
            self._turned_away += 1
            return
        records.append(record)
        if len(records) == 1:
            self._work.set()

    @property
    def dropped(self) -> int:
        """How many records were never written."""
        return self._turned_away + self._failed

    def write_to(self, descriptor: int) -> None:
        """From now on to this one, which is taken over; the former one is closed when it is not used any more."""
        with self._handing_over:
            unused, self._next = self._next, descriptor
        if unused is not None:
            _close(unused)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
            self._thread.start()
        self._work.set()

    def close(self, within: float) -> None:
        """Write what waits, for at most so many seconds, and end."""
        if self._thread is not None:
            self._ended.set()
            self._work.set()
            self._thread.join(within)
            if self._thread.is_alive():
                log.error("access_log_lost", records=len(self._records))
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._work.wait()
                self._ended.wait(_GATHER)
                self._work.clear()
                self.flush()
            self.flush()
        finally:
            for descriptor in (self._descriptor, self._next):
                if descriptor is not None:
                    _close(descriptor)

    def flush(self) -> None:
        """Write what is there. The thread's; public for tests of what it does."""
        with self._handing_over:
            following, self._next = self._next, None
        if following is not None:
            before, self._descriptor = self._descriptor, following
            self._torn, self._pipe = False, not stat.S_ISREG(os.fstat(following).st_mode)
            if before is not None:
                _close(before)
        records = self._records
        while records:
            lines = [self._line(records.popleft()) for _ in range(min(_AT_ONCE, len(records)))]
            for together in _at_once(lines) if self._pipe else (lines,):
                self._write(b"".join(together), sum(map(bool, together)))
        if self.dropped > self._told:
            count = self.dropped - self._told
            if self._write(self._gap(count), 0):
                self._told += count

    def _line(self, record: Record) -> bytes:
        try:
            return self._render(record)
        except Exception:
            log.exception("access_log_line_failed")  # a bug, and no reason to end the log
            self._failed += 1
            return b""

    def _write(self, data: bytes, count: int) -> bool:
        """``count`` are the records in it; those that were not written whole have failed."""
        if self._descriptor is None:
            return False
        if self._torn:
            data = b"\n" + data  # half a line that failed must not spoil a whole one
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            done = len(data) - len(rest)
            whole = data.count(b"\n", self._torn, done)
            if done:
                self._torn = not data.endswith(b"\n", 0, done)
            self._failed += count and count - whole
            now = self._clock()
            if now - self._logged_at >= _TELL_EVERY:
                self._logged_at = now
                reason = error.strerror or type(error).__name__
                log.error("access_log_failed", error=reason, dropped=self.dropped)
            return False
        self._torn = False
        return True


def _at_once(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many together as go into a pipe in one piece, between those of other processes (pipe(7))."""
    together: list[bytes] = []
    size = 0
    for line in lines:
        if together and size + len(line) > PIPE_BUF:
            yield together
            together, size = [], 0
        together.append(line)
        size += len(line)
    yield together


def _close(descriptor: int) -> None:
    """What was written before may fail only now, as on a network file system: told, and no reason to end the log."""
    try:
        os.close(descriptor)
    except OSError as error:
        log.error("access_log_failed", error=error.strerror or type(error).__name__)


def opened(path: Path) -> int:
    """A descriptor that appends to this file, made where it is not there. Raises ``OSError``.

    A pipe that nobody reads is refused and not waited for.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, _MODE)
    os.set_blocking(descriptor, True)
    return descriptor
