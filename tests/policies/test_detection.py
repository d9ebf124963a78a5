"""What of a log is told, by ``vectors/detections.json``; and that strangers fill neither memory nor log."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.detection import DEFAULTS, KINDS, Detection, Fact, Kind, Watch, network_of
from policies.severity import LEVELS, severity_of
from policies.sightings import MOST_MEMBERS, MOST_TOLD, Rule

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "detections.json").read_text(encoding="utf-8"))["vectors"]
BEGIN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def facts(events: list[Any]) -> Iterator[Fact]:
    for number, (seconds, fields, *repeated) in enumerate(events):
        times, between = repeated or (1, 0)
        for n in range(times):
            said: dict[str, Any] = {
                name: value.format(n=n) if isinstance(value, str) else value for name, value in fields.items()
            }
            said |= {"parts": tuple(said["parts"])} if "parts" in said else {}
            yield Fact(BEGIN + timedelta(seconds=seconds + n * between), f"{number}-{n}", **said)


def rules_of(vector: Mapping[str, Any]) -> Mapping[Kind, Rule]:
    if "rules" not in vector:
        return DEFAULTS
    return {kind: Rule(threshold, timedelta(seconds=window)) for kind, (threshold, window) in vector["rules"].items()}


def told(found: list[Detection]) -> list[list[Any]]:
    return [[int((one.fact.at - BEGIN).total_seconds()), one.kind, one.number] for one in found]


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
def test_a_log_is_told_of_as_its_vector_says(vector: dict[str, Any]) -> None:
    watch = Watch(rules_of(vector), {})
    found = [detection for fact in facts(vector["events"]) for detection in watch.look(fact)]
    assert told(found) == vector["told"]


@pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in VECTORS])
def test_it_makes_no_difference_how_often_what_was_seen_is_put_away(vector: dict[str, Any]) -> None:
    kept: dict[str, Any] = {}
    found = []
    for number, fact in enumerate(facts(vector["events"])):
        watch = Watch(rules_of(vector), kept)
        found += watch.look(fact)
        kept = watch.stored() if number % 7 else json.loads(json.dumps(watch.stored()))
    assert told(found) == vector["told"]


def test_every_kind_has_a_vector_a_default_and_a_severity() -> None:
    assert {kind for vector in VECTORS for _, kind, _ in vector["told"]} == set(KINDS) == set(DEFAULTS)
    assert all(severity_of(f"detection.{kind}", None, {}) in LEVELS for kind in KINDS)


def refused(n: int, *, subject: str | None, network: str, seconds: int = 0) -> Fact:
    at = BEGIN + timedelta(seconds=seconds)
    return Fact(at, str(n), "login.refused", "wrong_password", subject, f"tag-{n}", f"client-{n}", network)


def test_a_flood_of_networks_names_and_clients_stays_small() -> None:
    watch = Watch(DEFAULTS, {})
    for n in range(2000):
        watch.look(refused(n, subject=f"user-{n}", network=f"2001:db8:{n:x}::/48"))
        watch.look(Fact(BEGIN, f"a-{n}", "token.refused", "code_unknown", network=f"10.0.{n >> 8}.{n & 255}"))
        watch.look(Fact(BEGIN, f"b-{n}", "login.succeeded", subject=f"user-{n}", new_device=True))
    kept = watch.stored()
    assert sum(len(seen) for seen in kept["accounts_from_network"]["members"].values()) <= MOST_MEMBERS
    assert len(json.dumps(kept)) < 150_000


def test_a_sprayer_is_not_forgotten_for_a_crowd() -> None:
    watch = Watch(DEFAULTS, {})
    found: list[Detection] = []
    for n in range(1500):
        found += watch.look(refused(n, subject=f"user-{n}", network=f"10.{n >> 8}.{n & 255}.1"))
        if n % 40 == 0:
            found += watch.look(refused(-n, subject=f"tried-{n}", network="192.0.2.66"))
    assert [(one.kind, one.fact.network) for one in found] == [("accounts_from_network", "192.0.2.66")]


def test_so_many_of_a_kind_are_told_in_a_window_and_the_last_says_so() -> None:
    watch = Watch(DEFAULTS, {})
    found: list[Detection] = []
    for network in range(60):
        for n in range(30):
            found += watch.look(refused(n, subject=f"user-{n}", network=f"10.0.0.{network}", seconds=network))
    spraying = [one for one in found if one.kind == "accounts_from_network"]
    assert [one.last for one in spraying] == [False] * (MOST_TOLD - 1) + [True]
    later = [watch.look(refused(n, subject=f"user-{n}", network="10.1.1.1", seconds=660)) for n in range(30)]
    assert [one.kind for one in later[-1] if one.kind == "accounts_from_network"] == ["accounts_from_network"]


def test_many_that_are_unlikely_use_up_nothing_of_what_is_impossible() -> None:
    watch = Watch(DEFAULTS, {})
    for network in range(30):
        watch.look(Fact(BEGIN, f"{network}", "token.refused", "code_unknown", network=f"10.0.0.{network}", times=20))
    stolen = Fact(BEGIN, "stolen", "token.refused", "client_mismatch", client_id="app", network="192.0.2.1")
    assert [one.fact.reason for one in watch.look(stolen) if one.kind == "steps_out_of_order"] == ["client_mismatch"]


def test_what_real_users_do_is_told_of_each_however_many_they_are() -> None:
    watch = Watch(DEFAULTS, {})
    login = [Fact(BEGIN, str(n), "login.succeeded", subject=f"user-{n}", new_device=True) for n in range(900)]
    assert sum(len(watch.look(fact)) for fact in login) == 900


def test_a_clock_that_was_wrong_keeps_nobody_quiet() -> None:
    watch = Watch(DEFAULTS, {})
    new = Fact(BEGIN + timedelta(days=900), "1", "login.succeeded", subject="alice", new_device=True)
    assert len(watch.look(new)) == 1
    assert len(watch.look(new._replace(at=BEGIN, id="2"))) == 1
    ahead = Fact(BEGIN + timedelta(days=900), "3", "token.refused", "x", client_id="app", times=9000)
    assert len(watch.look(ahead)) == 1
    assert len(watch.look(ahead._replace(at=BEGIN, id="4"))) == 1


def test_what_another_version_kept_is_forgotten() -> None:
    watch = Watch(DEFAULTS, {"v": 99, "new_device": {"unheard": "of"}})
    assert watch.stored() == {"v": 1}


def test_nothing_that_is_kept_says_who_it_was() -> None:
    watch = Watch(DEFAULTS, {})
    watch.look(refused(1, subject="alice", network="192.0.2.1"))
    assert not any(word in json.dumps(watch.stored()) for word in ("alice", "192.0.2.1", "tag-1", "client-1"))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1/32", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("", None),
        (None, None),
        ("unix", None),
    ],
)
def test_a_network_is_one_partys(address: str | None, network: str | None) -> None:
    assert network_of(address) == network
