"""Refresh tokens: rotation, the answer that was lost, reuse, and scopes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.decision import Deny
from policies.refresh import RefreshDecision, RefreshFacts, ReplaySuccessor, Reuse, Rotate, decide

NOW = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
GRANTED = frozenset({"orders:read", "orders:write"})
SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=10)
FRESH = RefreshFacts(
    client_id="demo-app",
    granted=GRANTED,
    idle_expires_at=NOW + timedelta(days=30),
    family_expires_at=NOW + timedelta(days=90),
    family_revoked=False,
    session_ended=False,
)
SPENT = replace(FRESH, consumed_at=NOW - SECOND, successor_kept=True)


def decided(token: RefreshFacts, **changes: Any) -> RefreshDecision:
    asked = {"client_id": "demo-app", "asked": None, "permitted": GRANTED, "now": NOW, "grace": GRACE}
    return decide(token, **(asked | changes))


def test_a_fresh_token_rotates_with_the_whole_grant() -> None:
    assert decided(FRESH) == Rotate(GRANTED)
    assert decided(FRESH, asked="") == Rotate(GRANTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"family_revoked": True}, "family_revoked"),
        ({"session_ended": True}, "session_ended"),
        ({"family_expires_at": NOW}, "family_expired"),
        ({"idle_expires_at": NOW}, "refresh_expired"),
    ],
)
def test_a_token_that_has_ended_is_denied(change: dict[str, Any], reason: str) -> None:
    assert decided(replace(FRESH, **change)) == Deny(reason)


def test_another_clients_token_is_denied_and_its_family_left_alone() -> None:
    assert decided(FRESH, client_id="other") == Deny("client_mismatch")
    assert decided(replace(SPENT, consumed_at=NOW - timedelta(days=1)), client_id="other") == Deny("client_mismatch")


def test_a_lost_answer_is_given_again_within_the_grace() -> None:
    assert decided(SPENT) == ReplaySuccessor(GRANTED)
    assert decided(replace(SPENT, consumed_at=NOW - GRACE)) == ReplaySuccessor(GRANTED)


@pytest.mark.parametrize(
    "change",
    [
        {"consumed_at": NOW - GRACE - SECOND},
        {"consumed_at": NOW + GRACE + SECOND},
        {"successor_kept": False},
        {"successor_consumed": True},
    ],
)
def test_a_spent_token_that_comes_back_is_reuse(change: dict[str, Any]) -> None:
    assert decided(replace(SPENT, **change)) == Reuse()


def test_reuse_is_found_after_the_tokens_own_expiry_and_whatever_is_asked() -> None:
    stolen = replace(SPENT, consumed_at=NOW - timedelta(days=40), idle_expires_at=NOW - timedelta(days=10))
    assert decided(stolen) == Reuse()
    assert decided(stolen, asked="no  grammar") == Reuse()


@pytest.mark.parametrize("change", [{"family_revoked": True}, {"session_ended": True}, {"family_expires_at": NOW}])
def test_there_is_no_replay_of_what_has_ended(change: dict[str, Any]) -> None:
    assert isinstance(decided(replace(SPENT, **change)), Deny)


def test_a_narrower_scope_is_given_and_the_next_time_the_whole_again() -> None:
    assert decided(FRESH, asked="orders:read") == Rotate(frozenset({"orders:read"}))
    assert decided(FRESH) == Rotate(GRANTED)
    assert decided(SPENT, asked="orders:read") == ReplaySuccessor(frozenset({"orders:read"}))


@pytest.mark.parametrize("asked", ["admin", "orders:read admin"])
def test_a_wider_scope_is_invalid(asked: str) -> None:
    assert decided(FRESH, asked=asked) == Deny("invalid_scope", scopes=frozenset({"admin"}))


def test_a_scope_without_grammar_is_invalid() -> None:
    assert decided(FRESH, asked="orders:read  orders:write") == Deny("invalid_scope")


def test_what_was_taken_from_the_user_is_not_granted_again() -> None:
    left = frozenset({"orders:read"})
    assert decided(FRESH, permitted=left) == Rotate(left)
    assert decided(FRESH, permitted=frozenset()) == Rotate(frozenset())
    assert decided(FRESH, permitted=left, asked="orders:write") == Deny("invalid_scope", frozenset({"orders:write"}))


def test_what_was_given_since_is_not_granted_by_a_refresh() -> None:
    assert decided(FRESH, permitted=GRANTED | {"admin"}) == Rotate(GRANTED)


def test_a_bound_token_is_spent_by_who_holds_its_key_and_its_family_is_left_alone() -> None:
    bound = replace(FRESH, bound_to="a")
    assert decided(bound, shown="a") == Rotate(GRANTED)
    assert decided(bound) == Deny("dpop_proof_missing")
    assert decided(bound, shown="b") == Deny("dpop_key_mismatch")
    reused = replace(bound, consumed_at=NOW - timedelta(days=1))
    assert decided(reused, shown="b") == Deny("dpop_key_mismatch")
    assert decided(reused, shown="a") == Reuse()
    assert decided(bound, client_id="other", shown="b") == Deny("client_mismatch")


def test_a_key_beside_a_token_that_is_not_bound_changes_nothing() -> None:
    assert decided(FRESH, shown="a") == Rotate(GRANTED)
