"""What tenants cost: the start, the memory and the logins of installations with 10, 100, 1,000 and 10,000 of them.

    CPU 0: the gateway and its hashing helper        CPU 1: whoever logs in, one login after the other

Each tenant has its keys, a client, a role and 100 users. Beside each installation runs one with a single tenant, and
logins alternate between the two, so that whatever else happens on the machine happens to both. They begin when the new
installation has caught up: an audit log, its tree and a first checkpoint for each tenant that was made, some
milliseconds of CPU each, once in its life. Exit codes: 0 the bars are reached; 1 one is not, or something failed;
2 there is one CPU only.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import table
from accounts import CLIENT, PASSWORD, ROLE, SCOPE
from conditions import conditions
from hash_rate import stored_hash
from keep_alive import Connection, request
from processes import DidNotStart, Running, free_port
from yett_peer import Yett, yett

from gateway import urls
from gateway.installation import Installation, open_installation
from gateway.settings import load
from tenants.clients import Client
from tenants.hash_spellings import Canonical, canonical
from tenants.import_lines import NewUser

COUNTS = (10, 100, 1_000, 10_000)
USERS = 100
_SETTINGS = "limits: {token: 1000000/second, pages: 1000000/second}\n"
_WARM_UP = 5
_READY_BAR, _MEMORY_BAR, _LOGIN_BAR = 5.0, 250.0, 1.2
_LOOK, _IDLE, _LONGEST = 2.0, 0.05, 600.0  # seconds of a look, the share of a CPU that is idle, seconds at most
_COLUMNS = (
    "tenants",
    "users",
    "made in s",
    "database MiB",
    "ready in s",
    "CPU s",
    "caught up in s",
    "memory MiB",
    "login ms",
    "of one",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one installation. Times are seconds but for the logins' medians, which are milliseconds."""

    tenants: int
    users: int
    made_in: float
    database_mib: float
    ready_in: float
    cpu: float
    caught_up_in: float
    memory_mib: float
    login: float
    login_of_one: float

    @property
    def ratio(self) -> float:
        """How much longer a login takes than beside a single tenant."""
        return self.login / self.login_of_one


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("Two CPUs are needed: one for the gateway, one for whoever logs in.", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {cpus[1]})
    where = conditions((), ("uvicorn", "uvloop", "sqlalchemy"))
    try:
        with tempfile.TemporaryDirectory(prefix="yett-bench-", dir=options.folder) as folder:
            costs = list(_measured(Path(folder), options, cpu=cpus[0]))
    except (DidNotStart, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    for name, value in where.items():
        print(f"- {name}: {value}")
    print("\n".join(["", *table.markdown(_COLUMNS, [_row(cost) for cost in costs])]))
    missed = bars_missed(costs)
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def bars_missed(costs: list[Cost]) -> list[str]:
    """What is not as good as it has to be, in words."""
    missed = []
    for cost in costs:
        if cost.ready_in > _READY_BAR:
            missed.append(f"{cost.tenants:,} tenants: ready in {cost.ready_in:.1f} s, not {_READY_BAR:.0f}")
        if cost.memory_mib > _MEMORY_BAR:
            missed.append(f"{cost.tenants:,} tenants: {cost.memory_mib:.0f} MiB, not {_MEMORY_BAR:.0f}")
        if cost.ratio > _LOGIN_BAR:
            missed.append(f"{cost.tenants:,} tenants: a login takes {cost.ratio:.2f} times that of one tenant")
    return missed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tenants", type=int, action="append", metavar="N", help=f"may be given several times (default: {COUNTS})"
    )
    parser.add_argument("--users", type=int, default=USERS, help="of each tenant (default: %(default)s)")
    parser.add_argument("--logins", type=int, default=200, help="at each of the two (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of who logs in (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the databases are to be (default: a temporary folder)")
    options = parser.parse_args()
    options.tenants = options.tenants or list(COUNTS)
    if min(*options.tenants, options.users, options.logins) < 1:
        parser.error("--tenants, --users and --logins must be at least 1")
    return options


def _measured(folder: Path, options: argparse.Namespace, *, cpu: int) -> Iterator[Cost]:
    with _installed(folder / "one", 1, options.users, cpu=cpu) as one:
        for count in options.tenants:
            with _installed(folder / str(count), count, options.users, cpu=cpu) as many:
                caught_up_in = _caught_up(many.gateway.running)
                login, of_one = _logins(many, one, count, options)
                yield Cost(
                    tenants=count,
                    users=count * options.users,
                    made_in=many.made_in,
                    database_mib=(many.gateway.data / "yett.db").stat().st_size / 2**20,
                    ready_in=many.ready_in,
                    cpu=many.cpu,
                    caught_up_in=caught_up_in,
                    memory_mib=_resident_mib(many.gateway.running),
                    login=login,
                    login_of_one=of_one,
                )


@dataclass(frozen=True, slots=True)
class _Installed:
    gateway: Yett
    made_in: float
    ready_in: float
    cpu: float


