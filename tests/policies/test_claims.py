"""Access tokens' headers and claims. The attacks on whole tokens are in tests/vectors/jwt_attacks.json."""

from typing import Any

import pytest

from policies.claims import (
    CLOCK_SKEW,
    MAX_TEXT,
    MAX_TIME,
    AccessClaims,
    Refused,
    TokenHeader,
    Unproved,
    access_claims,
    before_signature,
    header,
)

NOW = 1_800_000_000
HEADER: dict[str, Any] = {"typ": "at+jwt", "kid": "k", "alg": "ES256"}
CLAIMS: dict[str, Any] = {
    "iss": "https://auth.example.com/t/acme",
    "sub": "u-alice",
    "aud": "https://api.example.com",
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "t-1",
    "client_id": "demo-app",
}


def accepted(**changes: Any) -> AccessClaims:
    result = access_claims(CLAIMS | changes, now=NOW)
    assert isinstance(result, AccessClaims), result
    return result


def refused(**changes: Any) -> tuple[str, str]:
    result = access_claims(CLAIMS | changes, now=NOW)
    assert isinstance(result, Refused), result
    return result.reason, result.claim


def test_a_header_names_key_and_algorithm() -> None:
    assert header(HEADER) == TokenHeader("k", "ES256")
    assert header(HEADER | {"cty": "anything"}) == TokenHeader("k", "ES256")


@pytest.mark.parametrize("name", ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"])
def test_a_header_that_tells_the_verifier_what_to_do_is_refused(name: str) -> None:
    assert header(HEADER | {name: None}) == Refused("token_header", name)


def test_the_type_is_looked_at_first() -> None:
    assert header({}) == Refused("token_type", "typ")


def test_issuer_and_expiry_are_read_before_the_signature() -> None:
    assert before_signature(CLAIMS, now=NOW) == Unproved(CLAIMS["iss"], NOW + 300)


@pytest.mark.parametrize(
    ("now", "leeway", "alive"), [(299.9, 0, True), (300, 0, False), (304.9, 5, True), (305, 5, False)]
)
def test_a_token_lives_until_exp_and_the_leeway(now: float, leeway: int, alive: bool) -> None:
    result = before_signature(CLAIMS, now=NOW + now, leeway=leeway)
    assert isinstance(result, Unproved) == alive
    assert isinstance(access_claims(CLAIMS, now=NOW + now, leeway=leeway), AccessClaims) == alive


@pytest.mark.parametrize("exp", [None, "1", 1.5, True, 0, -1, MAX_TIME + 1, 10**30, [], {}])
def test_exp_is_a_positive_integer_in_the_calendar(exp: Any) -> None:
    assert before_signature(CLAIMS | {"exp": exp}, now=NOW) == Refused("claims_invalid", "exp")


def test_audience_may_be_one_or_many() -> None:
    assert accepted(aud="a").audiences == {"a"}
    assert accepted(aud=["a", "b", "a"]).audiences == {"a", "b"}


def test_scope_may_be_absent_or_empty_and_grants_nothing_then() -> None:
    assert accepted().scopes == accepted(scope="").scopes == frozenset()
    assert accepted(scope="b a").scopes == {"a", "b"}


def test_the_rest_may_be_absent() -> None:
    claims = accepted()
    assert (claims.session_id, claims.auth_time, claims.acr, claims.amr) == (None, None, None, frozenset())


@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize("value", [None, "", 1, [], "a\nb", "a\0", "\x7f", "a\x85", "\ud800", "x" * (MAX_TEXT + 1)])
def test_a_name_is_text_that_a_header_can_carry(name: str, value: Any) -> None:
    assert refused(**{name: value}) == ("claims_invalid", name)


@pytest.mark.parametrize("value", ["ålice", "한", "a b", "x" * MAX_TEXT])
def test_a_name_need_not_be_ascii(value: str) -> None:
    assert accepted(sub=value).subject == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aud", []), ("aud", ""), ("aud", [""]), ("aud", [["a"]]), ("aud", 1),
        ("scope", None), ("scope", []), ("scope", " "), ("scope", 'a"'),
        ("sid", None), ("sid", ""), ("acr", None), ("acr", 1),
        ("amr", None), ("amr", "pwd"), ("amr", [1]), ("amr", {"pwd": 1}),
        ("auth_time", None), ("auth_time", "1"), ("auth_time", 1.0), ("auth_time", -1),
        ("nbf", None), ("nbf", True),
        ("iat", None), ("iat", NOW + 300), ("iat", 0.5),
    ],
)  # fmt: skip
def test_a_claim_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    assert refused(**{name: value}) == ("claims_invalid", name)


def test_another_pods_clock_may_be_ahead_a_little() -> None:
    assert accepted(iat=NOW + CLOCK_SKEW).issued_at == NOW + CLOCK_SKEW
    assert refused(iat=NOW + CLOCK_SKEW + 1) == ("token_not_yet_valid", "iat")


def test_nbf_is_kept() -> None:
    assert accepted(nbf=NOW)
    assert refused(nbf=NOW + 1) == ("token_not_yet_valid", "nbf")


def test_equal_sets_are_shared() -> None:
    assert accepted(scope="a b").scopes is accepted(scope="a b").scopes
    assert accepted(aud=["a"]).audiences is accepted(aud="a").audiences


def test_a_refusal_is_never_truth_tested() -> None:
    with pytest.raises(TypeError):
        bool(header({}))
