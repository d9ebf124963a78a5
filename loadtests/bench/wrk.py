"""Runs wrk against one peer and reads what ``wrk.lua`` reports.

wrk corrects its latencies for coordinated omission: a stall also counts for the requests that it kept from being sent.
So the share of slow requests is that of a client that does not wait politely, and not lower than what was answered.
"""

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from processes import Running

_MARK = "bench-result "
_ERRORS = ("connect", "read", "write", "status", "timeout")
_SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What every peer gets: keep-alive connections that ask again as soon as they are answered."""

    connections: int
    seconds: int
    cpu: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One run against one peer. Times are milliseconds, ``core`` and ``generator`` the shares of a CPU that the peer's
    process had and wrk.
    """

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    longest: float
    slow_share: float
    errors: dict[str, int]
    core: float = 0.0
    generator: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def failed(self) -> int:
        """Requests without a 2xx or 3xx answer, and connections that broke."""
        return sum(self.errors.values())


def parse(output: str) -> Measured:
    """Read the line of ``wrk.lua``. Raises ``ValueError`` where there is none."""
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if len(lines) != 1:
        raise ValueError(f"wrk reported nothing that can be read:\n{output}")
    named = dict(pair.split("=") for pair in lines[0].removeprefix(_MARK).split())
    numbers = {name: int(value) for name, value in named.items()}
    if not numbers["requests"]:
        raise ValueError(f"wrk had no answer at all:\n{output}")
    return Measured(
        requests=numbers["requests"],
        seconds=numbers["duration_us"] / 1e6,
        p50=numbers["p50_us"] / 1e3,
        p99=numbers["p99_us"] / 1e3,
        p999=numbers["p999_us"] / 1e3,
        longest=numbers["max_us"] / 1e3,
        slow_share=numbers["slow"] / numbers["samples"],
        errors={name: numbers[name] for name in _ERRORS},
    )


def measure(peer: Running, path: str, token: str, load: Load) -> Measured:
    """Put load on the peer, and see how much of its CPU it had meanwhile. Raises ``ValueError`` when wrk fails."""
    return run(peer, path, load, options=["-s", str(_SCRIPT), "-H", f"Authorization: Bearer {token}"])[0]


def run(
    peer: Running, path: str, load: Load, *, options: Sequence[str], arguments: Sequence[str] = ()
) -> tuple[Measured, str]:
    """As ``measure``, with a script that ends as ``wrk.lua`` does and its ``arguments``; also all that was printed."""
    command = [
        *("wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", *options),
        *(f"http://127.0.0.1:{peer.port}{path}", "--", *arguments),
    ]
    cpu, own, started = peer.cpu_seconds(), _children_seconds(), time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {load.cpu}),
    )
    passed = time.monotonic() - started
    core, generator = (peer.cpu_seconds() - cpu) / passed, (_children_seconds() - own) / passed
    if done.returncode:
        raise ValueError(f"wrk failed: {done.stderr.strip()}")
    return replace(parse(done.stdout), core=core, generator=generator), done.stdout


def _children_seconds() -> float:
    """CPU time of the processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
