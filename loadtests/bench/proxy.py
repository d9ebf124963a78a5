"""The proxied path on one core, case by case, beside HAProxy's jwt_verify, Fastify, nginx that asks yett, and the bare
upstream.

Cases: a token that is remembered; every token new; good requests at 30 % of the capacity, alone and beside as many
forged tokens; bodies of 1 KiB and 64 KiB in both directions; 10,000 tenants and 10,000 routes.

Owns the order of a benchmark: start, prove that all do the same job, measure in turns, report. docs/benchmarks.md
says what the figures mean. Exit codes: 0 the bars are reached; 1 one is not, or a peer failed; 2 something is not here.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import h2load
import many
import minted
import report
import sanity
import wrk
from conditions import conditions
from h2load import Stream
from peers import NODE_PEERS, SIZES, auth_request, fastify, haproxy, nginx
from processes import DidNotStart, Running, free_port
from report import Key
from wrk import Load, Measured
from yett_peer import PATH, TENANT, Yett, yett

_TOOLS = ("haproxy", "nginx", "wrk", "h2load", "node")
_MOST_WARM_UPS = 20
_WARM_UP_SECONDS = 2
_LOAD = 0.3
_REQUESTS = Path(__file__).with_name("wrk_requests.lua")
_FRESH_RATE = 12_000  # tokens made for each second: more than can be verified
_ROUTES = """\
  - {name: bytes, match: {path: /bytes/**}, require: {scopes: ["orders:read"]}, upstream: orders}
  - {name: uploads, match: {path: /uploads/**}, require: {scopes: ["orders:read"]}, upstream: orders}
"""
_FORWARD_AUTH = """\
forward_auth: {{listen: "127.0.0.1:{port}", peers: ["127.0.0.1/32"]}}
"""
CASES = ("remembered", "fresh", "forged", "bodies", "many")


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if lacking or not (NODE_PEERS / "node_modules").is_dir():
        named = ", ".join(lacking) or "a package of loadtests/bench/node_peers"
        print(f"{named} is not here; `make bench` says how to get it", file=sys.stderr)
        return 2
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("Two CPUs are needed: one for the peer, one for the load and the upstream.", file=sys.stderr)
        return 2
    where = conditions(_TOOLS)
    try:
        rounds = _rounds(options, peer_cpu=cpus[0], load_cpu=cpus[1])
    except (DidNotStart, sanity.NotTheSameJob, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_json(rounds, where), indent=2) + "\n", encoding="utf-8")
    print((report.markdown if options.markdown else report.text)(rounds, where))
    missed = report.missed(rounds, options.slow_share)
    for sentence in [*report.disturbances(rounds), *missed]:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=_positive, default=8, help="of each measurement (default: %(default)s)")
    parser.add_argument("--runs", type=_positive, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--connections", type=_positive, default=64, help="kept alive (default: %(default)s)")
    parser.add_argument(
        "--case", action="append", choices=CASES[1:], help="beside `remembered`, which is always done (default: all)"
    )
    parser.add_argument("--tenants", type=_positive, default=many.TENANTS, help="of `many` (default: %(default)s)")
    parser.add_argument("--routes", type=_positive, default=many.ROUTES, help="of `many` (default: %(default)s)")
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


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that stands while rounds are measured. ``crowded`` is the gateway of 10,000, where it is asked for."""

    folder: Path
    load: Load
    peers: Mapping[str, Running]
    gateway: Yett
    crowded: Yett | None


def _rounds(options: argparse.Namespace, *, peer_cpu: int, load_cpu: int) -> list[dict[Key, Measured]]:
    cases = [case for case in CASES[1:] if not options.case or case in options.case]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yett-bench-")))
        upstream = stack.enter_context(nginx(folder, cpu=load_cpu))
        asked = free_port()
        gateway = stack.enter_context(
            yett(
                folder, upstream=upstream.port, cpu=peer_cpu, routes=_ROUTES, settings=_FORWARD_AUTH.format(port=asked)
            )
        )
        public_key = gateway.public_key(gateway.token())
        balancer = stack.enter_context(haproxy(folder, upstream=upstream.port, public_key=public_key, cpu=peer_cpu))
        node = stack.enter_context(fastify(folder, upstream=upstream.port, public_key=public_key, cpu=peer_cpu))
        front = stack.enter_context(
            auth_request(folder, upstream=upstream.port, gateway=gateway.running, forward_auth=asked, cpu=peer_cpu)
        )
        peers = {
            report.BARE: upstream,
            report.HAPROXY: balancer,
            report.FASTIFY: node,
            report.AUTH_REQUEST: front,
            report.YETT: gateway.running,
        }
        for name in list(peers)[1:]:
            sanity.check(peers[name], PATH, gateway.token())
        crowded = _crowded(stack, folder, options, upstream.port, peer_cpu) if "many" in cases else None
        for peer in peers.values():
            wrk.measure(peer, PATH, gateway.token(), Load(options.connections, _WARM_UP_SECONDS, load_cpu))
        load = Load(options.connections, options.seconds, load_cpu)
        bench = Bench(folder, load, peers, gateway, crowded)
        if crowded is not None:
            known = replace(bench, load=replace(load, seconds=2 * _WARM_UP_SECONDS))
            wanted = options.tenants + options.connections  # as many may be under way when a run ends
            until_all_were_seen(lambda: sum(found.requests for found in _many(known, 0, {}).values()), wanted)
        rounds = []
        for number in range(options.runs):
            measured: dict[Key, Measured] = {}
            for case in ("remembered", *cases):
                measured |= _CASES[case](bench, number, measured)
            for key, found in measured.items():
                print(f"round {number + 1}, {key.case}, {key.peer}: {found.rate:,.0f} requests/s", file=sys.stderr)
            rounds.append(measured)
        return rounds


def _crowded(stack: ExitStack, folder: Path, options: argparse.Namespace, upstream: int, cpu: int) -> Yett:
    place = folder / "many"
    place.mkdir()

    def prepare(_command: object, _audience: str) -> None:
        took = many.add_tenants(place / "yett", options.tenants)
        print(f"{options.tenants:,} tenants were made in {took:.0f} s", file=sys.stderr)

    routes = many.routes(options.routes)
    gateway = stack.enter_context(yett(place, upstream=upstream, cpu=cpu, routes=routes, prepare=prepare))
    sanity.check(gateway.running, PATH, gateway.token())
    tenants = [many.slug(number) for number in range(options.tenants)]
    tokens = minted.mint(gateway.data, gateway.token(), tenants, options.tenants)
    lines = [f"GET {many.path(number % options.routes)} {token}" for number, token in enumerate(tokens)]
    (folder / "many.txt").write_text("\n".join(lines), encoding="ascii")
    return gateway


def _remembered(bench: Bench, number: int, _: Mapping[Key, Measured]) -> dict[Key, Measured]:
    """Every peer once. Who is first changes, so that nobody always has the warmer or the quieter machine."""
    token = bench.gateway.token()  # the same for all; a new one each round, because it lives for five minutes
    names = list(bench.peers)
    turn = number % len(names)
    return {
        Key(report.REMEMBERED, name): wrk.measure(bench.peers[name], PATH, token, bench.load)
        for name in names[turn:] + names[:turn]
    }


def _fresh(bench: Bench, _number: int, _: Mapping[Key, Measured]) -> dict[Key, Measured]:
    gateway = bench.gateway
    wanted = _FRESH_RATE * bench.load.seconds
    tokens = minted.mint(gateway.data, gateway.token(), [TENANT], wanted)
    asked = _asked(bench.folder, [f"GET {PATH} {token}" for token in tokens])
    through = _measure_file(bench, gateway.running, asked, "once")
    alone = minted.verified_alone(gateway.data, tokens[: through.requests], cpu=_cpu_of(gateway.running))
    return {
        Key(report.FRESH, report.YETT): through,
        Key(report.FRESH, report.ALONE): Measured(int(alone), 1.0, 0, 0, 0, 0, 0, {}),
    }


def _forged(bench: Bench, _number: int, so_far: Mapping[Key, Measured]) -> dict[Key, Measured]:
    port, token = bench.gateway.running.port, bench.gateway.token()
    good = Stream(token, _LOAD * so_far[Key(report.REMEMBERED, report.YETT)].rate)
    bad = Stream(sanity.forged(token), good.rate, status=401)
    at_once = partial(h2load.at_once, port, PATH, seconds=bench.load.seconds, cpu=bench.load.cpu, folder=bench.folder)
    [quiet] = at_once([good])
    beside, refused = at_once([good, bad])
    return {
        Key(report.QUIET, report.YETT): quiet,
        Key(report.FORGED, report.YETT): beside,
        Key(report.FORGED, "yett, the forged ones"): refused,
    }


def _bodies(bench: Bench, _number: int, _: Mapping[Key, Measured]) -> dict[Key, Measured]:
    token = bench.gateway.token()
    found = {}
    for size in SIZES:
        down = _asked(bench.folder, [f"GET /bytes/{size} {token}"])
        up = _asked(bench.folder, [f"POST /uploads/7 {token}"], name="up.txt")
        for name in (report.BARE, report.HAPROXY, report.YETT):
            peer = bench.peers[name]
            found[Key(f"{size // 1024} KiB answered", name)] = _measure_file(bench, peer, down, "again")
            found[Key(f"{size // 1024} KiB sent", name)] = _measure_file(bench, peer, up, "again", size)
    return found


def _many(bench: Bench, _number: int, _: Mapping[Key, Measured]) -> dict[Key, Measured]:
    if bench.crowded is None:
        return {}
    return {
        Key(report.MANY, report.YETT): _measure_file(bench, bench.crowded.running, bench.folder / "many.txt", "again")
    }


def until_all_were_seen(requests_of_a_run: Callable[[], int], wanted: int) -> None:
    """Run until one gets so far: each begins with the first token, and what is known already goes faster.

    Raises ``ValueError`` where that does not come to an end.
    """
    for _ in range(_MOST_WARM_UPS):
        if requests_of_a_run() >= wanted:
            return
    raise ValueError(f"{wanted:,} requests were not answered in any of {_MOST_WARM_UPS} runs")


_CASES: Mapping[str, Callable[[Bench, int, Mapping[Key, Measured]], dict[Key, Measured]]] = {
    "remembered": _remembered,
    "fresh": _fresh,
    "forged": _forged,
    "bodies": _bodies,
    "many": _many,
}


def _asked(folder: Path, lines: list[str], name: str = "asked.txt") -> Path:
    file = folder / name
    file.write_text("\n".join(lines), encoding="ascii")
    return file


def _measure_file(bench: Bench, peer: Running, file: Path, how: str, body: int = 0) -> Measured:
    arguments = [str(file), how, str(body)]
    return wrk.run(peer, PATH, bench.load, options=["-s", str(_REQUESTS)], arguments=arguments)[0]


def _cpu_of(peer: Running) -> int:
    return min(os.sched_getaffinity(peer.process.pid))


if __name__ == "__main__":
    sys.exit(main())
