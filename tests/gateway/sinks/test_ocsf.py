"""The form ``ocsf``: each type of event of ours is what the published schema says that one of its class is.

``vectors/ocsf.json`` has the schema's facts: an attribute that does not stand there is none.
"""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from gateway.sinks.ocsf import ocsf
from gateway.sinks.ocsf_types import CHECKPOINT, DETECTION_FINDING, METHODS, SEVERITIES, TYPES, VERSION
from gateway.sinks.record import parsed
from policies.severity import LEVELS, STOLEN
from tenants.audit_event import Event, encode
from tests.gateway.sinks.receiving import AT, TENANT, checkpoint

SCHEMA = json.loads((Path(__file__).parents[2] / "vectors" / "ocsf.json").read_text(encoding="utf-8"))
INTEGERS = {"integer_t", "long_t", "timestamp_t", "port_t"}
TEXTS = {"string_t", "username_t", "hostname_t", "url_t", "email_t", "uuid_t", "resource_uid_t", "datetime_t"}
EVENT_ID = TENANT

FULL: dict[str, Any] = {
    "reason": "wrong_password",
    "subject": "9a0c3a0e-0000-4000-8000-000000000001",
    "user_name": "alice",
    "client_id": "app",
    "session_id": "9a0c3a0e-0000-4000-8000-000000000002",
    "actor": "cli:root",
    "request_id": "r" * 32,
    "address": "2001:db8::1",
    "route": "orders",
    "method": "GET",
    "path": "/orders/1",
    "status": 403,
    "count": 3,
    "config": "c" * 64,
    "details": {"scopes": ["a"], "role": "reader", "kid": "k", "name": "n"},
}
BARE: dict[str, Any] = {}
SERVICE: dict[str, Any] = {"subject": "app", "client_id": "app", "address": "192.0.2.0/24", "method": "BREW"}


def problems(value: Any, model: dict[str, Any], at: str) -> list[str]:
    """Everything that the schema says against it."""
    found: list[str] = []
    attributes = model["attributes"]
    for name, facts in attributes.items():
        if facts.get("required") and name not in value:
            found.append(f"{at}.{name} is missing")
    alternatives = model.get("constraints", {}).get("at_least_one")
    if alternatives and not set(alternatives) & set(value):
        found.append(f"{at} has none of {alternatives}")
    for name, held in value.items():
        facts = attributes.get(name)
        if facts is None:
            found.append(f"{at}.{name} is no attribute")
            continue
        if facts.get("list") and not isinstance(held, list):
            found.append(f"{at}.{name} is no list")
            continue
        for item in held if facts.get("list") else [held]:
            found += one(item, facts, f"{at}.{name}")
    return found


def one(held: Any, facts: dict[str, Any], at: str) -> list[str]:
    kind = facts["type"]
    if facts.get("object"):
        if not isinstance(held, dict):
            return [f"{at} is no object"]
        return [] if kind == "object" else problems(held, SCHEMA["objects"][kind], at)
    if kind in INTEGERS:
        good = isinstance(held, int) and not isinstance(held, bool)
    elif kind == "ip_t":
        good = isinstance(held, str) and bool(ip_address(held))
    elif kind == "boolean_t":
        good = isinstance(held, bool)
    else:
        assert kind in TEXTS, f"{at}: {kind}"
        good = isinstance(held, str) and held != ""
    if good and "enum" in facts and held not in facts["enum"]:
        return [f"{at} is {held}, not one of {facts['enum']}"]
    return [] if good else [f"{at} is no {kind}: {held!r}"]


def event(type_: str, outcome: Any = "success", **fields: Any) -> dict[str, Any]:
    return parsed(encode(Event(type_, outcome, **fields), event_id=EVENT_ID, tenant_id=TENANT, at=AT))


def test_the_vector_is_of_the_version_that_is_said() -> None:
    assert SCHEMA["version"] == VERSION


@pytest.mark.parametrize("fields", [FULL, BARE, SERVICE], ids=["full", "bare", "service"])
@pytest.mark.parametrize("outcome", ["success", "refused", "notice"])
def test_every_type_is_valid(fields: dict[str, Any], outcome: str) -> None:
    for type_ in (*TYPES, "of.a_later_release"):
        made = ocsf(event(type_, outcome, **fields), "acme", 7)
        model = SCHEMA["classes"][str(made["class_uid"])]
        assert problems(made, model, type_) == []
        assert made["class_name"] == model["name"]
        assert made["type_uid"] in model["attributes"]["type_uid"]["enum"]
        assert json.loads(json.dumps(made)) == made


