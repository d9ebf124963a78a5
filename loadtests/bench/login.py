"""Logins beside the proxied path: how much of what Argon2id can do becomes logins, and who waits for it.

    CPU 0: the hashing helper        CPU 1: the gateway, an upstream (nginx), the load generators

Each round measures Argon2id alone on CPU 0, the proxied path at a fixed share of its capacity without logins, and the
same with logins by the token endpoint and by the login page. Then come more attempts than fit. docs/benchmarks.md says
what the figures mean. Exit codes: 0 the bars are reached; 1 they are not, or something failed; 2 nginx or a second CPU
is not here.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import login_report
from accounts import PASSWORD, SETTINGS, Account, address, prepare_tenant
from closed_loop import Crowd, Logins, Way, log_in, overload
from conditions import conditions
from cpu_use import Memory, Snapshot, children, pinned_worker, resident_mib
from hash_rate import stored_hash, verifications_per_second
from keep_alive import Broken, request
from login_report import PAGE, TOKEN, Bars, Beside, Figures, Overload, Round
from open_loop import Target, at_rate, saturate
from peers import nginx
from processes import DidNotStart
from yett_peer import PATH, Command, Yett, yett

QUEUE, HELPERS = 128, 1
_WARM_UP = 2.0
_HASHING = "the helper"
_ELSE = "the gateway"


@dataclass(frozen=True, slots=True)
class Bench:
    """What runs: the gateway, the accounts, and a process of our own for each load, pinned to its CPU."""

    gateway: Yett
    accounts: list[Account]
    hashing: ProcessPoolExecutor
    proxied: ProcessPoolExecutor
    logins: ProcessPoolExecutor
    pinned: dict[int, list[int]]
    names: dict[int, str]

    @property
    def port(self) -> int:
        """The gateway's."""
        return self.gateway.running.port

    def target(self) -> Target:
        """The proxied path, with a new token: it lives for five minutes."""
        fields = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"Bearer {self.gateway.token()}"}
        return Target(self.port, request("GET", PATH, fields))

    def crowd(self, first: int) -> Crowd:
        """All accounts, from the ``first``."""
        return Crowd(self.port, self.accounts, first)


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    cpus = sorted(os.sched_getaffinity(0))
    if shutil.which("nginx") is None or len(cpus) < 2:
        print("nginx (on Debian: apt-get install nginx) and two CPUs are needed.", file=sys.stderr)
        return 2
    where = conditions(("nginx",), ("uvloop", "httptools", "argon2-cffi", "sqlalchemy"))
    try:
        with _bench(options, helper_cpu=cpus[0], else_cpu=cpus[1]) as bench:
            figures = _measure(bench, options)
    except (DidNotStart, Broken, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        Path(options.json).write_text(
            json.dumps(login_report.as_json(figures, where), indent=2) + "\n", encoding="utf-8"
        )
    print(login_report.markdown(figures, where))
    missed = Bars(options.bar, options.slower, options.growth, options.refusals).missed(figures)
    for sentence in [*login_report.disturbances(figures), *missed]:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="of people who log in (default: %(default)s)")
    parser.add_argument("--load", type=float, default=0.3, help="share of the proxied capacity (default: %(default)s)")
    parser.add_argument("--refusals", type=int, default=10_000, help="beyond what fits (default: %(default)s)")
    parser.add_argument("--bar", type=float, default=0.9, help="least share of Argon2id's rate (default: %(default)s)")
    parser.add_argument(
        "--slower", type=float, default=2, help="p99 stays under so many idle ones (default: %(default)s)"
    )
    parser.add_argument("--growth", type=float, default=4, help="most MiB more under overload (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every number of every round there")
    return parser.parse_args()


