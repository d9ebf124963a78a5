"""Whether a login tells who has an account: by its answer, or by how long it takes.

Two groups are tried, accounts and networks all distinct: an existing user with a wrong password, an unknown name, a
disabled user with the right password, an empty password; and, throttled before, an existing and an unknown name. Within
a group answers have to be the same byte for byte, and the times may not be told apart (Kolmogorov and Smirnov, p > 0.01
in two of three runs), in a tenant of our own hashes and in one where half are imported.

One attempt at a time, one of each kind in shuffled order and then the next of each, so that whatever else happens on
the machine happens to all alike. Some 20 minutes; less with --attempts, which tells less. Exit codes: 0 nothing is
told; 1 something is, or something failed.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import bcrypt
import oracle_report
from accounts import PASSWORD, SETTINGS, Account, LoginForm, address, page_request, prepare_tenant, token_request
from conditions import conditions
from cpu_use import children
from hash_rate import stored_hash
from keep_alive import Broken, Connection
from oracle_report import DISABLED, EMPTY, EXISTING, GROUPS, THROTTLED, THROTTLED_UNKNOWN, Attempts, Tenant
from processes import DidNotStart, free_port
from yett_peer import TENANT, Command, yett

from gateway.installation import open_installation, utc_now
from gateway.settings import load
from policies import throttle
from tenants import throttles

KINDS = tuple(kind for existing, others in GROUPS.items() for kind in (existing, *others))
_WITH_ACCOUNT = (EXISTING, DISABLED, EMPTY, THROTTLED)
_THROTTLED = (THROTTLED, THROTTLED_UNKNOWN)
_WRONG = "incorrect horse battery staple"
_PASSWORDS = {DISABLED: PASSWORD, EMPTY: ""}
_BCRYPT_COST = 10

Ask = Callable[[Account, str], bytes]
"""The request of an attempt with a password."""


@dataclass(frozen=True, slots=True)
class People:
    """As many accounts of each kind, no two of one network."""

    by_kind: Mapping[str, list[Account]]

    @classmethod
    def make(cls, attempts: int, hashes: list[str]) -> "People":
        """``hashes`` are had in turn. Names of all kinds look the same."""
        addresses = iter(map(address, range(attempts * len(KINDS))))
        return cls(
            {
                kind: [
                    Account(
                        f"p{secrets.token_hex(8)}",
                        next(addresses),
                        hashes[number % len(hashes)] if kind in _WITH_ACCOUNT else "",
                        active=kind != DISABLED,
                    )
                    for number in range(attempts)
                ]
                for kind in KINDS
            }
        )

    def all_of(self, kinds: tuple[str, ...] = KINDS) -> list[Account]:
        """Those of these kinds."""
        return [account for kind in kinds for account in self.by_kind[kind]]

    def shuffled(self, chance: random.Random) -> Iterator[tuple[str, Account]]:
        """One of each kind, and again, until all had their turn: kinds and accounts in no order."""
        order = {kind: chance.sample(accounts, len(accounts)) for kind, accounts in self.by_kind.items()}
        for each in zip(*order.values(), strict=True):
            yield from chance.sample(list(zip(order, each, strict=True)), len(order))


def main() -> int:
    """Run the benchmark and print its figures."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped then, too
    where = {
        **conditions((), ("uvloop", "argon2-cffi", "bcrypt", "sqlalchemy")),
        "attempts": f"{options.attempts:,} of each kind in each run, at the {_ENDPOINTS[options.endpoint]}",
    }
    native, imported = stored_hash(PASSWORD), bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(_BCRYPT_COST)).decode()
    sorts = {"all our own": [native], f"half bcrypt, cost {_BCRYPT_COST}": [native, imported]}
    try:
        tenants = [_tenant(name, hashes, options) for name, hashes in sorts.items()]
    except (DidNotStart, Broken, OSError, RuntimeError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        Path(options.json).write_text(json.dumps(oracle_report.as_json(tenants, where)) + "\n", encoding="utf-8")
    print(oracle_report.markdown(tenants, where))
    missed = [sentence for tenant in tenants for sentence in tenant.missed()]
    for sentence in missed:
        print(sentence, file=sys.stderr)
    return 1 if missed else 0


_ENDPOINTS = {"page": "login page", "token": "token endpoint"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=2000, help="of each kind in each run (default: %(default)s)")
    parser.add_argument("--runs", type=int, choices=(1, 2, 3), default=3, help="default: %(default)s")
    parser.add_argument("--endpoint", choices=tuple(_ENDPOINTS), default="page", help="default: %(default)s")
    parser.add_argument("--seed", type=int, help="of the order (default: another one each time)")
    parser.add_argument("--json", metavar="FILE", help="write every time of every run there")
    return parser.parse_args()


def _tenant(name: str, hashes: list[str], options: argparse.Namespace) -> Tenant:
    people = People.make(options.attempts, hashes)
    chance = random.Random(options.seed)
    with _served(people) as port:
        runs = []
        for number in range(options.runs):
            progress = _Progress(f"passwords {name}, run {number + 1} of {options.runs}", len(KINDS) * options.attempts)
            runs.append(_run(port, people.shuffled(chance), options.endpoint, progress))
    return Tenant(name, runs)


@contextmanager
def _served(people: People) -> Iterator[int]:
    """The gateway with these people, at its port: on the second CPU, with us, and its helper on the first."""
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="yett-bench-") as name:
        folder = Path(name)

        def prepare(command: Command, audience: str) -> None:
            prepare_tenant(command, audience, folder / "users.jsonl", people.all_of(_WITH_ACCOUNT))
            asyncio.run(_throttle(folder / "yett", people.all_of(_THROTTLED)))

        with yett(folder, upstream=free_port(), cpu=cpus[-1], settings=SETTINGS, prepare=prepare) as gateway:
            for helper in children(gateway.running.process.pid):
                os.sched_setaffinity(helper, {cpus[0]})
            os.sched_setaffinity(0, {cpus[-1]})
            try:
                yield gateway.running.port
            finally:
                os.sched_setaffinity(0, set(cpus))