@contextmanager
def _installed(folder: Path, count: int, users: int, *, cpu: int) -> Iterator[_Installed]:
    """Made and serving. The time until it is ready is that from the command to a 200 of ``/readyz``."""
    folder.mkdir()
    times: list[float] = []

    def prepare(_command: object, audience: str) -> None:
        times.append(time.monotonic())
        asyncio.run(_settle(folder / "yett", count, users, audience))
        times.append(time.monotonic())

    with ExitStack() as stack:
        gateway = stack.enter_context(yett(folder, upstream=free_port(), cpu=cpu, settings=_SETTINGS, prepare=prepare))
        ready_in = time.monotonic() - times[1]
        made_in = times[1] - times[0]
        print(f"{count:,} tenants were made in {made_in:.0f} s and ready in {ready_in:.1f} s", file=sys.stderr)
        yield _Installed(gateway, made_in, ready_in, gateway.running.cpu_seconds())


async def _settle(data: Path, count: int, users: int, audience: str) -> None:
    """Everybody's password is the same, and its hash too: it is the hash that takes its time."""
    settings = load(data / "yett.yaml", {})
    hashed = canonical(stored_hash(PASSWORD))
    async with open_installation(settings) as installation:
        for number in range(count):
            await _settle_tenant(installation, _slug(number), users, audience, hashed)


async def _settle_tenant(installation: Installation, slug: str, users: int, audience: str, hashed: Canonical) -> None:
    issuer = urls.issuer(installation.settings.public_url, slug)
    tenant = await installation.directory.create(slug=slug, name=slug, issuer=issuer, actor="bench")
    async with installation.store.for_tenant(tenant.id) as store:
        await store.roles.create(ROLE, [SCOPE])
        client = Client(
            client_id=CLIENT,
            name=CLIENT,
            confidential=False,
            grant_types=frozenset({"password"}),
            scopes=frozenset({SCOPE}),
            audiences=(audience,),
        )
        await store.clients.create(client)
        begun = await store.imports.begin(bytes(32), users)
        await store.imports.write(begun, [_user(number, hashed) for number in range(users)])


def _user(number: int, hashed: Canonical) -> NewUser:
    name = f"user-{number}"
    return NewUser(number + 1, name, name, None, None, False, True, (ROLE,), hashed)


def _slug(number: int) -> str:
    return f"tenant-{number}"


def _caught_up(running: Running) -> float:
    """Seconds until it has nothing to do any more. Raises RuntimeError where that takes ten minutes."""
    began = time.monotonic()
    while (now := time.monotonic()) - began < _LONGEST:
        before = running.cpu_seconds()
        time.sleep(_LOOK)
        if running.cpu_seconds() - before < _IDLE * _LOOK:
            return now - began
    raise RuntimeError(f"the gateway was busy for {_LONGEST:.0f} s after its start")


def _logins(many: _Installed, one: _Installed, count: int, options: argparse.Namespace) -> tuple[float, float]:
    """Medians in milliseconds: of random users of random tenants, and of those of the single tenant meanwhile."""
    draw = random.Random(options.seed)
    turns: list[tuple[_Installed, Callable[[], int], list[float]]] = [
        (many, lambda: draw.randrange(count), []),
        (one, lambda: 0, []),
    ]
    for turn in range(_WARM_UP + options.logins):
        for installed, tenant, times in turns:
            took = _login(installed.gateway.running.port, _slug(tenant()), draw.randrange(options.users))
            if turn >= _WARM_UP:
                times.append(1000 * took)
    return median(turns[0][2]), median(turns[1][2])


def _login(port: int, slug: str, user: int) -> float:
    """Seconds of a password grant (RFC 6749 section 4.3), a connection of its own included: a login is somebody new."""
    form = {"grant_type": "password", "client_id": CLIENT, "username": f"user-{user}", "password": PASSWORD}
    asked = request("POST", f"/t/{slug}/token", {"Host": f"localhost:{port}"}, urlencode({**form, "scope": SCOPE}))
    began = time.perf_counter()
    connection = Connection(port)
    try:
        answer = connection.exchange(asked)
    finally:
        connection.close()
    if answer.status != 200 or "access_token" not in json.loads(answer.body):
        raise RuntimeError(f"a login at {slug} was answered {answer.status}: {answer.body[:200]!r}")
    return time.perf_counter() - began


def _resident_mib(running: Running) -> float:
    """Resident memory of the gateway, without its hashing helper."""
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _row(cost: Cost) -> tuple[str, ...]:
    return (
        f"{cost.tenants:,}",
        f"{cost.users:,}",
        f"{cost.made_in:.0f}",
        f"{cost.database_mib:,.0f}",
        f"{cost.ready_in:.1f}",
        f"{cost.cpu:.1f}",
        f"{cost.caught_up_in:.0f}",
        f"{cost.memory_mib:.0f}",
        f"{cost.login:.1f}",
        f"{cost.ratio:.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
