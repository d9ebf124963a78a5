"""Processes that a benchmark starts: pinned to a CPU, waited for, asked for their CPU time, stopped by their pid."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class DidNotStart(Exception):
    """A process ended, or did not answer in time. Its text is for the person who runs the benchmark."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that serves HTTP on a loopback port. ``helped_by`` are those on the same CPU that it needs for it."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    helped_by: tuple["Running", ...] = ()

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, all threads, without children; and of those that help."""
        # proc(5): the command's name, in parentheses, is the only field that may hold a space.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        own = (int(fields[11]) + int(fields[12])) / _TICKS
        return own + sum(each.cpu_seconds() for each in self.helped_by)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    *,
    cpu: int | None,
    port: int,
    log: Path,
    ready: tuple[int, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run ``command`` until the block ends, on one CPU or (None) on all; what it prints goes to ``log``.

    It counts as started when it accepts on ``port`` or, with ``ready``, when that port answers 200 at that path.
    Raises ``DidNotStart``.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ) if environ is not None else None,
            preexec_fn=None if cpu is None else partial(os.sched_setaffinity, 0, {cpu}),  # noqa: PLW1509 (one thread)
        )
    try:
        _wait_until_ready(name, process, port, ready, log)
        yield Running(name, process, port)
    finally:
        _stop(process)


def _wait_until_ready(
    name: str, process: subprocess.Popen[bytes], port: int, ready: tuple[int, str] | None, log: Path
) -> None:
    give_up = time.monotonic() + _START_TIMEOUT
    while not (_answers_200(*ready) if ready else _accepts(port)):
        if process.poll() is not None or time.monotonic() > give_up:
            tail = log.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
            raise DidNotStart(f"{name} did not start:\n{tail}")
        time.sleep(0.05)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers_200(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
