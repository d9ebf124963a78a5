"""Redirect URIs are strings (RFC 9700 section 4.1.3); vectors in tests/vectors/redirect_uris.json."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.redirect_uri import carries_answer, matches

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "redirect_uris.json").read_text(encoding="utf-8"))
REGISTERED = "https://app.example.com/callback"
LOOPBACK = "http://127.0.0.1/callback"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    assert matches(vector["asked"], vector["registered"]) is vector["allowed"]


def test_there_are_enough_vectors_and_each_is_another() -> None:
    assert len({(vector["asked"], *vector["registered"]) for vector in VECTORS}) == len(VECTORS) >= 60


@given(st.text())
def test_no_other_string_is_the_registered_one(asked: str) -> None:
    assert matches(asked, [REGISTERED]) is (asked == REGISTERED)


@given(st.text(max_size=8), st.text(max_size=8))
def test_only_a_port_stands_between_host_and_path(between: str, behind: str) -> None:
    asked = f"http://127.0.0.1{between}/callback{behind}"
    port = between.removeprefix(":")
    is_port = between == "" or (
        between.startswith(":") and port.isascii() and port.isdecimal() and 0 < int(port) < 65536 and port[0] != "0"
    )
    assert matches(asked, [LOOPBACK]) is (is_port and behind == "")


def test_another_port_makes_it_no_longer_than_it_may_be() -> None:
    registered = LOOPBACK.ljust(2000, "x")
    assert matches(registered, [registered])
    assert not matches(registered.replace("/callback", ":53123/callback"), [registered])


@pytest.mark.parametrize("name", ["code", "%63ode", "state", "iss", "error"])
def test_a_parameter_of_an_answer_is_found_wherever_it_stands(name: str) -> None:
    assert carries_answer(f"{REGISTERED}?a=1&{name}=x#y")
    assert not carries_answer(f"{REGISTERED}/{name}=x")
