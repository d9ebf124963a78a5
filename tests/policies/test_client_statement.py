"""What a client signs about itself, and about what it asks for: whom it is for, how long it counts (T13)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies.claims import CLOCK_SKEW, MAX_TEXT
from policies.client_statement import Kind, Statement, assertion, header, request_object
from policies.decision import Allow, Deny

NOW = datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC)
MOMENT = NOW.timestamp()
ISSUER = "https://auth.example.com/t/acme"
CLAIMS: dict[str, Any] = {"iss": "web", "sub": "web", "aud": ISSUER, "jti": "j-1", "exp": int(MOMENT) + 60}
RULES = {"assertion": assertion, "request_object": request_object}


def judged(kind: Kind, **changes: Any) -> Statement | Deny:
    """A change to None leaves a claim out."""
    claims = CLAIMS | ({} if kind == "assertion" else {"sub": None}) | changes
    said = {name: value for name, value in claims.items() if value is not None}
    return RULES[kind](said, client_id="web", issuer=ISSUER, now=NOW)


@pytest.mark.parametrize("kind", RULES)
def test_what_a_client_says_of_itself_to_this_issuer_is_believed(kind: Kind) -> None:
    ends = datetime.fromtimestamp(CLAIMS["exp"], UTC)
    assert judged(kind) == Statement("j-1", ends + timedelta(seconds=CLOCK_SKEW))


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": None}, "issuer_mismatch"),
        ({"iss": "spa"}, "issuer_mismatch"),
        ({"iss": ["web"]}, "issuer_mismatch"),
        ({"aud": None}, "audience_mismatch"),
        ({"aud": [ISSUER]}, "audience_mismatch"),
        ({"aud": [ISSUER, "https://evil.example"]}, "audience_mismatch"),
        ({"aud": "https://auth.example.com/t/globex"}, "audience_mismatch"),
        ({"aud": ISSUER + "/token"}, "audience_mismatch"),
        ({"aud": ISSUER + "/"}, "audience_mismatch"),
        ({"aud": ISSUER.upper()}, "audience_mismatch"),
        ({"jti": ""}, "token_id_malformed"),
        ({"jti": 7}, "token_id_malformed"),
        ({"jti": "j" * (MAX_TEXT + 1)}, "token_id_malformed"),
        ({"exp": None}, "expiry_missing"),
        ({"exp": "1800000000"}, "expiry_missing"),
        ({"exp": True}, "expiry_missing"),
        ({"exp": 0}, "expiry_missing"),
        ({"exp": -1}, "expiry_missing"),
        ({"exp": 1e300}, "expiry_missing"),
        ({"exp": MOMENT}, "token_expired"),
        ({"exp": MOMENT - 1}, "token_expired"),
        ({"exp": MOMENT + 3601}, "expiry_too_far"),
        ({"iat": "now"}, "claims_invalid"),
        ({"iat": True}, "claims_invalid"),
        ({"iat": CLAIMS["exp"]}, "claims_invalid"),
        ({"nbf": CLAIMS["exp"] + 1}, "claims_invalid"),
        ({"nbf": []}, "claims_invalid"),
        ({"exp": MOMENT + 200, "iat": MOMENT + CLOCK_SKEW + 1}, "token_not_yet_valid"),
        ({"exp": MOMENT + 200, "nbf": MOMENT + CLOCK_SKEW + 1}, "token_not_yet_valid"),
    ],
)
def test_anything_else_is_refused(kind: Kind, changes: dict[str, Any], reason: str) -> None:
    assert judged(kind, **changes) == Deny(reason)


@pytest.mark.parametrize(
    ("kind", "longest"), [("assertion", timedelta(minutes=5)), ("request_object", timedelta(hours=1))]
)
def test_it_ends_within_its_bound(kind: Kind, longest: timedelta) -> None:
    last = MOMENT + longest.total_seconds()
    assert isinstance(judged(kind, exp=last), Statement)
    assert judged(kind, exp=last + 0.001) == Deny("expiry_too_far")


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    "changes", [{"iat": 1}, {"nbf": MOMENT + CLOCK_SKEW - 1}, {"iat": MOMENT, "nbf": MOMENT - 0.5}]
)
def test_times_that_lie_behind_or_within_the_skew_of_clocks_are_good(kind: Kind, changes: dict[str, Any]) -> None:
    assert isinstance(judged(kind, exp=MOMENT + 200, **changes), Statement)


@pytest.mark.parametrize("subject", [None, "spa", ["web"], 1])
def test_an_assertion_is_about_its_client(subject: object) -> None:
    assert judged("assertion", sub=subject) == Deny("subject_mismatch")


def test_an_assertion_has_to_count_once() -> None:
    assert judged("assertion", jti=None) == Deny("token_id_missing")


def test_a_request_object_is_no_assertion_rfc9101_10_8() -> None:
    assert judged("request_object", sub="web") == Deny("subject_is_client")
    assert isinstance(judged("request_object", sub="alice"), Statement)


def test_a_request_object_may_come_without_an_id() -> None:
    judgement = judged("request_object", jti=None)
    assert isinstance(judgement, Statement)
    assert judgement.token_id is None


@pytest.mark.parametrize(
    ("kind", "typ"),
    [
        ("assertion", "JWT"),
        ("assertion", "jwt"),
        ("assertion", "client-authentication+jwt"),
        ("request_object", "JWT"),
        ("request_object", "oauth-authz-req+jwt"),
        ("request_object", "application/OAuth-Authz-Req+JWT"),
    ],
)
def test_a_type_is_the_kinds_own(kind: Kind, typ: str) -> None:
    assert header({"alg": "ES256", "typ": typ}, kind) == Allow()
    assert header({"alg": "ES256"}, kind) == Allow()


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    "typ", ["at+jwt", "dpop+jwt", "logout+jwt", "yett-id+jwt", "token-introspection+jwt", "", None, 1, ["JWT"]]
)
def test_what_is_signed_for_another_purpose_is_refused(kind: Kind, typ: object) -> None:
    assert header({"alg": "ES256", "typ": typ}, kind) == Deny("token_type")


def test_neither_kind_is_the_other() -> None:
    assert header({"typ": "oauth-authz-req+jwt"}, "assertion") == Deny("token_type")
    assert header({"typ": "client-authentication+jwt"}, "request_object") == Deny("token_type")


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("name", ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"])
def test_a_header_names_no_key_and_changes_nothing(kind: Kind, name: str) -> None:
    assert header({"alg": "ES256", name: "x"}, kind) == Deny("token_header")