@contextmanager
def _bench(options: argparse.Namespace, *, helper_cpu: int, else_cpu: int) -> Iterator[Bench]:
    hash_ = stored_hash(PASSWORD)
    accounts = [Account(f"person-{number:05}", address(number), hash_) for number in range(options.accounts)]
    os.sched_setaffinity(0, {else_cpu})
    with (
        tempfile.TemporaryDirectory(prefix="yett-bench-") as name,
        pinned_worker(helper_cpu) as (hashing, hashing_pid),
        pinned_worker(else_cpu) as (proxied, proxied_pid),
        pinned_worker(else_cpu) as (logins, logins_pid),
    ):
        folder = Path(name)

        def prepare(command: Command, audience: str) -> None:
            prepare_tenant(command, audience, folder / "users.jsonl", accounts)

        with (
            nginx(folder, cpu=else_cpu) as upstream,
            yett(folder, upstream=upstream.port, cpu=else_cpu, settings=SETTINGS, prepare=prepare) as gateway,
        ):
            pid = gateway.running.process.pid
            helpers = children(pid)
            if len(helpers) != HELPERS:
                raise RuntimeError(f"the gateway has {len(helpers)} child processes, where {HELPERS} is its helper")
            for helper in helpers:
                os.sched_setaffinity(helper, {helper_cpu})
            ours = [pid, upstream.process.pid, proxied_pid, logins_pid, os.getpid()]
            pinned = {helper_cpu: [*helpers, hashing_pid], else_cpu: ours}
            names = {helper_cpu: _HASHING, else_cpu: _ELSE}
            yield Bench(gateway, accounts, hashing, proxied, logins, pinned, names)


def _measure(bench: Bench, options: argparse.Namespace) -> Figures:
    capacity = bench.proxied.submit(saturate, bench.target(), options.seconds / 2).result().rate
    _say(f"proxied path: {capacity:,.0f} requests/s")
    rate = options.load * capacity
    rounds: list[Round] = []
    done = 0
    for number in range(options.runs):
        before = Snapshot.take(bench.pinned)
        alone = [_alone(bench, options.seconds / 3)]
        idle = bench.proxied.submit(at_rate, bench.target(), rate, options.seconds).result()
        _say(f"round {number + 1}, no logins: p99 {idle.p99:.2f} ms")
        beside: dict[str, Beside] = {}
        ways: tuple[tuple[str, Way], ...] = ((TOKEN, "token"), (PAGE, "page"))
        for name, way in ways if number % 2 == 0 else ways[::-1]:
            found = _beside(bench, way, done, rate, options)
            done += found.logins.granted
            beside[name] = found
            _say(
                f"round {number + 1}, {name}: {found.logins.rate:.1f} logins/s, p99 of the proxied path "
                f"{found.proxied.p99:.2f} ms"
            )
        alone.append(_alone(bench, options.seconds / 3))
        _say(f"round {number + 1}, Argon2id alone: {alone[0]:.1f} and {alone[1]:.1f} hashes/s")
        foreign = Snapshot.take(bench.pinned).foreign_since(before)
        shares = {bench.names[cpu]: share for cpu, share in foreign.items()}
        rounds.append(Round(sum(alone) / 2, idle, {TOKEN: beside[TOKEN], PAGE: beside[PAGE]}, shares))
    return Figures(QUEUE, HELPERS, capacity, rounds, _overload(bench, done, options))


def _alone(bench: Bench, seconds: float) -> float:
    return bench.hashing.submit(verifications_per_second, bench.accounts[0].hash, PASSWORD, seconds).result()


def _beside(bench: Bench, way: Way, first: int, rate: float, options: argparse.Namespace) -> Beside:
    """The proxied load runs within the time of the logins, so that it never has the CPU without them."""
    target = bench.target()
    seconds = options.seconds
    logins = bench.logins.submit(log_in, bench.crowd(first), way, options.connections, seconds, _WARM_UP)
    proxied = bench.proxied.submit(at_rate, target, rate, seconds)
    return Beside(logins.result(), proxied.result())


def _overload(bench: Bench, first: int, options: argparse.Namespace) -> Overload:
    pid = bench.gateway.running.process.pid
    before = resident_mib(pid)
    memory = Memory()
    with memory.watching(pid):
        refusals = bench.logins.submit(
            overload, bench.crowd(first), 2 * (QUEUE + HELPERS), options.refusals, 20 * options.seconds
        ).result()
    _say(f"overload: {refusals.total:,} refused in {refusals.seconds:.1f} s")
    after: Logins = bench.logins.submit(log_in, bench.crowd(first), "token", HELPERS, 5.0, 0.0).result()
    return Overload(refusals, before, memory.quarters(), max(memory.samples), after)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