def test_what_is_left_of_an_erased_event_is_valid_whatever_its_type() -> None:
    for type_ in TYPES:
        whole = event(type_, **BARE)
        left = {name: whole[name] for name in ("id", "tenant_id", "time", "type")} | {
            "erased": True,
            "leaf": "bGVhZg==",
        }
        made = ocsf(left, "acme", 7)
        assert problems(made, SCHEMA["classes"][str(made["class_uid"])], type_) == []
        assert made["unmapped"] == {"tenant": "acme", "erased": True, "leaf": "bGVhZg=="}
        assert "status_id" not in made or made["class_uid"] == DETECTION_FINDING  # which is new, and has no outcome


def test_a_checkpoint_is_valid_and_keeps_its_note_as_it_was_signed() -> None:
    record = checkpoint("ocsf")
    made = json.loads(record.body)
    assert problems(made, SCHEMA["classes"]["1008"], CHECKPOINT) == []
    assert (made["class_uid"], made["activity_id"], made["severity_id"]) == (1008, 99, 1)
    assert (made["metadata"]["event_code"], made["metadata"]["uid"]) == ("audit.checkpoint", record.id)
    assert "sequence" not in made["metadata"]
    told = {name: record.event[name] for name in ("origin", "size", "root", "note")}
    assert made["unmapped"] == {"tenant": "acme", **told}


def test_a_wrong_one_is_found() -> None:
    made = ocsf(event("login.succeeded", **FULL), "acme", 7)
    model = SCHEMA["classes"]["3002"]
    for wrong in (
        {"activity_id": 77},
        {"user": {}},
        {"time": "now"},
        {"nonsense": 1},
        {"src_endpoint": {"port": "x", "ip": "192.0.2.1"}},
        {"metadata": {"version": VERSION}},
    ):
        assert len(problems(made | wrong, model, "login")) == 1, wrong
    assert len(problems({k: v for k, v in made.items() if k != "severity_id"}, model, "login")) == 1


def test_a_failed_login_says_who_where_and_why() -> None:
    made = ocsf(
        event("login.refused", "refused", reason="wrong_password", subject="u1", address="192.0.2.1"), "acme", 3
    )
    assert (made["class_uid"], made["activity_id"], made["status_id"]) == (3002, 1, 2)
    assert (made["status_detail"], made["severity_id"], made["user"]["uid"]) == ("wrong_password", 2, "u1")
    assert made["src_endpoint"] == {"ip": "192.0.2.1"}
    assert made["metadata"]["uid"] == str(EVENT_ID)
    assert made["metadata"]["sequence"] == 3
    assert made["time"] == int(AT.timestamp() * 1000)
    assert made["unmapped"]["tenant"] == "acme"


def test_the_requests_method_is_the_activity() -> None:
    for method, activity in METHODS.items():
        assert ocsf(event("request.refused", "refused", method=method), "acme", 0)["activity_id"] == activity


def test_what_says_that_a_token_was_stolen_is_of_high_severity() -> None:
    for reason in STOLEN:
        assert ocsf(event("token.refused", "refused", reason=reason), "acme", 0)["severity_id"] == 4


@pytest.mark.parametrize("severity", LEVELS)
def test_an_events_own_severity_is_the_schemas(severity: Any) -> None:
    made = ocsf(event("of.a_later_release", "notice", severity=severity), "acme", 0)
    assert (made["severity_id"], made["severity"].lower()) == (SEVERITIES[severity], severity)


def test_a_severity_of_a_later_release_is_none() -> None:
    assert ocsf(event("user.created") | {"severity": "fatal"}, "acme", 0)["severity_id"] == 1


def test_a_detection_is_a_new_finding() -> None:
    told = event("detection.accounts_from_network", "notice", severity="high", count=30, address="192.0.2.1")
    made = ocsf(told, "acme", 5)
    assert (made["class_uid"], made["type_uid"], made["severity_id"]) == (2004, 200401, 4)
    assert (made["status_id"], made["status"]) == (1, "New")
    assert made["finding_info"]["related_events_count"] == 30
    assert made["unmapped"]["address"] == "192.0.2.1"


def test_nothing_of_an_event_is_lost() -> None:
    """Each value stands somewhere, whatever the type."""
    for type_ in TYPES:
        told = event(type_, "refused", **FULL)
        text = json.dumps(ocsf(told, "acme", 0))
        for name, value in told.items():
            if name not in ("v", "outcome"):
                assert json.dumps(value).strip('"') in text, (type_, name)
