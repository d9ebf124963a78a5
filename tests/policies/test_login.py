"""Whether a login may be completed: every fact must be for it, and the order of the reasons is fixed."""

from dataclasses import replace

import pytest

from policies.decision import Allow, Deny
from policies.login import LoginFacts, complete

GOOD = LoginFacts(
    user_known=True,
    user_active=True,
    tenant_active=True,
    password_matched=True,
    verified_version=3,
    credential_version=3,
)


def test_all_facts_for_it_allow() -> None:
    assert complete(GOOD) == Allow()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_known": False}, "unknown_user"),
        ({"password_matched": False}, "wrong_password"),
        ({"credential_version": None}, "wrong_password"),
        ({"credential_version": 4}, "password_changed_meanwhile"),
        ({"verified_version": None}, "password_changed_meanwhile"),
        ({"user_active": False}, "user_disabled"),
        ({"tenant_active": False}, "tenant_suspended"),
    ],
)
def test_one_fact_against_it_denies(change: dict[str, bool | int | None], reason: str) -> None:
    assert complete(replace(GOOD, **change)) == Deny(reason)  # type: ignore[arg-type]


def test_a_user_without_a_password_never_logs_in_by_one() -> None:
    assert complete(replace(GOOD, verified_version=None, credential_version=None)) == Deny("wrong_password")


def test_who_does_not_know_the_password_learns_nothing_of_user_or_tenant() -> None:
    facts = replace(GOOD, password_matched=False, user_active=False, tenant_active=False)

    assert complete(facts) == Deny("wrong_password")


def test_nothing_known_denies() -> None:
    facts = LoginFacts(
        user_known=False,
        user_active=False,
        tenant_active=False,
        password_matched=False,
        verified_version=None,
        credential_version=None,
    )

    assert complete(facts) == Deny("unknown_user")
