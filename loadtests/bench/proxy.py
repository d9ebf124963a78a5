"""The proxied path on one core: yett with a remembered token beside HAProxy's jwt_verify and the bare upstream.

Owns the order of a benchmark: start, prove that all do the same job, measure in turns, report. docs/benchmarks.md
says what the figures mean. Exit codes: 0 the bar is reached; 1 it is not, or a peer failed; 2 something is not here.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import report
import sanity
from conditions import TOOLS, conditions
from peers import haproxy, nginx
from processes import DidNotStart, Running
from wrk import Load, Measured, measure
from yett_peer import PATH, Yett, yett

_WARM_UP_SECONDS = 2


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking:
        print(f"{', '.join(lacking)} is not here; on Debian: apt-get install {' '.join(TOOLS)}", file=sys.stderr)
        return 2
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("Two CPUs are needed: one for the peer, one for the load and the upstream.", file=sys.stderr)
        return 2
    where = conditions()
    try:
        rounds = _rounds(options, peer_cpu=cpus[0], load_cpu=cpus[1])
    except (DidNotStart, sanity.NotTheSameJob, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_json(rounds, where), indent=2) + "\n", encoding="utf-8")
    print((report.markdown if options.markdown else report.text)(rounds, where))
    missed = report.Bar(options.bar, options.slow_share).missed(rounds)
    for sentence in [*report.disturbances(rounds), *missed]:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=_positive, default=8, help="load per peer and round (default: %(default)s)")
    parser.add_argument("--runs", type=_positive, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--connections", type=_positive, default=64, help="kept alive (default: %(default)s)")
    parser.add_argument("--bar", type=float, default=1.5, help="least yett/haproxy, every round (default: %(default)s)")
    parser.add_argument(
        "--slow-share", type=float, default=0.005, help="most requests over 10 medians (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write every number of every round there")
    parser.add_argument("--markdown", action="store_true", help="print what docs/benchmarks.md shows")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _rounds(options: argparse.Namespace, *, peer_cpu: int, load_cpu: int) -> list[dict[str, Measured]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yett-bench-")))
        upstream = stack.enter_context(nginx(folder, cpu=load_cpu))
        gateway = stack.enter_context(yett(folder, upstream=upstream.port, cpu=peer_cpu))
        public_key = gateway.public_key(gateway.token())
        balancer = stack.enter_context(haproxy(folder, upstream=upstream.port, public_key=public_key, cpu=peer_cpu))
        peers = {report.BARE: upstream, report.HAPROXY: balancer, report.YETT: gateway.running}
        for name in (report.HAPROXY, report.YETT):
            sanity.check(peers[name], PATH, gateway.token())
        for peer in peers.values():
            measure(peer, PATH, gateway.token(), Load(options.connections, _WARM_UP_SECONDS, load_cpu))
        load = Load(options.connections, options.seconds, load_cpu)
        return [_round(number, peers, gateway, load) for number in range(options.runs)]


def _round(number: int, peers: dict[str, Running], gateway: Yett, load: Load) -> dict[str, Measured]:
    """Every peer once. Who is first changes, so that nobody always has the warmer or the quieter machine."""
    token = gateway.token()  # the same for all; a new one each round, because it lives for five minutes
    names = list(peers)
    turn = number % len(names)
    measured = {}
    for name in names[turn:] + names[:turn]:
        measured[name] = measure(peers[name], PATH, token, load)
        print(f"round {number + 1}, {name}: {measured[name].rate:,.0f} requests/s", file=sys.stderr)
    return measured


if __name__ == "__main__":
    sys.exit(main())
