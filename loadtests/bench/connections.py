"""What thousands of connections that stay cost one process: its memory, and the time of everybody else's requests.

10,000 idle keep-alive connections, 1,000 WebSockets and 1,000 event streams at once, then 1,000 clients that never
finish a request's head; a load at a fixed rate is measured before and beside each. docs/benchmarks.md says what the
figures mean. Exit codes: 0 the bars are reached; 1 one is not, or something failed; 2 there are too few descriptors.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import table
from conditions import conditions
from crowd import Crowd
from keep_alive import Broken, request
from open_loop import Latencies, Target, at_rate, saturate
from processes import DidNotStart, free_port, running
from yett_peer import PATH, Yett, yett

_FOLDER = Path(__file__).parent
_SPARE = 1000  # descriptors of a process beside those of the crowd
_MIB = 1024 * 1024
_ROUTES = """\
  - {name: ws, match: {path: /ws}, require: {scopes: ["orders:read"]}, upstream: orders, websocket: true}
  - {name: events, match: {path: /events, methods: [GET]}, require: {scopes: ["orders:read"]}, upstream: orders}
"""
_COLUMNS = ("beside", "connections", "memory MiB", "req/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "failed")


@dataclass(frozen=True, slots=True)
class Case:
    """What was measured beside a crowd, and what the crowd saw. ``memory`` is resident, in bytes."""

    name: str
    connections: int
    memory: int
    latencies: Latencies
    crowd: dict[str, Any]


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    streams = options.websockets + options.events
    needed = options.idle + 2 * streams + options.slow + _SPARE
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        print(
            f"A process may have {hard:,} file descriptors here, and the gateway needs {needed:,}: raise the limit "
            "(ulimit -Hn, or LimitNOFILE= of systemd), or ask for fewer connections.",
            file=sys.stderr,
        )
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    where = conditions(()) | {"file descriptors": f"{hard:,} for each process"}
    try:
        cases = _measured(options)
    except (DidNotStart, Broken, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print(report(cases, where))
    missed = missing(cases, memory=options.memory * _MIB, ratio=options.ratio)
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=10_000, help="keep-alive connections (default: %(default)s)")
    parser.add_argument("--websockets", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--events", type=int, default=1000, help="event streams (default: %(default)s)")
    parser.add_argument("--slow", type=int, default=1000, help="clients with endless heads (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement (default: %(default)s)")
    parser.add_argument("--load", type=float, default=0.2, help="share of the capacity (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=400, help="most MiB (default: %(default)s)")
    parser.add_argument("--ratio", type=float, default=3, help="most of p99 over the idle one (default: %(default)s)")
    return parser.parse_args()


def _measured(options: argparse.Namespace) -> list[Case]:
    cpus = sorted(os.sched_getaffinity(0))
    gateway_cpu, load_cpu = cpus[0], cpus[-1]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="yett-bench-") as name:
        folder = Path(name)
        command = [sys.executable, str(_FOLDER / "streams_upstream.py"), str(port)]
        with (
            running("upstream", command, cpu=load_cpu, port=port, log=folder / "upstream.log"),
            yett(folder, upstream=port, cpu=gateway_cpu, routes=_ROUTES, connections=_everybody(options)) as gateway,
        ):
            os.sched_setaffinity(0, {load_cpu})
            try:
                return _cases(gateway, options, folder, load_cpu)
            finally:
                os.sched_setaffinity(0, set(cpus))


def _everybody(options: argparse.Namespace) -> int:
    return int(options.idle + options.websockets + options.events + options.slow + _SPARE)


def _cases(gateway: Yett, options: argparse.Namespace, folder: Path, cpu: int) -> list[Case]:
    port = gateway.running.port
    host = f"127.0.0.1:{port}"
    asked = request("GET", PATH, {"Host": host, "Authorization": f"Bearer {gateway.token()}"})
    target = Target(port, asked)
    rate = options.load * saturate(target, 3).rate
    many = Crowd(port, host, gateway.token(), options.idle, options.websockets, options.events)
    slow = Crowd(port, host, gateway.token(), slow=options.slow)
    cases = []
    for name, crowd in (
        ("nobody", None),
        ("idle, WebSockets, events", many),
        ("slow heads", slow),
        ("nobody again", None),
    ):
        with _standing(crowd, folder, cpu) as seen:
            latencies = at_rate(target, rate, options.seconds)
            memory = _memory(gateway)
        count = 0 if crowd is None else crowd.idle + crowd.websockets + crowd.events + crowd.slow
        cases.append(Case(name, count, memory, latencies, seen))
        print(f"beside {name}: p99 {latencies.p99:.2f} ms, {memory / _MIB:.0f} MiB", file=sys.stderr)
    return cases


@contextmanager
def _standing(crowd: Crowd | None, folder: Path, cpu: int) -> Iterator[dict[str, Any]]:
    """The crowd, while the block runs; after it, what it saw. Raises ``RuntimeError`` where it could not form."""
    seen: dict[str, Any] = {}
    if crowd is None:
        yield seen
        return
    with (folder / "crowd.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(_FOLDER / "crowd.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),  # noqa: PLW1509 (this process has one thread)
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(crowd)))
            process.stdin.close()
            formed = json.loads(process.stdout.readline() or "{}")
            if not formed or formed["refused"]:
                said = (folder / "crowd.log").read_text(encoding="utf-8")
                raise RuntimeError(f"the crowd did not form: {formed} {said}")
            print(f"the crowd stands after {formed['seconds']} s", file=sys.stderr)
            yield seen
            process.terminate()
            seen |= json.loads(process.stdout.readline() or "{}")
        finally:
            process.kill()


def _memory(gateway: Yett) -> int:
    """Resident memory of the serving process, in bytes; the hashing helpers are others."""
    for line in Path(f"/proc/{gateway.running.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory the gateway has")


def missing(cases: list[Case], *, memory: int, ratio: float) -> list[str]:
    """Sentences about what was not reached; none when all was."""
    quiet = cases[0].latencies.p99
    sentences = []
    for case in cases[1:]:
        if case.memory > memory:
            sentences.append(f"beside {case.name}: {case.memory / _MIB:.0f} MiB, not {memory / _MIB:.0f}")
        if case.latencies.p99 > ratio * quiet:
            sentences.append(
                f"beside {case.name}: p99 {case.latencies.p99 / quiet:.1f} times the idle one, not {ratio:.1f}"
            )
        if case.name == "idle, WebSockets, events" and case.crowd["closed"]:
            sentences.append(f"{case.crowd['closed']} of the connections that stay were closed")
    return sentences + [
        f"beside {case.name}: {case.latencies.failed} failed" for case in cases if case.latencies.failed
    ]


def report(cases: list[Case], where: dict[str, str]) -> str:
    """For docs/benchmarks.md."""
    facts = [f"- {name}: {value}" for name, value in where.items()]
    return "\n".join([*facts, "", *table.markdown(_COLUMNS, [_row(case) for case in cases]), "", _streamed(cases)])


def _streamed(cases: list[Case]) -> str:
    seen = next(case.crowd for case in cases if "events" in case.crowd)
    return f"Meanwhile {seen['events']:,} events and {seen['messages']:,} WebSocket messages came through."


def _row(case: Case) -> tuple[str, ...]:
    found = case.latencies
    times = (found.p50, found.p99, found.p999, found.longest)
    return (
        case.name,
        f"{case.connections:,}",
        f"{case.memory / _MIB:.0f}",
        f"{found.rate:,.0f}",
        *(f"{time:.2f}" for time in times),
        str(found.failed),
    )


if __name__ == "__main__":
    sys.exit(main())
