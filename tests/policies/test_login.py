"""What a login still has to prove: tables that speak of every combination of facts, of each once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, product
from typing import Any

import pytest

from policies import acr
from policies.decision import Allow, Challenge, Deny
from policies.login import (
    CODE_STEP,
    ENROLMENT_STEP,
    FRESH,
    PASSWORD_STEP,
    FactorFacts,
    FactorRule,
    PasswordFacts,
    SessionFacts,
    achieved,
    check_password,
    may_go_on,
    next_step,
    step_up,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

Case = Mapping[str, Any]
Row = tuple[Case, Allow | Challenge | Deny]
"""What a fact must be (a set: one of these; a fact that is not named may be anything), and the decision."""

PASSWORD, CODE, ENROL = (
    Challenge(PASSWORD_STEP),
    Challenge(CODE_STEP, acr_values=(acr.MFA,)),
    Challenge(ENROLMENT_STEP, acr_values=(acr.MFA,)),
)
NOTHING, PWD, OTP, RECOVERY = (frozenset(methods) for methods in ((), ("pwd",), ("pwd", "otp"), ("pwd", "recovery")))
ONLY_OTP, ONLY_RECOVERY = frozenset({"otp"}), frozenset({"recovery"})
UNKNOWN = "urn:example:acr:retina"
REQUIRED = {"no": None, "in grace": NOW + SECOND, "due": NOW, "overdue": NOW - SECOND}


def cases(facts: Mapping[str, tuple[Any, ...]]) -> Iterator[Case]:
    for values in product(*facts.values()):
        yield dict(zip(facts, values, strict=True))


def speaks_of(row: Row, case: Case) -> bool:
    return all(
        case[name] in wanted if isinstance(wanted, set) else case[name] == wanted for name, wanted in row[0].items()
    )


def each_once(rows: list[Row], facts: Mapping[str, tuple[Any, ...]]) -> None:
    for case in cases(facts):
        assert sum(speaks_of(row, case) for row in rows) == 1, case
    assert all(set(conditions) <= facts.keys() for conditions, _ in rows)


def holds(row: Row, facts: Mapping[str, tuple[Any, ...]], decide: Callable[[Case], Allow | Challenge | Deny]) -> None:
    spoken_of = [case for case in cases(facts) if speaks_of(row, case)]
    assert spoken_of
    for case in spoken_of:
        assert decide(case) == row[1], case


PASSWORD_FACTS: Mapping[str, tuple[Any, ...]] = {
    "user_known": (True, False),
    "user_active": (True, False),
    "tenant_active": (True, False),
    "password_matched": (True, False),
    "verified_version": (None, 3, 4),
    "credential_version": (None, 3, 4),
}
MATCHED = {"user_known": True, "password_matched": True}
SAME = {version: {**MATCHED, "credential_version": version, "verified_version": version} for version in (3, 4)}
PASSWORD_ROWS: list[Row] = [
    ({"user_known": False}, Deny("unknown_user")),
    ({"user_known": True, "password_matched": False}, Deny("wrong_password")),
    ({**MATCHED, "credential_version": None}, Deny("wrong_password")),
    ({**MATCHED, "credential_version": 3, "verified_version": {None, 4}}, Deny("password_changed_meanwhile")),
    ({**MATCHED, "credential_version": 4, "verified_version": {None, 3}}, Deny("password_changed_meanwhile")),
    ({**SAME[3], "user_active": False}, Deny("user_disabled")),
    ({**SAME[4], "user_active": False}, Deny("user_disabled")),
    ({**SAME[3], "user_active": True, "tenant_active": False}, Deny("tenant_suspended")),
    ({**SAME[4], "user_active": True, "tenant_active": False}, Deny("tenant_suspended")),
    ({**SAME[3], "user_active": True, "tenant_active": True}, Allow()),
    ({**SAME[4], "user_active": True, "tenant_active": True}, Allow()),
]


def test_the_passwords_table_speaks_of_every_combination_once() -> None:
    each_once(PASSWORD_ROWS, PASSWORD_FACTS)


@pytest.mark.parametrize("row", PASSWORD_ROWS)
def test_a_password_is_accepted_when_every_fact_is_for_it(row: Row) -> None:
    holds(row, PASSWORD_FACTS, lambda case: check_password(PasswordFacts(**case)))


STEP_FACTS: Mapping[str, tuple[Any, ...]] = {
    "proved": (NOTHING, PWD, OTP, RECOVERY, ONLY_OTP, ONLY_RECOVERY),
    "has_factor": (True, False),
    "required": tuple(REQUIRED),
    "offered": (True, False),
    "device_trusted": (True, False),
    "devices_trusted": (True, False),
    "wanted_acr": (None, acr.PASSWORD, acr.MFA, UNKNOWN),
}
KNOWN = {None, acr.PASSWORD, acr.MFA}
MODEST = {None, acr.PASSWORD}
DUE = {"due", "overdue"}
NOT_DUE = {"no", "in grace"}
FACTOR = {"proved": PWD, "has_factor": True}
NO_FACTOR = {"proved": PWD, "has_factor": False}
STEP_ROWS: list[Row] = [
    ({"wanted_acr": UNKNOWN}, Deny("acr_unknown")),
    ({"proved": {NOTHING, ONLY_OTP, ONLY_RECOVERY}, "wanted_acr": KNOWN}, PASSWORD),
    ({"proved": {OTP, RECOVERY}, "wanted_acr": KNOWN}, Allow()),
    ({**FACTOR, "wanted_acr": acr.MFA}, CODE),
    ({**FACTOR, "wanted_acr": MODEST, "device_trusted": False}, CODE),
    ({**FACTOR, "wanted_acr": MODEST, "device_trusted": True, "devices_trusted": False}, CODE),
    ({**FACTOR, "wanted_acr": MODEST, "device_trusted": True, "devices_trusted": True}, Allow()),
    ({**NO_FACTOR, "required": DUE, "wanted_acr": KNOWN}, ENROL),
    ({**NO_FACTOR, "required": NOT_DUE, "wanted_acr": MODEST}, Allow()),
    ({**NO_FACTOR, "required": NOT_DUE, "wanted_acr": acr.MFA, "offered": True}, ENROL),
    ({**NO_FACTOR, "required": NOT_DUE, "wanted_acr": acr.MFA, "offered": False}, Deny("factor_not_offered")),
]


def rule_of(case: Case) -> FactorRule:
    return FactorRule(
        offered=case.get("offered", True),
        required_from=REQUIRED[case.get("required", "no")],
        devices_trusted=case.get("devices_trusted", False),
    )


def step_of(case: Case) -> Allow | Challenge | Deny:
    facts = FactorFacts(
        proved=case["proved"],
        has_factor=case["has_factor"],
        rule=rule_of(case),
        device_trusted=case["device_trusted"],
        wanted_acr=case["wanted_acr"],
    )
    return next_step(facts, NOW)


def test_the_logins_table_speaks_of_every_combination_once() -> None:
    each_once(STEP_ROWS, STEP_FACTS)


@pytest.mark.parametrize("row", STEP_ROWS)
def test_a_login_goes_on_until_all_is_proved(row: Row) -> None:
    holds(row, STEP_FACTS, step_of)


# How old may the authentication be, and how old it is.
AGES = {
    "any, just now": (None, timedelta()),
    "any, recent": (None, FRESH),
    "any, long ago": (None, FRESH + SECOND),
    "met, just now": (timedelta(), timedelta()),
    "met, by another's fast clock": (timedelta(), -SECOND),
    "met, recent": (5 * MINUTE, 5 * MINUTE),
    "met, long ago": (60 * MINUTE, 60 * MINUTE),
    "missed, by a second": (timedelta(), SECOND),
    "missed, recent": (5 * MINUTE, 5 * MINUTE + SECOND),
    "missed, long ago": (60 * MINUTE, 60 * MINUTE + SECOND),
}
ASKED = {age for age in AGES if not age.startswith("any")}
MISSED = {age for age in AGES if age.startswith("missed")}
LONG_AGO = {age for age in AGES if age.endswith("long ago")}
SESSIONS = {
    "password": (acr.PASSWORD, frozenset({"pwd"}), False),
    "waived": (acr.PASSWORD, frozenset({"pwd"}), True),
    "code": (acr.MFA, frozenset({"pwd", "otp", "mfa"}), False),
    "recovery": (acr.MFA, frozenset({"pwd", "recovery", "mfa"}), False),
    "waived, then stepped up": (acr.MFA, frozenset({"pwd", "otp", "mfa"}), True),
}
UP_FACTS: Mapping[str, tuple[Any, ...]] = {
    "session": tuple(SESSIONS),
    "has_factor": (True, False),
    "required": tuple(REQUIRED),
    "offered": (True, False),
    "devices_trusted": (True, False),
    "wanted_acr": (None, acr.PASSWORD, acr.MFA, UNKNOWN),
    "age": tuple(AGES),
}
HALF = {"password", "waived"}  # the sessions that no second factor was brought to
FULL = set(SESSIONS) - HALF
WEAK = {"session": HALF, "wanted_acr": acr.MFA}
STRONG_FULL = {"session": FULL, "wanted_acr": KNOWN}
STRONG_HALF = {"session": HALF, "wanted_acr": MODEST}
UP_ROWS: list[Row] = [
    ({"wanted_acr": UNKNOWN}, Deny("acr_unknown")),
    ({**WEAK, "has_factor": True}, CODE),
    ({**WEAK, "has_factor": False, "offered": False}, Deny("factor_not_offered")),
    ({**WEAK, "has_factor": False, "offered": True, "age": MISSED | LONG_AGO}, PASSWORD),
    ({**WEAK, "has_factor": False, "offered": True, "age": set(AGES) - MISSED - LONG_AGO}, ENROL),
    ({**STRONG_FULL, "age": set(AGES) - MISSED}, Allow()),
    ({**STRONG_FULL, "has_factor": True, "age": MISSED}, CODE),
    ({**STRONG_FULL, "has_factor": False, "age": MISSED}, PASSWORD),
    ({**STRONG_HALF, "has_factor": True, "age": ASKED}, CODE),
    ({**STRONG_HALF, "has_factor": True, "age": set(AGES) - ASKED}, Allow()),
    ({**STRONG_HALF, "has_factor": False, "age": MISSED}, PASSWORD),
    ({**STRONG_HALF, "has_factor": False, "age": set(AGES) - MISSED}, Allow()),
]


def session_of(case: Case, *, age: timedelta = timedelta()) -> SessionFacts:
    context, amr, waived = SESSIONS[case["session"]]
    return SessionFacts(context, amr, NOW - age, waived, case["has_factor"], rule_of(case))


def up_of(case: Case) -> Allow | Challenge | Deny:
    max_age, age = AGES[case["age"]]
    return step_up(session_of(case, age=age), wanted_acr=case["wanted_acr"], max_age=max_age, now=NOW)


def test_the_step_ups_table_speaks_of_every_combination_once() -> None:
    each_once(UP_ROWS, UP_FACTS)


@pytest.mark.parametrize("row", UP_ROWS)
def test_a_session_is_stepped_up_by_a_fresh_factor(row: Row) -> None:
    holds(row, UP_FACTS, up_of)


def test_what_a_step_up_brought_satisfies_it() -> None:
    for case in cases(UP_FACTS):
        max_age, age = AGES[case["age"]]
        facts, wanted = session_of(case, age=age), case["wanted_acr"]
        for _ in range(2):  # a password first and an enrolment after it, at most
            match step_up(facts, wanted_acr=wanted, max_age=max_age, now=NOW):
                case Challenge(reason):
                    proved = {"pwd"} if reason == PASSWORD_STEP else {"pwd", "otp"}
                    context, amr = achieved(proved)
                    facts = replace(
                        facts, acr=context, amr=amr, auth_time=NOW, has_factor=facts.has_factor or "otp" in proved
                    )
                case Allow() | Deny():
                    break
        assert not isinstance(step_up(facts, wanted_acr=wanted, max_age=max_age, now=NOW), Challenge), case


ON_FACTS: Mapping[str, tuple[Any, ...]] = {
    "session": tuple(SESSIONS),
    "has_factor": (True, False),
    "required": tuple(REQUIRED),
    "offered": (True, False),
    "devices_trusted": (True, False),
}
MISSING = Deny("factor_missing")
ON_ROWS: list[Row] = [
    ({"session": FULL}, Allow()),
    ({"session": "password", "has_factor": True}, MISSING),
    ({"session": "waived", "has_factor": True, "devices_trusted": True}, Allow()),
    ({"session": "waived", "has_factor": True, "devices_trusted": False}, MISSING),
    ({"session": HALF, "has_factor": False, "required": DUE}, MISSING),
    ({"session": HALF, "has_factor": False, "required": NOT_DUE}, Allow()),
]


def test_the_running_sessions_table_speaks_of_every_combination_once() -> None:
    each_once(ON_ROWS, ON_FACTS)


@pytest.mark.parametrize("row", ON_ROWS)
def test_a_session_does_not_skip_a_factor_by_staying(row: Row) -> None:
    holds(row, ON_FACTS, lambda case: may_go_on(session_of(case), NOW))


METHODS = ("pwd", "otp", "recovery", "mfa")


@pytest.mark.parametrize("proved", [*chain.from_iterable(combinations(METHODS, size) for size in range(5))])
def test_a_level_is_reached_by_what_was_proved_and_by_nothing_else(proved: tuple[str, ...]) -> None:
    if "pwd" not in proved:
        with pytest.raises(ValueError, match="password first"):
            achieved(frozenset(proved))
        return
    second = {"otp", "recovery"} & set(proved)
    expected = (acr.MFA, frozenset({"pwd", "mfa"} | second)) if second else (acr.PASSWORD, frozenset({"pwd"}))
    assert achieved(frozenset(proved)) == expected


def test_a_recovery_code_is_no_code_of_an_authenticator() -> None:
    assert achieved({"pwd", "recovery"}) == (acr.MFA, frozenset({"pwd", "recovery", "mfa"}))
    assert achieved({"pwd", "otp"}) == (acr.MFA, frozenset({"pwd", "otp", "mfa"}))
