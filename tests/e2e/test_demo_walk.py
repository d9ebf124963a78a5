"""The demo's own lines, word for word: what a newcomer copies has to do what the page says."""

import json
import re
import subprocess
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.e2e.command import environment, yett
from tests.e2e.demo import Demo
from tests.e2e.eventually import eventually
from tests.e2e.gateway import claims
from tests.e2e.ports import free_port

_HEADER = re.compile(r"([^:\s]+): (.*)")


@dataclass(frozen=True)
class Answer:
    """What ``curl -i`` showed."""

    command: str
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def seen_by_the_api(self) -> dict[str, str]:
        """The echo's header fields."""
        return dict(self.body["headers"])


@dataclass(frozen=True)
class Walk:
    """All lines run, in order, in one shell as a person would."""

    demo: Demo
    tokens: dict[str, str]
    answers: list[Answer]
    listed: str

    def answer(self, *words: str) -> Answer:
        """The answer to the one line that has all these words."""
        found = [answer for answer in self.answers if all(word in answer.command for word in words)]
        assert len(found) == 1, [answer.command for answer in found]
        return found[0]


@pytest.fixture(scope="module")
def walk(demo: Demo) -> Walk:
    lines = demo.lines_to_copy
    names = [line.partition("=")[0] for line in lines if re.match(r"[A-Z]+=", line)]
    marks = "\n".join(f"{line}\nprintf '\\n%s\\n' '== {number}'" for number, line in enumerate(lines))
    shown = "\n".join(f"printf '%s\\n' \"${name}\"" for name in names)
    script = f"set -eu -o pipefail\n{marks}\n{shown}\n"
    done = subprocess.run(
        ["bash", "-c", script], env=environment({}), capture_output=True, text=True, timeout=60, check=True
    )
    *outputs, last = re.split(r"\n== \d+\n", done.stdout)
    assert len(outputs) == len(lines)
    tokens = dict(zip(names, last.split(), strict=True))
    by_line = dict(zip(lines, outputs, strict=True))
    answers = [_answer(line, output) for line, output in by_line.items() if line.startswith("curl ")]
    return Walk(demo, tokens, answers, next(output for line, output in by_line.items() if " audit list " in line))


def _answer(command: str, output: str) -> Answer:
    head, _, body = output.replace("\r\n", "\n").partition("\n\n")
    status, *fields = head.split("\n")
    headers = {match[1].lower(): match[2] for match in map(_HEADER.fullmatch, fields) if match}
    is_json = headers["content-type"] in ("application/json", "application/problem+json")
    return Answer(command, int(status.split(" ")[1]), headers, json.loads(body) if is_json else body)


def test_the_demo_prints_its_table_and_lines_to_copy(demo: Demo) -> None:
    issuer = f"http://localhost:{demo.port}/t"
    assert re.search(rf"^  acme +{issuer}/acme +alice, bob, mallory$", demo.banner, re.MULTILINE)
    assert re.search(rf"^  globex +{issuer}/globex +carol, bob$", demo.banner, re.MULTILINE)
    assert len(demo.lines_to_copy) == 13
    assert set(demo.service_secrets) == {"acme", "globex"}


def test_alice_gets_a_token_and_her_order(walk: Walk) -> None:
    said = claims(walk.tokens["ALICE"])
    assert said["iss"] == f"http://localhost:{walk.demo.port}/t/acme"
    assert said["aud"] == f"http://127.0.0.1:{walk.demo.port}"
    assert sorted(said["scope"].split()) == ["orders:read", "orders:write", "ws"]
    answer = walk.answer("$ALICE", "/orders/7")
    assert answer.status == 200
    assert answer.body["path"] == "/orders/7"
    seen = answer.seen_by_the_api
    assert seen["x-yett-tenant"] == "acme"
    assert seen["x-yett-subject"] == said["sub"]
    assert seen["x-yett-client"] == "demo-app"
    assert seen["x-request-id"] == answer.headers["x-request-id"]
    assert "authorization" not in seen


def test_without_a_token_it_is_401(walk: Walk) -> None:
    answer = walk.answer("curl -i http", "/orders/7")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="yett", resource_metadata="http://127.0.0.1:')
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["code"] == "token_missing"
    assert answer.body["request_id"] == answer.headers["x-request-id"]


def test_bob_lacks_the_scope_and_is_told_which(walk: Walk) -> None:
    answer = walk.answer("-X POST", "$BOB", "/orders")
    assert answer.status == 403
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="orders:write"' in challenge


def test_what_is_public_needs_no_token(walk: Walk) -> None:
    answer = walk.answer("/public/x")
    assert answer.status == 200
    assert not [name for name in answer.seen_by_the_api if name.startswith("x-yett-")]


def test_carol_is_of_another_tenant(walk: Walk) -> None:
    answer = walk.answer("$CAROL", "/orders/7")
    assert answer.status == 200
    assert answer.seen_by_the_api["x-yett-tenant"] == "globex"
    assert answer.seen_by_the_api["x-yett-subject"] == claims(walk.tokens["CAROL"])["sub"]


def test_events_come_one_by_one(walk: Walk) -> None:
    answer = walk.answer("/events")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.body.startswith('id: 0\ndata: {"number": 0}\n\nid: 1\n')


