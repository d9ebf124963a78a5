"""Runs wrk against one peer and reads what ``wrk.lua`` reports.

wrk corrects its latencies for coordinated omission: a stall also counts for the requests that it kept from being sent.
So the share of slow requests is that of a client that does not wait politely, and not lower than what was answered.
"""

import os
import subprocess
import time
from dataclasses import dataclass
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
    """One run against one peer. Times are milliseconds, ``core`` the share of a CPU that the peer's process had."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p995: float
    longest: float
    slow_share: float
    errors: dict[str, int]
    core: float = 0.0

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
        p995=numbers["p995_us"] / 1e3,
        longest=numbers["max_us"] / 1e3,
        slow_share=numbers["slow"] / numbers["samples"],
        errors={name: numbers[name] for name in _ERRORS},
    )


def measure(peer: Running, path: str, token: str, load: Load) -> Measured:
    """Put load on the peer, and see how much of its CPU it had meanwhile. Raises ``ValueError`` when wrk fails."""
    command = [
        *("wrk", "-t1", f"-c{load.connections}", f"-d{load.seconds}s", "-s", str(_SCRIPT)),
        *("-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{peer.port}{path}"),
    ]
    cpu, started = peer.cpu_seconds(), time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {load.cpu}),
    )
    core = (peer.cpu_seconds() - cpu) / (time.monotonic() - started)
    if done.returncode:
        raise ValueError(f"wrk failed: {done.stderr.strip()}")
    found = parse(done.stdout)
    return Measured(**{name: getattr(found, name) for name in found.__slots__ if name != "core"}, core=core)
