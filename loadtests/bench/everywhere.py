"""How soon a change is everywhere: pods of several processes on one PostgreSQL, with APIs called meanwhile.

Tokens are revoked, users disabled, tenants suspended, a route edited and keys rotated, one after the other, and each
process of each pod is asked again and again until it acts on it. Then a limit is asked four times as often as it lets
through, at all processes at once, and wrong passwords are tried at once. Exit codes: 0 the bars are reached; 1 one is
not, or something failed; 2 nginx is missing.

    any CPU: the pods, PostgreSQL, who changes and asks      the last CPU: the load's generators, an upstream (nginx)
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import everywhere_report
from changes_made import Administrator, Change, Is, Kind
from conditions import conditions
from everywhere_report import Counted, Delays, Found, Through
from keep_alive import Answer, Broken, Connection, request
from load_meanwhile import load
from open_loop import Target
from own_postgresql import postgresql
from peers import nginx
from pods import API, IDENTITY, LIMIT, connections, install, serving
from processes import DidNotStart, Running

_BETWEEN = 0.005  # seconds between two rounds of questions
_PATIENCE = 30.0
_WRONG, _NETWORKS = 200, 4


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    if shutil.which("nginx") is None:
        print("nginx is needed (on Debian: apt-get install nginx).", file=sys.stderr)
        return 2
    where = conditions(("nginx",), ("uvloop", "httptools", "sqlalchemy", "psycopg"))
    where["pods"] = f"{options.pods} of {options.processes} processes each, one PostgreSQL"
    try:
        with tempfile.TemporaryDirectory(prefix="yett-bench-", ignore_cleanup_errors=True) as folder:
            os.chmod(folder, 0o755)  # PostgreSQL runs as another user where this runs as root
            found = _measure(Path(folder), options)
    except (DidNotStart, Broken, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        written = json.dumps(everywhere_report.as_json(found, where), indent=2)
        Path(options.json).write_text(written + "\n", encoding="utf-8")
    print(everywhere_report.markdown(found, where))
    missed = everywhere_report.missed(found)
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--processes", type=int, default=4, help="of each pod, 2 at least (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="changes of each kind (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="requests/s meanwhile (default: %(default)s)")
    parser.add_argument("--limits", type=int, default=10, help="callers who reach a limit (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    options = parser.parse_args()
    if min(options.pods, options.processes - 1, options.count, options.limits) < 1 or options.rate <= 0:
        parser.error("--pods, --count, --limits and --rate must be positive, --processes 2 at least")
    return options


def _measure(folder: Path, options: argparse.Namespace) -> Found:
    last_cpu = max(os.sched_getaffinity(0))
    with ExitStack() as stack:
        admin, urls = stack.enter_context(postgresql(folder))
        upstream = stack.enter_context(nginx(folder, cpu=last_cpu))
        written = install(folder, admin, dict(urls), upstream.port)
        administrator = stack.enter_context(Administrator(written, admin, options.count))
        pods = stack.enter_context(serving(written, options.pods, options.processes))
        each = -(-4 * LIMIT // (options.pods * options.processes))
        by_worker = [one for pod in pods for one in connections(pod, each)]
        one_of_each = by_worker[::each]
        bearer = {"Host": API, "Authorization": f"Bearer {administrator.token()}"}
        targets = [Target(pod.port, request("GET", "/orders/7", bearer)) for pod in pods]
        meanwhile = stack.enter_context(load(targets, options.rate, cpu=last_cpu))
        supervisors = [pod.process.pid for pod in pods]
        delays = tuple(_delays(one_of_each, administrator.kinds(supervisors), options.count))
        passed = tuple(_limited(by_worker, administrator.token()) for _ in range(options.limits))
        loaded = meanwhile.end()
        through = Through(LIMIT, len(one_of_each), len(by_worker), passed)
        return Found(delays, through, _wrong_passwords(pods, administrator), loaded)


def _delays(workers: Sequence[Connection], kinds: Sequence[Kind], count: int) -> Iterator[Delays]:
    """Kinds take turns, so that whatever else happens on the machine happens to all."""
    seconds: dict[str, list[float]] = {kind.what: [] for kind in kinds}
    for number in range(count):
        for kind in kinds:
            seconds[kind.what].append(_delay(workers, kind.change(number)))
        if (number + 1) % 100 == 0:
            print(f"{number + 1} of {count} changes of each kind", file=sys.stderr)
    return (Delays(what, tuple(found)) for what, found in seconds.items())


def _delay(workers: Sequence[Connection], change: Change) -> float:
    """Seconds from the commit until the last one acts on it."""
    _ask_until(workers, change.question, change.before)
    committed = change.commit()
    _ask_until(workers, change.question, change.after)
    return time.perf_counter() - committed


def _ask_until(workers: Sequence[Connection], question: bytes, is_so: Is) -> None:
    pending, give_up = list(workers), time.perf_counter() + _PATIENCE
    while pending:
        answers = _all(pending, question)
        pending = [worker for worker, answer in zip(pending, answers, strict=True) if not is_so(answer)]
        if pending and time.perf_counter() > give_up:
            raise RuntimeError(f"{len(pending)} processes did not act on a change within {_PATIENCE:.0f} s")
        if pending:
            time.sleep(_BETWEEN)


def _all(connections_: Sequence[Connection], question: bytes) -> list[Answer]:
    """Asked all at once; the answers in this order."""
    for each in connections_:
        each.send(question)
    return [_answer(each) for each in connections_]


def _answer(connection: Connection) -> Answer:
    while (answer := connection.receive()) is None:
        continue
    return answer


def _limited(by_worker: Sequence[Connection], token: str) -> int:
    """What one caller gets of a limit, whose token this is."""
    answers = _all(by_worker, request("GET", "/limited/7", {"Host": API, "Authorization": f"Bearer {token}"}))
    strange = {answer.status for answer in answers} - {200, 429}
    if strange:
        raise RuntimeError(f"a limited route answered {strange}")
    return sum(answer.status == 200 for answer in answers)


def _wrong_passwords(pods: Sequence[Running], administrator: Administrator) -> Counted:
    """Of accounts that are nobody's, from some networks, spread over the pods."""
    asked = [Connection(pods[number % len(pods)].port, timeout=120) for number in range(_WRONG)]
    for number, connection in enumerate(asked):
        fields = {"Host": IDENTITY, "X-Forwarded-For": f"203.0.113.{number % _NETWORKS}"}
        form = f"grant_type=password&client_id=app&username=nobody-{number // _NETWORKS}&password=wrong"
        connection.send(request("POST", "/t/bench/token", fields, form))
    answers = [_answer(connection) for connection in asked]
    for connection in asked:
        connection.close()
    counted = administrator.failures()
    return Counted(
        _WRONG,
        Counter(answer.status for answer in answers),
        counted.get("account", 0),
        counted.get("network", 0),
    )


if __name__ == "__main__":
    sys.exit(main())
