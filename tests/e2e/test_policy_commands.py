"""``yett policy``: what the configuration would decide, about one request, about a file of cases, about a day."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Result, yett
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway, claims

CONFIG = """\
public_url: https://auth.example.com
api_hosts: [api.example.com]
upstreams:
  orders: {targets: ["http://orders:8000"], audience: "https://api.example.com/orders"}
routes:
  - {name: read, match: {path: /orders/**, methods: [GET]}, require: {scopes: ["orders:read"]}, upstream: orders}
  - name: write
    match: {path: /orders/**, methods: [POST]}
    tenants: [acme]
    require: {all: [{scopes: ["orders:write"]}, {amr: [otp]}, {max_age: 15m}, {not: {claims: {plan: free}}}]}
    upstream: orders
  - {name: home, match: {path: /home}, require: {source_ip: [192.0.2.0/24]}, upstream: orders}
  - {name: trial, match: {path: /trial}, require: {scopes: [trial]}, shadow: true, upstream: orders}
  - {name: keys, match: {path: /keys}, require: {scopes: [k]}, api_keys: allow, upstream: orders}
  - {name: live, match: {path: /live}, require: {scopes: ["orders:read"]}, websocket: true, upstream: orders}
  - {name: open, match: {path: /open}, require: anonymous, upstream: orders}
"""
READ = "https://api.example.com/orders/7"
CASES = """\
cases:
  - name: a clerk reads
    request: GET https://api.example.com/orders/7
    token: {tenant: acme, scopes: ["orders:read"]}
    expect: allow
    route: read
  - {name: nobody reads, request: GET https://api.example.com/orders/7, expect: challenge, reason: token_missing}
  - name: an old login writes
    request: POST https://api.example.com/orders
    token: {tenant: acme, scopes: ["orders:write"], amr: [otp], auth_age: 16m, claims: {plan: gold}}
    expect: challenge
    reason: insufficient_user_authentication
  - name: an expired token
    request: GET https://api.example.com/orders/7
    token: {refused: token_expired}
    expect: challenge
    reason: token_expired
  - {name: home, request: GET https://api.example.com/home, token: {tenant: acme}, source_ip: 192.0.2.9, expect: allow}
  - {name: away, request: GET https://api.example.com/home, token: {tenant: acme}, expect: deny}
  - name: trial
    request: GET https://api.example.com/trial
    token: {tenant: acme}
    expect: allow
    would: {expect: deny, reason: insufficient_scope}
  - name: a clerk listens
    request: GET wss://api.example.com/live
    token: {tenant: acme, scopes: ["orders:read"]}
    expect: allow
    route: live
  - name: but not without a handshake
    request: GET https://api.example.com/live
    token: {tenant: acme, scopes: ["orders:read"]}
    expect: refuse
    reason: upgrade_required
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "yett.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def explain(config: Path, *arguments: str, stdin: str = "") -> Result:
    return yett("policy", "explain", *arguments, "--config", config, stdin=stdin)


def decided(config: Path, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = explain(config, *arguments, "--json", stdin=stdin)
    assert not done.err, done.err
    return done.code, done.json["decision"], done.json["reason"]


WRITES = ("POST", READ, "--tenant", "acme", "--scope", "orders:write", "--amr", "otp")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("GET", READ), (1, "challenge", "token_missing")),
        (("GET", READ, "--tenant", "acme", "--scope", "orders:read"), (0, "allow", "allowed")),
        (("GET", READ, "--tenant", "acme", "--scope", "other"), (1, "deny", "insufficient_scope")),
        (("GET", READ, "--tenant", "acme", "--audience", "urn:other"), (1, "challenge", "audience_mismatch")),
        ((*WRITES, "--auth-age", "5m", "--claim", "plan=gold"), (0, "allow", "allowed")),
        ((*WRITES, "--auth-age", "5m", "--claim", "plan=free"), (1, "deny", "excluded")),
        ((*WRITES, "--auth-age", "5m"), (1, "deny", "claim_missing")),
        ((*WRITES, "--claim", "plan=gold"), (1, "challenge", "insufficient_user_authentication")),
        (("POST", READ, "--tenant", "globex"), (1, "refuse", "method_not_allowed")),
        (("GET", "https://api.example.com/home", "--tenant", "acme"), (1, "deny", "source_not_allowed")),
        (
            ("GET", "https://api.example.com/home", "--tenant", "acme", "--source-ip", "192.0.2.1"),
            (0, "allow", "allowed"),
        ),
        (
            ("GET", READ, "--tenant", "acme", "--scope", "orders:read", "--api-key"),
            (1, "challenge", "api_key_not_allowed"),
        ),
        (
            ("GET", "https://api.example.com/keys", "--tenant", "acme", "--scope", "k", "--api-key"),
            (0, "allow", "allowed"),
        ),
        (("GET", "https://api.example.com/open?x=1"), (0, "allow", "allowed")),
        (("GET", "https://api.example.com/a//b"), (1, "refuse", "empty_segment")),
        (("GET", "https://auth.example.com/t/acme"), (1, "refuse", "no_api_host")),
    ],
)
def test_explain_decides_by_facts(config: Path, arguments: tuple[str, ...], expected: tuple[int, str, str]) -> None:
    assert decided(config, *arguments) == expected


def test_explain_shows_the_rule_that_took_the_decision(config: Path) -> None:
    done = explain(config, *WRITES, "--claim", "plan=gold")
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines() == [
        "challenge insufficient_user_authentication (answered 401)",
        "route: write",
        "> all(scopes(orders:write), amr(otp), max_age(900s), not(claims(plan='free'))): "
        "challenge insufficient_user_authentication",
        "    scopes(orders:write): allow",
        "    amr(otp): allow",
        ">   max_age(900s): challenge insufficient_user_authentication",
        "    not(claims(plan='free')): allow",
        "      claims(plan='free'): deny claim_not_allowed",
    ]


def test_explain_says_what_a_route_in_shadow_would_do(config: Path) -> None:
    done = explain(config, "GET", "https://api.example.com/trial", "--tenant", "acme")
    assert (done.code, done.out.splitlines()[0]) == (0, "allow (would deny insufficient_scope)")


def test_explain_takes_a_tokens_claims_at_a_time(config: Path) -> None:
    payload = {
        "iss": "https://auth.example.com/t/acme",
        "sub": "alice",
        "aud": "https://api.example.com/orders",
        "client_id": "app",
        "jti": "1",
        "scope": "orders:read",
        "iat": 1_800_000_000,
        "exp": 1_800_000_300,
    }
    given = ("GET", READ, "--claims-file", "-", "--tenant", "acme", "--at")
    assert decided(config, *given, "2027-01-15T08:00:10Z", stdin=json.dumps(payload)) == (0, "allow", "allowed")
    assert decided(config, *given, "2027-01-15T09:00:00Z", stdin=json.dumps(payload))[2] == "token_expired"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("GET", "/orders/7"), "must be a whole URL"),
        (("get", READ), "must be in capitals"),
        (("GET", READ, "--scope", "a"), "--tenant is missing"),
        (("GET", READ, "--tenant", "Acme"), "is no tenant's slug"),
        (("GET", READ, "--source-ip", "here"), "is no address"),
        (("GET", READ, "--at", "now"), "is no time"),
        (("GET", READ, "--tenant", "acme", "--claim", "plan"), "is not NAME=VALUE"),
        (("GET", READ, "--tenant", "acme", "--scope", "a", "--claims-file", "-"), "in one way"),
        (("GET", READ, "--tenant", "acme", "--claims-file", "-"), "is not JSON"),
        (("GET", READ, "--tenant", "acme", "--api-key", "--amr", "otp"), "an API key has neither"),
        (("GET", READ, "--token-file", "/nowhere"), "cannot be read"),
    ],
)
def test_explain_refuses_what_it_cannot_read_as_usage(config: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = explain(config, *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err


def test_all_cases_as_expected_exit_0(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text(CASES, encoding="utf-8")
    done = yett("policy", "test", tmp_path / "cases.yaml", "--config", config)
    assert (done.code, done.out) == (0, "9 of 9 cases are decided as expected\n"), done.err


def test_a_case_that_is_decided_otherwise_is_told_and_exits_1(config: Path, tmp_path: Path) -> None:
    changed = CASES.replace("expect: deny}", "expect: allow, route: read}").replace(
        "expect: deny, reason", "expect: allow, reason"
    )
    (tmp_path / "cases.yaml").write_text(changed, encoding="utf-8")
    done = yett("policy", "test", tmp_path / "cases.yaml", "--config", config)
    assert done.code == 1
    assert done.out.splitlines() == [
        "FAILED away: GET https://api.example.com/home: deny source_not_allowed",
        "  decision: expected allow, found deny",
        "  route: expected read, found home",
        "FAILED trial: GET https://api.example.com/trial: allow (would deny insufficient_scope)",
        "  would: expected allow, found deny",
        "7 of 9 cases are decided as expected",
    ]
    said = yett("policy", "test", tmp_path / "cases.yaml", "--config", config, "--json").json
    assert [failed["name"] for failed in said["failed"]] == ["away", "trial"]


def test_a_file_of_cases_in_json_is_read_too(config: Path, tmp_path: Path) -> None:
    case = {"name": "x", "request": f"GET {READ}", "expect": "challenge"}
    (tmp_path / "cases.json").write_text(json.dumps({"cases": [case]}, indent=1), encoding="utf-8")
    assert yett("policy", "test", tmp_path / "cases.json", "--config", config).code == 0


def test_every_problem_of_a_file_of_cases_is_told_with_its_line(config: Path, tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text(
        "cases:\n"
        "  - {name: a, request: /orders, expect: allow}\n"
        "  - {name: b, request: GET https://api.example.com/, expect: perhaps, colour: red}\n"
        "  - {name: c, request: GET https://api.example.com/}\n"
        "  - {name: d, request: GET https://a.test/, expect: allow, token: {tenant: A}, source_ip: x, at: 7}\n",
        encoding="utf-8",
    )
    done = yett("policy", "test", tmp_path / "cases.yaml", "--config", config)
    assert done.code == 3
    assert [line.split("cases.yaml:")[1].split(": ", 2)[:2] for line in done.err.splitlines()[1:]] == [
        ["2", "cases[0].request"],
        ["3", "cases[1].colour"],
        ["3", "cases[1].expect"],
        ["4", "cases[2].expect"],
        ["5", "cases[3].at"],
        ["5", "cases[3].source_ip"],
        ["5", "cases[3].token.tenant"],
    ]


def test_a_recorded_day_is_decided_again_and_the_token_of_a_user_explained(copy_of: Copy, tmp_path: Path) -> None:
    of = copy_of("sqlite")
    log = of.data / "access.jsonl"
    gateway = Gateway(of, of.data.parent, YETT_ACCESS_LOG__FILE=str(log))
    try:
        gateway.wait_until_ready()
        alice, bob = gateway.token("alice"), gateway.token("bob")
        for token, method in ((alice, "GET"), (bob, "GET"), (bob, "POST"), (None, "GET")):
            gateway.call("/orders/7", token, method=method)
        gateway.call("/public/x")
        eventually(lambda: log.exists() and log.read_text().count("\n") == 5, within=15, what="five lines")
        explained = [
            of.run("policy", "explain", "POST", READ, "--token-file", "-", "--json", stdin=token)
            for token in (alice, bob)
        ]
        gateway.close()
        gateway.stop()
    finally:
        gateway.close()
        gateway.discard()
    assert [(done.code, done.json["decision"]) for done in explained] == [(0, "allow"), (1, "deny")]
    assert claims(alice)["jti"] not in log.read_text()

    new = tmp_path / "new.yaml"
    new.write_text(of.config.read_text().replace('require: {scopes: ["orders:read"]}', "require: {scopes: [admin]}"))
    same = yett("policy", "diff", of.config, of.config, "--replay", log)
    assert (same.code, same.out) == (0, "0 of 5 requests would be decided otherwise\n")
    done = yett("policy", "diff", of.config, new, "--replay", log, "--json")
    assert (done.code, done.err) == (1, "")
    assert (done.json["decided"], done.json["changed"], done.json["otherwise"], done.json["partial"]) == (
        5,
        2,
        0,
        False,
    )
    changes = {
        (change["before"]["decision"], change["after"]["reason"]): change["count"] for change in done.json["changes"]
    }
    assert changes == {("allow", "insufficient_scope"): 2}
    told = yett("policy", "diff", of.config, new, "--replay", log)
    assert "orders-read  allow" in told.out
    assert "deny insufficient_scope" in told.out


def test_a_log_with_other_lines_is_read_as_far_as_it_can_be(config: Path, tmp_path: Path) -> None:
    line: dict[str, Any] = {
        "time": "2026-11-30T12:00:00.000000Z",
        "request_id": "0" * 32,
        "config": "x",
        "decision": "allow",
        "reason": "allowed",
        "route": "open",
        "method": "GET",
        "host": "api.example.com",
        "path": "/open",
        "address": "192.0.2.1",
        "token": "none",
        "sample": 0.1,
    }
    odd = line | {"request_id": "\u009b2J\ud800"}  # a terminal's control, and no character
    log = tmp_path / "access.jsonl"
    lines = [json.dumps(line), "nonsense", "x" * (3 * 1024 * 1024), json.dumps(line)]
    log.write_text("\n".join(lines), encoding="utf-8")
    new = tmp_path / "new.yaml"
    new.write_text(CONFIG.replace("require: anonymous", "require: {scopes: [a]}"), encoding="utf-8")
    done = yett("policy", "diff", config, new, "--replay", log)
    assert done.code == 1
    assert done.out.splitlines()[2:] == [
        "2 of 2 requests would be decided otherwise",
        "this is partial: 2 lines are samples of their kind; about 20 requests would change in all, and rare ones may "
        "not be here",
        "1 lines cannot be read: each is longer than 1 MiB",
        "1 lines cannot be read: each is not JSON",
        f"the first of them is line 2 of {log}",
    ]
    done = yett("policy", "diff", config, new, "--replay", "-", "--json", stdin=json.dumps(odd))
    assert (done.code, done.err, done.json["changes"][0]["example"]["request_id"]) == (1, "", odd["request_id"])
    assert done.out.isascii()
    gap = json.dumps({"event": "access_log.gap", "dropped": 1})
    log.write_text("nonsense\n" * 3 + gap, encoding="utf-8")
    done = yett("policy", "diff", config, new, "--replay", log)
    assert (done.code, "none of 4 lines can be decided" in done.err) == (1, True)
    done = yett("policy", "diff", config, new, "--replay", tmp_path / "nowhere")
    assert (done.code, "does not exist" in done.err) == (2, True)
