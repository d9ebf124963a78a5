"""Tokens per second of one core: yett's token endpoint beside that of npm's oidc-provider, with ES256 JWTs both.

    CPU 0: the server, one process        CPU 1: the load generator (wrk)

Owns the order of a benchmark: start, prove that all do the same job, measure in turns, report. docs/benchmarks.md says
what the figures mean. (Python's library has a module ``token``; beside a file of that name no script here would start.)
Exit codes: 0 the bars are reached; 1 they are not, or a peer failed; 2 something is not here.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import oidc_provider_peer
import token_report
import token_sanity
from conditions import conditions
from keep_alive import Broken
from oidc_provider_peer import Kept, oidc_provider
from processes import DidNotStart
from sanity import NotTheSameJob
from token_load import TokenRun, put_on
from token_peer import GRANTS, Peer
from token_report import DURABLE, EACH, EVENTLESS, MEMORY, YETT
from wrk import Load
from yett_issuer import yett_issuer

_WARM_UP_SECONDS = 2
_STORES = {
    MEMORY: None,
    DURABLE: Kept(),
    EACH: Kept(shared=False),
    EVENTLESS: Kept(events=False),
}


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    cpus = sorted(os.sched_getaffinity(0))
    lacking = _lacking(len(cpus), options.node)
    if lacking is not None:
        print(lacking, file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {cpus[1]})
    try:
        with tempfile.TemporaryDirectory(prefix="yett-bench-", dir=options.folder) as folder:
            where = _where(Path(folder), options.node)
            rounds = _rounds(options, Path(folder), peer_cpu=cpus[0], load_cpu=cpus[1])
    except (DidNotStart, NotTheSameJob, Broken, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        written = json.dumps(token_report.as_json(rounds, where), indent=2)
        Path(options.json).write_text(written + "\n", encoding="utf-8")
    print((token_report.markdown if options.markdown else token_report.text)(rounds, where))
    missed = token_report.Bars(options.memory_bar, options.durable_bar).missed(rounds)
    for sentence in [*token_report.disturbances(rounds), *missed]:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="load of each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds: whether all of it works")
    parser.add_argument("--connections", type=int, default=32, help="kept alive (default: %(default)s)")
    parser.add_argument("--variants", action="store_true", help="two more ways in which oidc-provider uses SQLite")
    parser.add_argument(
        "--memory-bar", type=float, default=1.0, help="least yett/oidc-provider in memory (default: %(default)s)"
    )
    parser.add_argument(
        "--durable-bar", type=float, default=1.5, help="least yett/oidc-provider on SQLite (default: %(default)s)"
    )
    parser.add_argument("--node", default="node", help="the Node.js that oidc-provider runs on (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the databases are to be (default: a temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write every number of every round there")
    parser.add_argument("--markdown", action="store_true", help="print what docs/benchmarks.md shows")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.runs = 2, 1
    if min(options.seconds, options.runs, options.connections) < 1:
        parser.error("--seconds, --runs and --connections must be at least 1")
    return options


def _lacking(cpus: int, node: str) -> str | None:
    if shutil.which("wrk") is None or cpus < 2:
        return "wrk (on Debian: apt-get install wrk) and two CPUs are needed."
    return oidc_provider_peer.lacking(node)


def _where(folder: Path, node: str) -> Mapping[str, str]:
    """The disk is a condition here: each answer waits for it."""
    known = conditions(("wrk",), ("uvicorn", "uvloop", "cryptography", "sqlalchemy"))
    disk = f"{_sync_milliseconds(folder):.2f} ms for an fdatasync"
    return {**known, **oidc_provider_peer.versions(node), "disk": disk}


def _sync_milliseconds(folder: Path) -> float:
    """Median of many, each after 4 KiB were written."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _rounds(options: argparse.Namespace, folder: Path, *, peer_cpu: int, load_cpu: int) -> list[token_report.Round]:
    names = [*token_report.PEERS, *(token_report.VARIANTS if options.variants else ())]
    with ExitStack() as stack:
        peers = {YETT: stack.enter_context(yett_issuer(folder, cpu=peer_cpu))}
        for name in names[1:]:
            other = oidc_provider(folder, name, _STORES[name], node=options.node, cpu=peer_cpu)
            peers[name] = stack.enter_context(other)
        for peer in peers.values():
            token_sanity.check(peer)
            for grant in GRANTS:
                put_on(peer, grant, Load(options.connections, _WARM_UP_SECONDS, load_cpu), cpu=peer_cpu)
        load = Load(options.connections, options.seconds, load_cpu)
        return [_round(number, peers, load, peer_cpu) for number in range(options.runs)]


def _round(number: int, peers: Mapping[str, Peer], load: Load, peer_cpu: int) -> token_report.Round:
    """Every grant of every peer once. Who is first changes, so that nobody always has the quieter machine."""
    names = list(peers)
    turn = number % len(names)
    found: dict[str, dict[str, TokenRun]] = {grant: {} for grant in GRANTS}
    for grant in GRANTS:
        for name in names[turn:] + names[:turn]:
            run = found[grant][name] = put_on(peers[name], grant, load, cpu=peer_cpu)
            print(f"round {number + 1}, {grant}, {name}: {run.measured.rate:,.0f} requests/s", file=sys.stderr)
    return {grant: {name: runs[name] for name in names} for grant, runs in found.items()}


if __name__ == "__main__":
    sys.exit(main())
