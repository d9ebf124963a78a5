"""Who had a CPU while something was measured, and how much memory a process has: from /proc (proc(5)).

Processes are pinned, so what a CPU did beyond what ours had was somebody else's: a figure beside it says too little.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import monotonic

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """CPU seconds so far: of each CPU, and of our processes on each of them."""

    at: float
    busy: Mapping[int, float]
    ours: Mapping[int, float]

    @classmethod
    def take(cls, pinned: Mapping[int, Iterable[int]]) -> "Snapshot":
        """``pinned``: the processes on each CPU, by id."""
        busy = parse_stat(Path("/proc/stat").read_text(encoding="ascii"))
        return cls(monotonic(), busy, {cpu: sum(map(cpu_seconds, pids)) for cpu, pids in pinned.items()})

    def foreign_since(self, before: "Snapshot") -> dict[int, float]:
        """The share of each CPU that was not ours."""
        passed = self.at - before.at
        return {
            cpu: max(0.0, (self.busy[cpu] - before.busy[cpu]) - (ours - before.ours[cpu])) / passed
            for cpu, ours in self.ours.items()
        }


def parse_stat(text: str) -> dict[int, float]:
    """Seconds that each CPU ran processes, or was taken by the hypervisor. Interrupts are nobody's."""
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, fields[:8])
            found[int(name.removeprefix("cpu"))] = (user + nice + system + steal) / _TICKS
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all threads, without children."""
    # The command's name, in parentheses, is the only field that may hold a space.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def children(pid: int) -> list[int]:
    """The processes that this one has started and that live."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]


def resident_mib(pid: int) -> float:
    """Memory that a process has at this moment."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE / 2**20


@dataclass(slots=True)
class Memory:
    """A process's memory, looked at ten times a second, in MiB."""

    samples: list[float] = field(default_factory=list)

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """For the length of the block."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(_SAMPLE_SECONDS):
                self.samples.append(resident_mib(pid))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def quarters(self) -> tuple[float, float, float, float]:
        """The median of each quarter of the time. Raises StatisticsError for fewer than four samples."""
        size = len(self.samples) / 4
        first, second, third, last = (median(self.samples[int(size * at) : int(size * (at + 1))]) for at in range(4))
        return first, second, third, last


@contextmanager
def pinned_worker(cpu: int) -> Iterator[tuple[ProcessPoolExecutor, int]]:
    """A process of its own on this CPU that runs functions for us, and its id."""
    with ProcessPoolExecutor(1, get_context("spawn"), os.sched_setaffinity, (0, {cpu})) as worker:
        yield worker, worker.submit(os.getpid).result()