def test_admin_wants_the_scope_first_and_then_a_second_factor(walk: Walk) -> None:
    without_scope = walk.answer("$ALICE", "/admin/x")
    assert without_scope.status == 403
    assert 'error="insufficient_scope"' in without_scope.headers["www-authenticate"]
    assert 'scope="admin"' in without_scope.headers["www-authenticate"]
    assert claims(walk.tokens["ADMIN"])["scope"] == "admin"
    step_up = walk.answer("$ADMIN", "/admin/x")
    assert step_up.status == 401
    assert 'error="insufficient_user_authentication"' in step_up.headers["www-authenticate"]  # RFC 9470


def test_the_log_shows_every_login_and_every_refusal(walk: Walk) -> None:
    listed = yett("audit", "list", "--data", walk.demo.data, "--json").json
    users = {
        "ALICE": ("acme", "alice"),
        "BOB": ("acme", "bob"),
        "CAROL": ("globex", "carol"),
        "ADMIN": ("acme", "alice"),
    }
    for user, (tenant, name) in users.items():
        subject = claims(walk.tokens[user])["sub"]
        sid = claims(walk.tokens[user])["sid"]
        (login,) = [event for event in listed if event.get("session_id") == sid]
        assert (login["type"], login["outcome"]) == ("login.succeeded", "success")
        assert (login["tenant"], login["subject"], login["user_name"]) == (tenant, subject, name)
        assert login["request_id"]
    refusals = {
        ("curl -i http", "/orders/7"): ("platform", None, "token_missing", 401),
        ("-X POST", "$BOB"): ("acme", "BOB", "insufficient_scope", 403),
        ("$ALICE", "/admin/x"): ("acme", "ALICE", "insufficient_scope", 403),
        ("$ADMIN", "/admin/x"): ("acme", "ADMIN", "insufficient_user_authentication", 401),
    }
    for words, (tenant, variable, reason, status) in refusals.items():
        answer = walk.answer(*words)
        (refusal,) = [event for event in listed if event.get("request_id") == answer.headers["x-request-id"]]
        assert (refusal["tenant"], refusal["reason"], refusal["status"]) == (tenant, reason, status)
        assert refusal.get("subject") == (None if variable is None else claims(walk.tokens[variable])["sub"])
        assert refusal["outcome"] == "refused"


def test_the_printed_list_is_for_people(walk: Walk) -> None:
    header, *rows = [line for line in walk.listed.splitlines() if line]
    assert header.split()[:5] == ["TIME", "TENANT", "TYPE", "SEVERITY", "REASON"]
    text = "\n".join(rows)
    assert len(re.findall(r"acme +login\.succeeded", text)) >= 3
    assert len(re.findall(r"globex +login\.succeeded", text)) >= 1
    assert "insufficient_user_authentication" in text


def test_no_secret_is_in_the_demos_events(walk: Walk) -> None:
    listed = yett("audit", "list", "--data", walk.demo.data, "--json").out
    assert "correct horse" not in listed
    assert "eyJ" not in listed
    assert not re.search(r"y(cs|rt)_[A-Za-z0-9_-]{20}", listed)


def test_a_handful_of_failed_logins_is_a_detection_that_the_list_shows(walk: Walk) -> None:
    """The whole way: the token endpoint, the outbox, the log, the look through it, the command line."""
    data = ("--data", walk.demo.data)
    yett("tenant", "configure", "globex", "--detection", "accounts_from_network=4/10m", *data)
    for name in ("anna", "ben", "CAROL", "carol", "bob"):
        guess = {"grant_type": "password", "username": name, "password": "a guess, and a wrong one"}
        asked = Request(f"http://localhost:{walk.demo.port}/t/globex/token", urlencode(guess).encode())
        with pytest.raises(HTTPError) as refused, urlopen(asked, timeout=20):
            pass
        assert json.loads(refused.value.read())["error"] == "invalid_grant"
    only = ("--tenant", "globex", "--type", "detection.*", "--severity", "high", "--json")
    (told,) = eventually(
        lambda: yett("audit", "list", *only, *data).json, within=30, what="the detection in the log of globex"
    )
    assert (told["type"], told["count"], told["address"]) == ("detection.accounts_from_network", 4, "127.0.0.1")
    listed = yett("audit", "list", "--tenant", "acme", "--type", "detection.*", "--json", *data).json
    assert [one["type"] for one in listed if one["type"].endswith("from_network")] == []


@pytest.fixture
def kept(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo that has ended; its folder is kept."""
    first = Demo(free_port(), free_port(), tmp_path_factory.mktemp("kept"))
    try:
        first.wait_until_ready()
        first.stop()
    finally:
        first.discard()
    return first


def test_a_demo_on_a_kept_folder_goes_on_where_it_stopped(kept: Demo) -> None:
    tenants = yett("tenant", "list", "--data", kept.data, "--json").json
    again = Demo(kept.port, kept.management_port, kept.folder)
    try:
        again.wait_until_ready()
        assert again.banner
        again.stop()
    finally:
        again.discard()
    assert yett("tenant", "list", "--data", kept.data, "--json").json == tenants
    other = yett("demo", "--port", str(free_port()), "--management-port", str(free_port()), "--data", kept.data)
    assert other.code == 1
    assert other.err == (
        f"yett: the demo in this folder was made as http://localhost:{kept.port}/t/acme, and an issuer is fixed at "
        "creation: use the same --port again, or another --data\n"
    )