async def _throttle(data: Path, accounts: list[Account]) -> None:
    """As many attempts as are free, made tomorrow: what a clock that is ahead has counted waits for all of its time, so
    that ``Retry-After`` says the same for as long as we measure.
    """

    def tomorrow() -> datetime:
        return utc_now() + timedelta(days=1)

    async with open_installation(load(data / "yett.yaml", {}), clock=tomorrow) as installation:
        tenant = await installation.directory.find(TENANT)
        if tenant is None:
            raise RuntimeError(f"there is no tenant {TENANT}")
        async with installation.store.for_tenant(tenant.id) as store:
            for account in accounts:
                for _ in range(throttle.ACCOUNT.free):
                    await store.throttles.reserve(throttles.account(account.name))


def _run(port: int, order: Iterator[tuple[str, Account]], endpoint: str, progress: "_Progress") -> Attempts:
    answers: dict[str, set[oracle_report.Said]] = {kind: set() for kind in KINDS}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with closing(Connection(port)) as connection:
        ask = _asking(endpoint, port, connection)
        for kind, account in order:
            answer = connection.exchange(ask(account, _PASSWORDS.get(kind, _WRONG)))
            answers[kind].add(oracle_report.said(answer, account.name))
            times[kind].append(1000 * answer.seconds)
            progress.one_more()
    return Attempts({kind: frozenset(found) for kind, found in answers.items()}, times)


def _asking(endpoint: str, port: int, connection: Connection) -> Ask:
    """For the page, the browser's form is got once: it is bound to the browser and to no account."""
    if endpoint == "token":
        return partial(token_request, port)
    form = LoginForm.of(connection.exchange(page_request(port, Account("", address(2**24 - 1)))))
    return partial(form.submit, port)


class _Progress:
    """Says ten times on standard error how far it is, and how long it will take."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._began = what, total, 0, time.monotonic()

    def one_more(self) -> None:
        """An attempt was answered."""
        self._done += 1
        if self._done % max(1, self._total // 10) == 0:
            left = (time.monotonic() - self._began) / self._done * (self._total - self._done)
            print(f"{self._what}: {self._done / self._total:.0%}, {left:.0f} s to go", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
