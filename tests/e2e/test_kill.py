"""``kill -9`` in the middle of 200 logins: what was done is told, and what was told is done (rule 3)."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest

from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway, claims
from tests.e2e.installation import Installation

LOGINS = 200
_AT_ONCE = 16
_ANSWERED_BEFORE = 80


@dataclass
class Outcome:
    """The tokens of the logins that were answered, and the killed gateway's helpers."""

    tokens: list[str] = field(default_factory=list)
    broken: int = 0
    helpers: list[psutil.Process] = field(default_factory=list)


@pytest.fixture(params=DATABASES)
def stricken(request: pytest.FixtureRequest, copy_of: Copy) -> Installation:
    return copy_of(request.param)


def _logins_until_it_is_killed(of: Installation) -> Outcome:
    gateway = Gateway(of, of.data.parent)
    outcome, enough, lock = Outcome(), threading.Event(), threading.Lock()

    def login(number: int) -> None:
        try:
            answer = gateway.ask_token(
                grant_type="password", username=("alice", "bob")[number % 2], password="correct horse battery staple"
            )
        except httpx.TransportError:
            with lock:
                outcome.broken += 1
            return
        assert answer.status_code == 200, answer.text
        with lock:
            outcome.tokens.append(answer.json()["access_token"])
            if len(outcome.tokens) == _ANSWERED_BEFORE:
                enough.set()

    try:
        gateway.wait_until_ready()
        for name in ("alice", "bob"):  # from a network that an account does not know, only five may be under way
            gateway.login(name)
        outcome.helpers = gateway.helpers()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [pool.submit(login, number) for number in range(LOGINS)]
            assert enough.wait(60)
            gateway.kill()
        for login_ in running:
            login_.result()
    finally:
        gateway.close()
        gateway.discard()
    return outcome


def _events(of: Installation) -> list[dict[str, Any]]:
    """acme's whole log, outbox included, as an export gives it."""
    out = of.data.parent / "acme.jsonl"
    of.does("audit", "export", "--tenant", "acme", "--out", out)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    entries = [line for line in lines if "position" in line]
    assert [entry["position"] for entry in entries] == list(range(len(entries)))
    return [json.loads(entry["event"]) for entry in entries]


def _sessions(of: Installation) -> list[UUID]:
    query = "SELECT sessions.id FROM sessions JOIN tenants ON tenants.id = tenant_id WHERE slug = 'acme'"
    return [UUID(str(row[0])) for row in of.rows(query)]


def test_no_login_is_without_its_event_and_no_event_without_its_login(stricken: Installation) -> None:
    outcome = _logins_until_it_is_killed(stricken)
    assert _ANSWERED_BEFORE <= len(outcome.tokens) < LOGINS
    assert outcome.broken == LOGINS - len(outcome.tokens)
    eventually(
        lambda: not any(helper.is_running() for helper in outcome.helpers),
        within=10,
        what="its helpers end by themselves",
    )

    again = Gateway(stricken, stricken.data.parent)
    try:
        again.wait_until_ready()
        assert again.call("/orders/1", outcome.tokens[-1]).status_code == 200
        assert again.login("alice")
        again.close()
        again.stop()
    finally:
        again.discard()

    told = [UUID(event["session_id"]) for event in _events(stricken) if event["type"] == "login.succeeded"]
    sessions = _sessions(stricken)
    assert len(set(told)) == len(told)
    assert sorted(told) == sorted(sessions)
    assert {UUID(claims(token)["sid"]) for token in outcome.tokens} <= set(sessions)
    assert len(sessions) <= LOGINS + 3


def test_what_waits_in_the_outbox_is_listed_without_a_server(stricken: Installation) -> None:
    outcome = _logins_until_it_is_killed(stricken)
    told = [UUID(event["session_id"]) for event in _events(stricken) if event["type"] == "login.succeeded"]
    assert sorted(told) == sorted(_sessions(stricken))
    assert {UUID(claims(token)["sid"]) for token in outcome.tokens} <= set(told)
    assert stricken.rows("SELECT count(*) FROM audit_outbox") == [(0,)]
