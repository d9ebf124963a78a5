"""PostgreSQL fails in every way, and what was answered stays true: it is in the database and in the log, once.

People log in, refresh and revoke all the while. What cannot be done is refused with 503 in the protocol's own words,
APIs go on with what is known, and all returns by itself.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest

from tests.e2e import ledger
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.failing import SECONDS, House, standing
from tests.e2e.ledger import ISSUE, LOGIN, Ledger
from tests.e2e.own_postgresql import own_postgresql

SOAK = bool(os.environ.get("YETT_TEST_SOAK"))
pytestmark = [pytest.mark.soak, *([pytest.mark.timeout(3600)] if SOAK else [])]
ROUNDS = 10 if SOAK else 1
_ENOUGH = 40 if SOAK else 5  # answers of each kind, before, during and after
_CHANGES = 20_000 if SOAK else 300
_DISK = 640  # MiB, of which PostgreSQL takes half


@pytest.fixture(scope="module")
def house(copy_of: Copy, tmp_path_factory: pytest.TempPathFactory, upstream: Any) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("failing")
    with (
        own_postgresql(mib=_DISK if "disk full" in TRIED else None) as server,
        standing(server, copy_of("postgresql"), folder, upstream.url) as found,
    ):
        yield found


@contextmanager
def stopped(house: House) -> Iterator[None]:
    house.server.stop("fast")
    try:
        yield
    finally:
        house.server.start()


@contextmanager
def crashed(house: House) -> Iterator[None]:
    house.server.stop("immediate")
    try:
        yield
    finally:
        house.server.start()


@contextmanager
def read_only(house: House) -> Iterator[None]:
    """As the standby that a fail-over has not promoted yet."""
    house.server.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        house.server.sql("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextmanager
def locked(house: House) -> Iterator[None]:
    """Somebody holds a lock that every change needs, for longer than anybody waits."""
    with psycopg.connect(house.server.url(house.database)) as session:
        session.execute("LOCK TABLE audit_outbox IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def full(house: House) -> Iterator[None]:
    """Nothing is left on its disk. It refuses what needs a new page, or crashes where its own log needs one."""
    with house.server.disk_full():
        yield
    house.server.start()


FAULTS: dict[str, Callable[[House], AbstractContextManager[Any]]] = {
    "connections refused": lambda house: house.relay.refusing(),
    "stopped and started": stopped,
    "crashed and started": crashed,
    "its processes stopped": lambda house: house.server.held_up(),
    "read-only": read_only,
    "a lock that nobody gives back": locked,
    "disk full": full,
}
_FEW = ("stopped and started", "its processes stopped", "read-only", *(["disk full"] if os.geteuid() == 0 else []))
TRIED = tuple(FAULTS) if SOAK else _FEW
"""Each takes some seconds, and in a plain run those have to do: one that says no, one that says nothing, one of each
statement, and one that has to be seen to be believed (only root can make a small disk).
"""


def more(noted: Ledger, *, what: str, told: Callable[[], str] = str) -> None:
    """Wait until there are enough more logins, and tokens of machines."""
    for kind in (LOGIN, ISSUE):
        before = noted.count(kind)
        eventually(partial(noted.has, kind, before + _ENOUGH), within=SECONDS, what=what, told=told)


def _told(house: House) -> str:
    """What a failure is understood by: what people were answered, what threads wait for, and what the log says."""
    waiting = "\n".join("".join(traceback.format_stack(frame)[-3:]) for frame in sys._current_frames().values())
    return f"{len(house.ledger.done)} done, {house.ledger.refused}\n{waiting}\n{house.gateway.log[-3000:]}"


@pytest.mark.parametrize("fault", TRIED)
def test_what_is_answered_is_kept_and_the_rest_is_refused(house: House, fault: str) -> None:
    with house.busy() as noted:
        for _ in range(ROUNDS):
            more(noted, what="people log in")
            token = house.gateway.login("alice")["access_token"]  # it is good for five minutes
            with FAULTS[fault](house):
                refused = partial(noted.refused_beyond, noted.refused.total())
                eventually(refused, within=SECONDS, what="somebody is refused", told=partial(_told, house))
                assert house.gateway.call("/orders/1", token).status_code == 200
                assert house.gateway.call("/public/1").status_code == 200
                page = house.gateway.identity.get("/t/acme/login")
                assert page.status_code in (200, 503), page.text
                assert page.status_code == 200 or int(page.headers["retry-after"]) > 0
                assert house.gateway.probes.get("/livez").status_code == 200
            more(noted, what="people log in again", told=partial(_told, house))
    assert not noted.broken
    ledger.check(house.of, noted)


def test_a_fail_over_that_cuts_connections_and_a_slow_database_lose_nothing(house: House) -> None:
    with house.busy() as noted:
        for _ in range(5 * ROUNDS):
            assert house.relay.cut()
            before = noted.count(LOGIN)
            eventually(partial(noted.has, LOGIN, before + 1), within=SECONDS, what="people log in again")
        more(noted, what="all is well")
        refused = noted.refused.total()
        with house.relay.slowed(0.02):
            more(noted, what="people log in slowly")
        assert not noted.refused_beyond(refused), "what is slow is not refused"
    assert not noted.broken
    ledger.check(house.of, noted)


@pytest.fixture
def impatient(house: House) -> Iterator[House]:
    """It believes what it knows for a second only."""
    before = house.of.config.read_text(encoding="utf-8")
    house.of.config.write_text(before + "revocation_staleness: 1s\n", encoding="utf-8")
    _reload(house)
    yield house
    house.of.config.write_text(before, encoding="utf-8")
    _reload(house)


def _reload(house: House) -> None:
    def reloads() -> int:
        return sum(event["event"] == "config_reloaded" for event in house.gateway.events())

    before = reloads()
    house.gateway.process.send_signal(signal.SIGHUP)
    eventually(lambda: reloads() > before, within=SECONDS, what="the configuration is read")


def test_a_silent_feed_closes_what_needs_a_token_until_it_is_heard(impatient: House) -> None:
    gateway = impatient.gateway
    token = gateway.login("alice")["access_token"]
    with impatient.relay.refusing():
        eventually(lambda: gateway.probes.get("/readyz").status_code == 503, within=SECONDS, what="unready")
        checks = gateway.probes.get("/readyz").json()["checks"]
        assert checks == {"feed": "failed", "hashing": "ok", "schema": "ok", "master_key": "ok"}
        refused = gateway.call("/orders/1", token)
        assert (refused.status_code, refused.json()["code"]) == (503, "revocations_stale")
        assert gateway.call("/public/1").status_code == 200
        assert gateway.identity.get("/t/acme/jwks").status_code == 200
        away = impatient.of.run("migrate", "--check")
        assert (away.code, away.out) == (4, "")
    gateway.wait_until_ready()
    assert gateway.call("/orders/1", token).status_code == 200
    assert impatient.of.run("migrate", "--check").code == 0


def test_a_process_that_was_stopped_lets_nobody_in_before_it_has_heard_of_revocations(impatient: House) -> None:
    gateway = impatient.gateway
    token = gateway.login("alice")["access_token"]
    assert gateway.call("/orders/1", token).status_code == 200
    gateway.process.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    try:
        impatient.of.does("user", "end-sessions", "alice", "--tenant", "acme")
        eventually(lambda: time.monotonic() - stopped_at > 1.5, within=SECONDS, what="it was silent for long enough")
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    answers = [gateway.call("/orders/1", token).status_code]
    while answers[-1] == 503:
        answers.append(gateway.call("/orders/1", token).status_code)
    assert answers[-1] == 401
    assert 200 not in answers


def test_of_many_changes_none_is_lost_and_none_is_there_twice(house: House) -> None:
    """All that was answered since the first test, and as many more as it takes; connections break all the while."""
    with house.busy() as noted:
        while len(noted.done) < _CHANGES:
            before = noted.count(ISSUE)
            eventually(partial(noted.has, ISSUE, before + 200), within=SECONDS, what="machines get tokens")
            house.relay.cut()
        more(noted, what="all is well")
    assert not noted.broken
    ledger.check(house.of, noted)
