"""What an authorization request needs before it is answered (OpenID Connect Core section 3.1.2, RFC 9470)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from policies import acr, authorization
from policies.authorization import CONSENT, FRESH_LOGIN, LOGIN, STEP_UP, ConsentFacts, Person, RequestFacts
from policies.decision import Allow, Challenge, Deny
from policies.login import FactorRule, SessionFacts

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLAIN = RequestFacts(frozenset(), None, (), True, None, None)
SESSION = SessionFacts(acr.PASSWORD, {"pwd"}, NOW - HOUR, False, False, FactorRule())
ALICE = Person("alice", SESSION)
STRONG = Person("alice", replace(SESSION, acr=acr.MFA, amr={"pwd", "otp", "mfa"}, has_factor=True))
TRUSTED = Person("alice", replace(SESSION, has_factor=True, factor_waived=True, rule=FactorRule(devices_trusted=True)))


def none(request: RequestFacts) -> RequestFacts:
    return replace(request, prompt=request.prompt | {"none"})


def who(request: RequestFacts, person: Person | None = ALICE) -> Allow | Challenge | Deny:
    return authorization.who(request, person, NOW)


def begun(request: RequestFacts, ago: timedelta) -> RequestFacts:
    return replace(request, begun_at=NOW - ago)


def test_a_session_is_enough() -> None:
    assert who(PLAIN) == Allow()
    assert who(none(PLAIN)) == Allow()


def test_nobody_logs_in_as_the_request_wants() -> None:
    assert who(PLAIN, None) == Challenge(LOGIN)
    wanted = replace(PLAIN, acr_values=(acr.MFA,), max_age=HOUR)
    assert who(wanted, None) == Challenge(LOGIN, (acr.MFA,), 3600)
    assert who(none(PLAIN), None) == Deny("login_required")


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_a_login_that_is_asked_for_is_one_after_the_request_began(prompt: str) -> None:
    asked = replace(PLAIN, prompt=frozenset({prompt}))
    assert who(asked) == Challenge(FRESH_LOGIN)
    assert who(begun(asked, timedelta(minutes=1))) == Challenge(FRESH_LOGIN)
    assert who(begun(asked, 2 * HOUR)) == Allow()
    just_now = Person("alice", replace(SESSION, auth_time=NOW))
    assert who(asked, just_now) == Challenge(FRESH_LOGIN)  # a login before the request, however shortly
    assert who(begun(asked, timedelta()), just_now) == Allow()


def test_a_login_that_is_too_old_is_renewed() -> None:
    asked = replace(PLAIN, max_age=timedelta(minutes=59))
    assert who(replace(PLAIN, max_age=HOUR)) == Allow()
    assert who(asked) == Challenge(STEP_UP, (), 3540)
    assert who(none(asked)) == Deny("login_required")
    assert who(begun(asked, 2 * HOUR)) == Allow()  # it is the login that the request has led to


def test_max_age_zero_does_not_ask_for_ever() -> None:
    asked = replace(PLAIN, max_age=timedelta())
    assert who(asked) == Challenge(STEP_UP, (), 0)
    assert who(begun(asked, 2 * HOUR)) == Allow()


def test_a_trusted_device_never_meets_max_age() -> None:
    asked = replace(PLAIN, max_age=2 * HOUR)
    assert who(PLAIN, TRUSTED) == Allow()
    assert who(asked, TRUSTED) == Challenge(STEP_UP, (), 7200)
    assert isinstance(who(begun(asked, 2 * HOUR), TRUSTED), Challenge)


def test_a_context_class_is_reached_or_stepped_up_to() -> None:
    strong = replace(PLAIN, acr_values=(acr.MFA,))
    assert who(strong, STRONG) == Allow()
    assert who(strong) == Challenge(STEP_UP, (acr.MFA,))
    assert who(none(strong)) == Deny("login_required")
    assert who(replace(PLAIN, acr_values=(acr.MFA, acr.PASSWORD))) == Allow()  # any of them will do
    assert who(replace(PLAIN, acr_values=("unknown", acr.PASSWORD))) == Allow()


def test_a_context_class_that_cannot_be_had_is_said_so() -> None:
    nowhere = Person("alice", replace(SESSION, rule=FactorRule(offered=False)))
    strong = replace(PLAIN, acr_values=(acr.MFA,))
    assert who(strong, nowhere) == Deny("unmet_authentication_requirements")
    assert who(replace(PLAIN, acr_values=("unknown",)), None) == Deny("unmet_authentication_requirements")


def test_a_context_class_that_was_a_wish_stops_nothing() -> None:
    nowhere = Person("alice", replace(SESSION, rule=FactorRule(offered=False)))
    wish = replace(PLAIN, acr_values=(acr.MFA,), acr_essential=False)
    assert who(wish, nowhere) == Allow()
    assert who(none(wish)) == Allow()
    assert who(wish) == Challenge(STEP_UP, (acr.MFA,))
    assert who(replace(wish, acr_values=("unknown",))) == Allow()
    assert who(replace(wish, max_age=timedelta(minutes=1)), nowhere) == Challenge(STEP_UP, (), 60)


def test_only_the_user_that_is_named_will_do() -> None:
    bob = replace(PLAIN, subject="bob")
    assert who(replace(PLAIN, subject="alice")) == Allow()
    assert who(bob) == Challenge(FRESH_LOGIN)
    assert who(none(bob)) == Deny("login_required")
    assert who(begun(bob, 2 * HOUR)) == Deny("login_required")  # who has just logged in is another


ASKING = ConsentFacts(frozenset({"openid"}), frozenset({"api"}), False, {}, False)


def test_a_client_of_others_needs_a_consent() -> None:
    assert authorization.consent(PLAIN, ASKING) == Challenge(CONSENT)
    assert authorization.consent(none(PLAIN), ASKING) == Deny("consent_required")
    assert authorization.consent(PLAIN, replace(ASKING, given=True)) == Allow()
    assert authorization.consent(PLAIN, replace(ASKING, first_party=True)) == Allow()


@pytest.mark.parametrize(
    ("before", "decision"),
    [
        ({"api": {"openid"}}, Allow()),
        ({"api": {"openid", "email"}, "other": set()}, Allow()),
        ({"api": {"email"}}, Challenge(CONSENT)),
        ({"other": {"openid"}}, Challenge(CONSENT)),
        ({"api": {"email"}, "other": {"openid"}}, Challenge(CONSENT)),
        ({"api": set()}, Challenge(CONSENT)),
        ({}, Challenge(CONSENT)),
    ],
)
def test_a_consent_is_remembered_for_no_more_than_it_was_given(
    before: dict[str, set[str]], decision: Allow | Challenge
) -> None:
    assert authorization.consent(PLAIN, replace(ASKING, before=before)) == decision


def test_a_consent_to_scopes_at_one_api_and_to_another_api_is_none_to_those_scopes_there() -> None:
    before = {"one": {"read", "write"}, "two": {"read"}}
    assert authorization.agreed(before, scopes={"read"}, audiences=("one", "two"))
    assert authorization.agreed(before, scopes={"write"}, audiences=("one",))
    assert not authorization.agreed(before, scopes={"write"}, audiences=("one", "two"))
    assert not authorization.agreed(before, scopes=set(), audiences=("three",))
    assert not authorization.agreed(before, scopes=set(), audiences=())


def test_a_login_in_a_process_whose_clock_is_a_little_behind_is_the_one_that_was_asked_for() -> None:
    asked = replace(PLAIN, prompt=frozenset({"login"}), begun_at=NOW)
    for seconds, decision in ((5, Allow()), (6, Challenge(FRESH_LOGIN))):
        session = replace(SESSION, auth_time=NOW - timedelta(seconds=seconds))
        assert who(asked, Person("alice", session)) == decision


def test_a_client_that_asks_for_the_question_gets_it() -> None:
    asked = replace(PLAIN, prompt=frozenset({"consent"}))
    known = replace(ASKING, before={"api": {"openid"}})
    assert authorization.consent(asked, known) == Challenge(CONSENT)
    assert authorization.consent(asked, replace(known, first_party=True)) == Challenge(CONSENT)
    assert authorization.consent(asked, replace(known, given=True)) == Allow()
