"""Runs h2load, which sends at a fixed rate over HTTP/1.1, and reads the times of all its requests.

Its own summary has no percentiles, so they are made of the log that it writes: start, status and microseconds a line.
"""

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from open_loop import percentile
from wrk import Measured

_CLIENTS = 64


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests with this token, ``rate`` a second in all, whose answers are to have ``status``."""

    token: str
    rate: float
    status: int = 200


def at_once(port: int, path: str, streams: Sequence[Stream], *, seconds: int, cpu: int, folder: Path) -> list[Measured]:
    """All streams beside each other, one h2load each, on one CPU. Raises ``ValueError`` where one fails."""
    with ExitStack() as stack:
        running = [
            (stream, log, stack.enter_context(_started(port, path, stream, seconds, cpu, log)))
            for number, stream in enumerate(streams)
            for log in [folder / f"h2load-{number}.tsv"]
        ]
        for _, _, process in running:
            _, said = process.communicate()
            if process.returncode:
                raise ValueError(f"h2load failed: {said.strip()}")
    return [parse(log.read_text(encoding="ascii"), stream, seconds) for stream, log, _ in running]


def parse(log: str, stream: Stream, seconds: float) -> Measured:
    """What h2load logged in so many seconds. Raises ``ValueError`` where that is nothing."""
    rows = [line.split("\t")[:3] for line in log.splitlines()]
    if not rows:
        raise ValueError("h2load had no answer at all")
    times = sorted(int(taken) / 1e3 for _, _, taken in rows)
    median = percentile(times, 0.5)
    return Measured(
        requests=len(rows),
        seconds=seconds,
        p50=median,
        p99=percentile(times, 0.99),
        p999=percentile(times, 0.999),
        longest=times[-1],
        slow_share=sum(time > 10 * median for time in times) / len(times),
        errors={"status": sum(int(status) != stream.status for _, status, _ in rows)},
    )


def _started(port: int, path: str, stream: Stream, seconds: int, cpu: int, log: Path) -> "subprocess.Popen[str]":
    log.unlink(missing_ok=True)
    return subprocess.Popen(
        [
            *("h2load", "--h1", "--clients", str(_CLIENTS), "--duration", str(seconds)),
            *("--rps", f"{stream.rate / _CLIENTS:.3f}", "--log-file", str(log)),
            *("--header", f"authorization: Bearer {stream.token}", f"http://127.0.0.1:{port}{path}"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),  # noqa: PLW1509 (this process has one thread)
    )
