"""Access rules: what is combined how, and that everything fails closed."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import acr
from policies.access import decide, explain
from policies.decision import Allow, Challenge, Decision, Deny
from policies.principal import Principal
from policies.rule import (
    Acr,
    All,
    Amr,
    Anonymous,
    Claims,
    ClientIs,
    MaxAge,
    Not,
    Rule,
    Scopes,
    SourceIp,
    open_to_api_keys,
)
from policies.rule import Any as AnyOf

NOW = 1_800_000_000
HERE = ip_address("192.0.2.7")
ALICE = Principal(
    tenant_id=UUID(int=1),
    tenant="acme",
    subject="alice",
    client_id="demo-app",
    scopes=frozenset({"orders:read"}),
    audiences=frozenset({"https://api.example.com"}),
    token_id="t1",
    issued_at=NOW,
    expires_at=NOW + 300,
    session_id="s1",
    auth_time=NOW - 60,
    acr=acr.PASSWORD,
    amr=frozenset({"pwd"}),
    claims={"department": "sales", "groups": ["a", "b"], "level": 1, "staff": True},
)

KEY = replace(
    ALICE,
    subject="key/k1",
    client_id=None,
    session_id=None,
    auth_time=None,
    acr=None,
    amr=frozenset(),
    claims={},
    api_key_id="k1",
)


def verdict(rule: Rule, principal: Principal | None = ALICE) -> Decision:
    return decide(rule, principal, source=HERE, now=NOW)


def scopes(*names: str) -> Scopes:
    return Scopes(frozenset(names))


def claims(**required: Any) -> Claims:
    return Claims(tuple(required.items()))


YES = scopes("orders:read")
NO = ClientIs(frozenset({"another"}))
STEP_UP = Acr(acr.MFA)


def test_a_missing_scope_is_named() -> None:
    assert verdict(scopes("orders:read", "orders:write")) == Deny("insufficient_scope", frozenset({"orders:write"}))


def test_every_scope_is_needed() -> None:
    assert verdict(scopes("orders:read")) == Allow()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (claims(department="sales"), Allow()),
        (claims(department="ops"), Deny("claim_not_allowed")),
        (claims(groups="b"), Allow()),
        (claims(groups="c"), Deny("claim_not_allowed")),
        (claims(level=1), Allow()),
        (claims(level=True), Deny("claim_not_allowed")),
        (claims(staff=1), Deny("claim_not_allowed")),
        (claims(level="1"), Deny("claim_not_allowed")),
        (claims(absent="x"), Deny("claim_missing")),
        (claims(department="sales", absent="x"), Deny("claim_missing")),
    ],
)
def test_claims(rule: Claims, expected: Decision) -> None:
    assert verdict(rule) == expected


def test_an_amr_that_was_not_used_asks_for_the_class_that_brings_it() -> None:
    assert verdict(Amr(frozenset({"otp"}))) == Challenge("insufficient_user_authentication", (acr.MFA,))
    assert verdict(Amr(frozenset({"pwd"}))) == Allow()


def test_every_amr_is_needed() -> None:
    assert isinstance(verdict(Amr(frozenset({"pwd", "otp"}))), Challenge)


@pytest.mark.parametrize(
    ("has", "wants", "passes"),
    [
        (acr.PASSWORD, acr.PASSWORD, True),
        (acr.MFA, acr.PASSWORD, True),
        (acr.MFA, acr.MFA, True),
        (acr.PASSWORD, acr.MFA, False),
        (None, acr.PASSWORD, False),
        ("urn:else:acr:strongest", acr.PASSWORD, False),
    ],
)
def test_acr_is_ordered_and_what_is_unknown_ranks_lowest(has: str | None, wants: str, passes: bool) -> None:
    decision = verdict(Acr(wants), replace(ALICE, acr=has))
    assert decision == (Allow() if passes else Challenge("insufficient_user_authentication", (wants,)))


@pytest.mark.parametrize(
    ("auth_time", "passes"),
    [(NOW, True), (NOW - 900, True), (NOW - 901, False), (None, False), (NOW + 30, True), (NOW + 3600, False)],
)
def test_max_age_counts_from_the_last_interactive_authentication(auth_time: int | None, passes: bool) -> None:
    decision = verdict(MaxAge(900), replace(ALICE, auth_time=auth_time))
    assert decision == (Allow() if passes else Challenge("insufficient_user_authentication", max_age=900))


def test_client_and_source() -> None:
    assert verdict(ClientIs(frozenset({"demo-app"}))) == Allow()
    assert verdict(NO) == Deny("client_not_allowed")
    assert verdict(SourceIp((ip_network("192.0.2.0/24"),))) == Allow()
    assert verdict(SourceIp((ip_network("2001:db8::/32"), ip_network("10.0.0.0/8")))) == Deny("source_not_allowed")


def test_all_is_deny_before_challenge_before_allow() -> None:
    assert verdict(All((YES, STEP_UP, NO))) == Deny("client_not_allowed")
    assert isinstance(verdict(All((YES, STEP_UP))), Challenge)
    assert verdict(All((YES, YES))) == Allow()


def test_any_is_allow_before_challenge_before_deny() -> None:
    assert verdict(AnyOf((NO, STEP_UP, YES))) == Allow()
    assert isinstance(verdict(AnyOf((NO, STEP_UP))), Challenge)
    assert verdict(AnyOf((NO, NO))) == Deny("client_not_allowed")


def test_not_turns_allow_and_deny_round_and_denies_a_challenge() -> None:
    assert verdict(Not(YES)) == Deny("excluded")
    assert verdict(Not(NO)) == Allow()
    assert verdict(Not(STEP_UP)) == Deny("excluded")


@pytest.mark.parametrize(
    "rule",
    [
        Not(claims(absent="x")),
        Not(All((NO, claims(absent="x")))),
        Not(AnyOf((NO, claims(absent="x")))),
        Not(Not(claims(absent="x"))),
    ],
)
def test_a_missing_claim_under_not_denies(rule: Rule) -> None:
    assert isinstance(verdict(rule), Deny)


def test_a_claim_with_another_value_passes_not() -> None:
    assert verdict(Not(claims(department="ops"))) == Allow()


def test_the_scopes_of_all_are_named_together() -> None:
    assert verdict(All((scopes("a"), scopes("b")))) == Deny("insufficient_scope", frozenset({"a", "b"}))


def test_the_challenges_of_all_are_one() -> None:
    rule = All((Amr(frozenset({"otp"})), MaxAge(900), MaxAge(30), Acr(acr.MFA)))
    assert verdict(rule, replace(ALICE, auth_time=None)) == Challenge(
        "insufficient_user_authentication", (acr.MFA,), max_age=30
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: All(()),
        lambda: AnyOf(()),
        lambda: Scopes(frozenset()),
        lambda: Claims(()),
        lambda: Amr(frozenset()),
        lambda: ClientIs(frozenset()),
        lambda: SourceIp(()),
        lambda: MaxAge(0),
        lambda: MaxAge(-1),
        lambda: Acr("urn:else"),
        lambda: All((Anonymous(),)),
        lambda: AnyOf((YES, Anonymous())),
        lambda: Not(Anonymous()),
    ],
)
def test_a_rule_that_says_nothing_cannot_be_built(build: Any) -> None:
    with pytest.raises(ValueError, match=r"must|anonymous"):
        build()


LEAVES = st.sampled_from(
    [
        YES,
        NO,
        STEP_UP,
        scopes("x"),
        claims(department="sales"),
        claims(absent=1),
        MaxAge(1),
        SourceIp((ip_network("192.0.2.0/24"),)),
    ]
)
RULES: st.SearchStrategy[Rule] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: All(tuple(rules))),
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: AnyOf(tuple(rules))),
        inner.map(Not),
    ),
    max_leaves=8,
)
KEYS = st.builds(lambda names: replace(KEY, scopes=frozenset(names)), st.sets(st.sampled_from(["orders:read", "x"])))
TOKENS = st.builds(
    lambda names, acr, age, attributes: replace(
        ALICE, scopes=frozenset(names), acr=acr, auth_time=None if age is None else NOW - age, claims=attributes
    ),
    st.sets(st.sampled_from(["orders:read", "x"])),
    st.sampled_from([None, acr.PASSWORD, acr.MFA]),
    st.one_of(st.none(), st.integers(0, 5)),
    st.sampled_from([ALICE.claims, {}, {"absent": 1}]),
)
PRINCIPALS = st.one_of(TOKENS, KEYS)


@given(RULES)
def test_nobody_passes_a_rule_that_is_not_anonymous(rule: Rule) -> None:
    assert verdict(rule, None) == Challenge("token_missing")


def test_anybody_passes_anonymous() -> None:
    assert verdict(Anonymous(), None) == Allow()
    assert verdict(Anonymous()) == Allow()


@given(RULES, PRINCIPALS)
def test_a_rule_and_its_opposite_never_both_allow(rule: Rule, principal: Principal) -> None:
    both = verdict(rule, principal), verdict(Not(rule), principal)
    assert both != (Allow(), Allow())


@given(st.lists(RULES, min_size=1, max_size=4), PRINCIPALS)
def test_all_allows_only_if_every_part_does(rules: list[Rule], principal: Principal) -> None:
    whole = verdict(All(tuple(rules)), principal)
    assert (whole == Allow()) == all(verdict(rule, principal) == Allow() for rule in rules)


@given(st.lists(RULES, min_size=1, max_size=4), PRINCIPALS)
def test_any_allows_only_if_some_part_does(rules: list[Rule], principal: Principal) -> None:
    whole = verdict(AnyOf(tuple(rules)), principal)
    assert (whole == Allow()) == any(verdict(rule, principal) == Allow() for rule in rules)


@given(st.lists(RULES, min_size=1, max_size=3), PRINCIPALS)
def test_de_morgan_never_opens_a_door(rules: list[Rule], principal: Principal) -> None:
    """not(any) is at most as open as all(not), which is what it would be without challenges and missing claims."""
    if verdict(Not(AnyOf(tuple(rules))), principal) == Allow():
        assert verdict(All(tuple(map(Not, rules))), principal) == Allow()


@given(RULES, PRINCIPALS)
def test_explain_tells_the_decision_that_decide_takes(rule: Rule, principal: Principal) -> None:
    told = explain(rule, principal, source=HERE, now=NOW)
    assert told.decision == verdict(rule, principal)
    if told.parts:
        assert told.took
    for part in told.parts:
        assert part.decision == verdict(part.rule, principal)


@given(RULES)
def test_describe_is_stable(rule: Rule) -> None:
    assert rule.describe == rule.describe
    assert "\n" not in rule.describe


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Anonymous(), "anonymous"),
        (scopes("b", "a"), "scopes(a b)"),
        (claims(department="sales", level=1), "claims(department='sales' level=1)"),
        (All((YES, Not(NO))), "all(scopes(orders:read), not(client(another)))"),
        (AnyOf((MaxAge(900), Acr(acr.MFA))), "any(max_age(900s), acr(urn:yett:acr:mfa))"),
        (Amr(frozenset({"otp"})), "amr(otp)"),
        (SourceIp((ip_network("10.0.0.0/8"),)), "source_ip(10.0.0.0/8)"),
    ],
)
def test_describe(rule: Rule, text: str) -> None:
    assert rule.describe == text


def test_claims_of_a_principal_are_only_read() -> None:
    frozen: Mapping[str, Any] = ALICE.claims
    verdict(claims(groups="b"))
    assert frozen["groups"] == ["a", "b"]


# --- API keys


@pytest.mark.parametrize("rule", [Amr(frozenset({"pwd"})), Acr(acr.PASSWORD), STEP_UP, MaxAge(900)])
def test_an_api_key_stands_for_no_login_and_is_not_asked_for_one(rule: Rule) -> None:
    assert verdict(rule, KEY) == Deny("login_missing")
    assert verdict(All((YES, rule)), KEY) == Deny("login_missing")
    assert verdict(AnyOf((rule, YES)), KEY) == Allow()


def test_an_api_key_has_scopes_and_an_address_and_neither_a_client_nor_claims() -> None:
    assert verdict(YES, KEY) == Allow()
    assert verdict(scopes("x"), KEY) == Deny("insufficient_scope", frozenset({"x"}))
    assert verdict(SourceIp((ip_network("192.0.2.0/24"),)), KEY) == Allow()
    assert verdict(ClientIs(frozenset({"demo-app"})), KEY) == Deny("client_not_allowed")
    assert verdict(claims(department="sales"), KEY) == Deny("claim_missing")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Amr(frozenset({"otp"})), "login_missing"),
        (STEP_UP, "login_missing"),
        (MaxAge(1), "login_missing"),
        (NO, "client_missing"),
        (claims(department="ops"), "claim_missing"),
        (Not(NO), "client_missing"),
        (All((scopes("x"), NO)), "client_missing"),
        (AnyOf((scopes("x"), STEP_UP)), "login_missing"),
    ],
)
def test_what_an_api_key_lacks_opens_no_door_under_not(rule: Rule, reason: str) -> None:
    assert verdict(Not(rule), KEY) == Deny(reason)


def test_not_is_as_ever_where_it_asks_for_what_an_api_key_has() -> None:
    assert verdict(Not(scopes("x")), KEY) == Allow()
    assert verdict(Not(YES), KEY) == Deny("excluded")


@given(RULES, KEYS)
def test_an_api_key_passes_only_what_is_open_to_api_keys(rule: Rule, key: Principal) -> None:
    assert not isinstance(verdict(rule, key), Challenge)
    if not open_to_api_keys(rule):
        assert isinstance(verdict(rule, key), Deny)


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        (YES, True),
        (SourceIp((ip_network("10.0.0.0/8"),)), True),
        (All((YES, STEP_UP)), False),
        (AnyOf((YES, STEP_UP)), True),
        (AnyOf((NO, claims(a=1))), False),
        (Not(scopes("x")), True),
        (Not(NO), False),
        (Not(AnyOf((YES, STEP_UP))), False),
        (Not(Not(YES)), True),
        (Not(Not(STEP_UP)), False),
        (All((YES, Not(MaxAge(1)))), False),
    ],
)
def test_which_rules_are_open_to_api_keys(rule: Rule, is_open: bool) -> None:
    assert open_to_api_keys(rule) is is_open
