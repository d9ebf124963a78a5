"""What a device code earns in each of its states, and every spelling of a user code that a person may use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decision import Allow, Deny
from policies.device_code import (
    ALPHABET,
    LENGTH,
    DeviceCodeDecision,
    DeviceCodeFacts,
    Pending,
    decide,
    normalised,
    shown,
)

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FACTS = DeviceCodeFacts("tv", NOW + MINUTE)


def of_tv(facts: DeviceCodeFacts, now: datetime = NOW) -> DeviceCodeDecision:
    return decide(facts, client_id="tv", now=now)


def test_nobody_has_decided() -> None:
    assert of_tv(FACTS) == Pending()


def test_an_approved_code_is_good() -> None:
    assert of_tv(replace(FACTS, approved=True)) == Allow()


def test_a_denied_code_is_denied() -> None:
    assert of_tv(replace(FACTS, denied=True)) == Deny("device_code_denied")


def test_no_outweighs_yes() -> None:
    assert of_tv(replace(FACTS, approved=True, denied=True)) == Deny("device_code_denied")


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("denied", [False, True])
def test_it_is_over_when_its_time_is_whatever_was_said(approved: bool, denied: bool) -> None:
    facts = replace(FACTS, approved=approved, denied=denied)
    assert of_tv(facts, NOW + MINUTE) == Deny("device_code_expired")
    assert of_tv(facts, NOW + MINUTE - timedelta(microseconds=1)) != Deny("device_code_expired")


def test_a_used_code_is_used() -> None:
    facts = replace(FACTS, approved=True, consumed=True)
    for now in (NOW, NOW + MINUTE):
        assert of_tv(facts, now) == Deny("device_code_used")


@pytest.mark.parametrize("changes", [{}, {"approved": True}, {"denied": True}, {"approved": True, "consumed": True}])
def test_another_client_learns_nothing(changes: dict[str, bool]) -> None:
    facts = replace(FACTS, **changes)
    for now in (NOW, NOW + MINUTE):
        assert decide(facts, client_id="radio", now=now) == Deny("client_mismatch")


@pytest.mark.parametrize(
    "typed",
    [
        "WDJB-MJHT",
        "wdjb-mjht",
        "WdJbMjHt",
        " WDJB MJHT\n",
        "WDJB–MJHT",
        "W D J B . M J H T",
        "wdjb_mjht",
        "WDJB‑MJHT",
    ],
)
def test_capitals_and_separators_do_not_matter(typed: str) -> None:
    assert normalised(typed) == "WDJBMJHT"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-",
        "WDJB-MJH",
        "WDJB-MJHTT",
        "WDJB-MJHA",
        "WDJB-MJH1",
        "WDJB/MJHT",
        "WDJB-MJHT\0",
        "ＷDJB-MJHT",
        "WDJB-MJß",
        "ydc_WDJBMJHT",
        "W" * 65,
        "WDJB-MJHT" + " " * 60,
        "\ud800",
    ],
)
def test_what_is_no_code_is_none(typed: str) -> None:
    assert normalised(typed) is None


@given(st.text(st.sampled_from(ALPHABET), min_size=LENGTH, max_size=LENGTH))
def test_what_is_shown_is_read_again(plain: str) -> None:
    assert len(shown(plain)) == LENGTH + 1
    assert normalised(shown(plain)) == plain
    assert normalised(shown(plain).lower()) == plain


@given(st.text())
def test_any_text_is_a_code_of_the_alphabet_or_none(typed: str) -> None:
    plain = normalised(typed)
    assert plain is None or (len(plain) == LENGTH and set(plain) <= set(ALPHABET))


def test_the_alphabet_spells_no_word_and_looks_like_no_digit() -> None:
    assert len(set(ALPHABET)) == 20
    assert not set(ALPHABET) & set("AEIOUY0123456789")
