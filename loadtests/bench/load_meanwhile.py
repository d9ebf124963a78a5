"""A load at a fixed rate beside something else, for as long as that takes, and how busy the machine was."""

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

from cpu_use import parse_stat, pinned_worker
from everywhere_report import Loaded
from open_loop import Latencies, Target, at_rate

_PORTION = 5.0  # seconds


class Load:
    """Each of ``targets`` gets its part of ``rate`` requests a second from one of ``generators``."""

    def __init__(self, generators: Sequence[ProcessPoolExecutor], targets: Sequence[Target], rate: float) -> None:
        self._generators, self._targets, self._rate = generators, targets, rate
        self._rounds: list[list[Latencies]] = []
        self._failure: Exception | None = None
        self._over = Event()
        self._began = _busy()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """After this portion."""
        self._over.set()
        self._thread.join()

    def end(self) -> Loaded:
        """What it came to. Raises what a generator raised."""
        self.stop()
        if self._failure is not None:
            raise self._failure
        at, busy = _busy()
        portions = [each for one in self._rounds for each in one]
        return Loaded(
            asked=self._rate,
            rate=sum(each.rate for each in portions) / len(self._rounds),
            p99=max(each.p99 for each in portions),
            failed=sum(each.failed for each in portions),
            cpu=(busy - self._began[1]) / (at - self._began[0]) / (os.cpu_count() or 1),
        )

    def _run(self) -> None:
        each = self._rate / len(self._targets)
        try:
            while not self._over.is_set():
                pairs = zip(self._generators, self._targets, strict=True)
                running = [generator.submit(at_rate, target, each, _PORTION) for generator, target in pairs]
                self._rounds.append([one.result() for one in running])
        except Exception as failure:  # noqa: BLE001 - raised at the end, by whoever asks what it came to
            self._failure = failure


@contextmanager
def load(targets: Sequence[Target], rate: float, *, cpu: int) -> Iterator[Load]:
    """Until the end of the block, by a process for each target on that CPU."""
    with ExitStack() as stack:
        generators = [stack.enter_context(pinned_worker(cpu))[0] for _ in targets]
        running = Load(generators, targets, rate)
        try:
            yield running
        finally:
            running.stop()


def _busy() -> tuple[float, float]:
    return time.monotonic(), sum(parse_stat(Path("/proc/stat").read_text(encoding="ascii")).values())
