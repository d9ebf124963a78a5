"""What a gateway answered, and whether all of it is in the database and in the log: nothing lost, nothing twice."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.e2e.gateway import Gateway, claims
from tests.e2e.installation import Installation
from tests.e2e.server_process import PASSWORD

LOGIN, REFRESH, REVOKE, ISSUE = "login", "refresh", "revoke", "issue"


@dataclass
class Ledger:
    """``done``: changes that were answered 2xx, by kind and session. ``refused``: how often which answer was given.
    ``strange``: what should never be answered. ``broken``: requests whose gateway ended before it answered.
    """

    done: list[tuple[str, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    strange: list[str] = field(default_factory=list)
    broken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str) -> int:
        """How many changes of this kind were answered."""
        with self._lock:
            return sum(each == kind for each, _ in self.done)

    def has(self, kind: str, number: int) -> bool:
        """Whether as many were answered."""
        return self.count(kind) >= number

    def refused_beyond(self, number: int) -> bool:
        """Whether more than that were refused."""
        with self._lock:
            return self.refused.total() > number

    def note(self, kind: str, answer: httpx.Response, sid: str) -> dict[str, Any] | None:
        """The body of a change that was made; None, and why, where it was refused."""
        with self._lock:
            if answer.status_code == 200:
                body: dict[str, Any] = answer.json() if answer.content else {}
                self.done.append((kind, sid or claims(body["access_token"])["sid"]))
                return body
            if is_refusal(answer):
                self.refused[kind] += 1
            else:
                self.strange.append(f"{kind}: {answer.status_code} {answer.headers} {answer.text}")
        return None

    def break_(self) -> None:
        """A request without an answer."""
        with self._lock:
            self.broken += 1

    def work(self, gateway: Gateway, user: str, until: threading.Event) -> None:
        """One person: log in, refresh, take the refresh token back, and again."""
        while not until.is_set():
            try:
                self._round(gateway, user)
            except httpx.TransportError:
                self.break_()

    def issue(self, gateway: Gateway, credentials: tuple[str, str], until: threading.Event) -> None:
        """A machine that gets itself a token, and another one."""
        while not until.is_set():
            try:
                answer = gateway.identity.post(
                    "/t/acme/token", data={"grant_type": "client_credentials"}, auth=credentials
                )
            except httpx.TransportError:
                self.break_()
                continue
            self.note(ISSUE, answer, credentials[0])

    def _round(self, gateway: Gateway, user: str) -> None:
        answer = gateway.ask_token(grant_type="password", username=user, password=PASSWORD)
        tokens = self.note(LOGIN, answer, "")
        if tokens is None:
            return
        sid = claims(tokens["access_token"])["sid"]
        form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "demo-app"}
        again = self.note(REFRESH, gateway.ask_token(**form), sid)
        if again is None:
            return
        form = {"token": again["refresh_token"], "client_id": "demo-app"}
        self.note(REVOKE, gateway.identity.post("/t/acme/revoke", data=form), sid)


def is_refusal(answer: httpx.Response) -> bool:
    """503 as OAuth says it (RFC 6749 section 5.2), with a time to come back."""
    return (
        answer.status_code == 503
        and answer.json()["error"] == "temporarily_unavailable"
        and int(answer.headers["retry-after"]) > 0
        and answer.headers["cache-control"] == "no-store"
    )


_TOLD = ("login.succeeded", "token.refreshed", "token.revoked", "token.issued")
_OF_ACME = "JOIN tenants ON tenants.id = {table}.tenant_id WHERE tenants.slug = 'acme'"
_SESSIONS = "SELECT sessions.id FROM sessions " + _OF_ACME.format(table="sessions")
_FAMILIES = (
    "SELECT session_id, revoked_at IS NOT NULL, (SELECT count(*) FROM refresh_tokens"
    " WHERE refresh_tokens.tenant_id = refresh_families.tenant_id AND family_id = refresh_families.id"
    " AND consumed_at IS NOT NULL) FROM refresh_families " + _OF_ACME.format(table="refresh_families")
)


def check(of: Installation, ledger: Ledger) -> None:
    """Read behind the product's back what there is, and by its own command what the log says."""
    assert not ledger.strange, ledger.strange[:3]
    told = _events(of)
    sessions = Counter(str(row[0]) for row in of.rows(_SESSIONS))
    assert told["login.succeeded"] == sessions, "each session has its event and each event its session, once"
    families = of.rows(_FAMILIES)
    spent = Counter({str(sid): count for sid, _, count in families if count})
    assert told["token.refreshed"] == spent, "each refresh token that was spent has its event, once"
    revoked = {str(sid) for sid, is_revoked, _ in families if is_revoked}
    assert set(told["token.revoked"]) <= revoked
    there = {LOGIN: sessions, REFRESH: spent, REVOKE: told["token.revoked"]}
    issued, refused = told["token.issued"].total(), ledger.refused[ISSUE]
    assert 0 <= issued - ledger.count(ISSUE) <= refused, "each token of a machine has its event, and no more"
    for kind, found in there.items():
        answered = Counter(sid for each, sid in ledger.done if each == kind)
        assert answered - found == Counter(), f"{kind} was answered, and is not there"


def _events(of: Installation) -> dict[str, Counter[str]]:
    """Sessions by the type of event, of acme's whole log, which has no gap."""
    out = of.data.parent / "acme.jsonl"
    of.does("audit", "export", "--tenant", "acme", "--out", out)
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    entries = [line for line in lines if "position" in line]
    assert [entry["position"] for entry in entries] == list(range(len(entries)))
    found: dict[str, Counter[str]] = {kind: Counter() for kind in _TOLD}
    for event in (json.loads(entry["event"]) for entry in entries):
        if event["type"] in found and event["outcome"] == "success":
            found[event["type"]][event.get("session_id", "")] += 1
    return found
