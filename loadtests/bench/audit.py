"""The audit log's speed: moving events into it, letting its tree grow, proofs, an export and its verification.

On SQLite and on a PostgreSQL of its own: fills the outbox, then times the sequencer and the tree apart, and proofs of
events anywhere in the log. With SQLite's log, `yett audit export` and `yett audit verify` are run as an auditor runs
them. Beside each time stands the CPU time of this process (not PostgreSQL's), for a machine that is not idle. Exit
codes: 0 the bars are reached; 1 they are not.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from uuid import uuid4

from conditions import conditions
from own_postgresql import postgresql

from tenants import audit_outbox, migrate
from tenants.audit_event import Event
from tenants.audit_keys import AuditKeys
from tenants.audit_log import AuditLog
from tenants.audit_proofs import AuditProofs
from tenants.audit_tree import AuditTree
from tenants.database import Database
from tenants.directory import Directory
from tenants.sealing import MasterKeys
from tenants.store import Store
from tenants.tenant import Tenant

_PROOFS = 200
_SLUG = "bench"


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds by the clock, and of CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one database."""

    events: int
    sequenced: Time
    grown: Time
    proofs: list[float]

    def both(self) -> float:
        """Events in a second, moved and hashed."""
        return self.events / (self.sequenced.wall + self.grown.wall)


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--bar", type=float, default=5000, help="least events/s on PostgreSQL (default: %(default)s)")
    parser.add_argument("--verify-bar", type=float, default=30, help="most seconds (default: %(default)s)")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    options = parser.parse_args()
    rows, missed = conditions((), ("sqlalchemy", "psycopg")), list[str]()
    with tempfile.TemporaryDirectory(prefix="yett-bench-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user where this runs as root
        for name in options.databases:
            found, export = asyncio.run(_measure(name, Path(folder, name), options.events))
            rows |= {f"{name}: {what}": value for what, value in told(found).items()}
            if export is not None:
                for what, ran in zip(("export", "verify"), export, strict=True):
                    rows[what] = (
                        f"{ran.time.wall:,.1f} s (CPU {ran.time.cpu:,.1f} s), {ran.memory_mib:,.0f} MiB at most"
                    )
                seconds = export[1].time.wall
                missed += [] if seconds <= options.verify_bar else [f"verify took {seconds:,.1f} s"]
            if name == "postgresql" and found.both() < options.bar:
                missed.append(f"{found.both():,.0f} events/s, not {options.bar:,.0f}")
    print("\n".join([f"| {options.events:,} events | |", "|---|---:|", *(f"| {k} | {v} |" for k, v in rows.items())]))
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


def told(found: Figures) -> Mapping[str, str]:
    """The figures in words."""
    middle, longest = median(found.proofs), max(found.proofs)
    return {
        "sequencer": _rate(found.events, found.sequenced),
        "tree": _rate(found.events, found.grown),
        "both, one after the other": f"{found.both():,.0f} events/s",
        "a proof, median / longest": f"{1000 * middle:,.1f} ms / {1000 * longest:,.1f} ms",
    }


def _rate(events: int, time_: Time) -> str:
    return f"{events / time_.wall:,.0f} events/s (CPU: {1e6 * time_.cpu / events:,.0f} us an event)"


async def _measure(name: str, folder: Path, events: int) -> tuple[Figures, tuple["Ran", "Ran"] | None]:
    data = folder / "data"
    _yett("init", "--data", data)
    master_keys = MasterKeys.load(data / "master.key")
    async with _database(name, data, folder) as database:
        directory = Directory(database, Store(database, master_keys, _now))
        issuer = f"http://localhost:8080/t/{_SLUG}"
        tenant = await directory.create(slug=_SLUG, name="Bench", issuer=issuer, actor="bench")
        tree = AuditTree(database, AuditKeys(master_keys, "localhost:8080"), _now)
        figures = await _figures(database, tree, tenant, events)
    if name != "sqlite":
        return figures, None
    export = _yett("audit", "export", "--tenant", _SLUG, "--data", data, "--out", folder / "log.jsonl")
    _yett("audit", "key", "--tenant", _SLUG, "--data", data, "--out", folder / "log.key")
    return figures, (export, _yett("audit", "verify", folder / "log.jsonl", "--key", folder / "log.key"))


async def _figures(database: Database, tree: AuditTree, tenant: Tenant, events: int) -> Figures:
    log = AuditLog(database)
    for begin in range(0, events, 1000):
        told = (_event(number) for number in range(begin, min(begin + 1000, events)))
        await log.append([audit_outbox.row(event, tenant.id, _now()) for event in told])
    sequenced, grown = await _timed(log.sequence), await _timed(tree.grow)
    waits = []
    for _ in range(_PROOFS):
        began = time.perf_counter()
        await AuditProofs(database, tenant.id, events).inclusion(random.randrange(events))
        waits.append(time.perf_counter() - began)
    return Figures(events, sequenced, grown, waits)


async def _timed(step: Callable[[], Awaitable[int]]) -> Time:
    """For as long as there is more."""
    wall, cpu = time.perf_counter(), time.process_time()
    while await step():
        pass
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def _event(number: int) -> Event:
    return Event(
        type="login.succeeded",
        outcome="success",
        subject=str(uuid4()),
        user_name=f"user.{number}@example.com",
        client_id="shop",
        session_id=str(uuid4()),
        request_id=uuid4().hex,
        address="192.0.2.17",
        details={"way": "page", "amr": ["pwd", "otp", "mfa"]},
    )


@asynccontextmanager
async def _database(name: str, data: Path, folder: Path) -> AsyncIterator[Database]:
    if name == "sqlite":
        url = f"sqlite:///{data / 'yett.db'}"
        await migrate.upgrade(url)
        database = Database.open(url)
        yield database
        await database.close()
        return
    with postgresql(folder) as (admin, urls):
        await migrate.create_roles(admin, urls)
        await migrate.upgrade(urls[migrate.OWNER_ROLE])
        database = Database.open(urls[migrate.APP_ROLE], urls[migrate.SYSTEM_ROLE])
        yield database
        await database.close()


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    time: Time
    memory_mib: float


def _yett(*arguments: str | Path) -> Ran:
    """Run a command to its end. Raises RuntimeError with what it said where it fails."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("YETT_")}
    program = str(Path(sys.executable).with_name("yett"))
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([program, *map(str, arguments)], env=environ, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"yett {arguments[1]} failed: {said.read()[-2000:].decode(errors='replace')}")
    return Ran(Time(seconds, used.ru_utime + used.ru_stime), used.ru_maxrss / 1024)


if __name__ == "__main__":
    sys.exit(main())
