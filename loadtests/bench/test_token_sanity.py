"""Which access tokens the token benchmark takes for good ones, and that its npm packages are locked."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from sanity import NotTheSameJob
from token_peer import CLIENT, SCOPE
from token_sanity import Keys, distinct

ISSUER, AUDIENCE = "http://localhost:1/t/bench", "https://api.example.com/orders"
KEY, ANOTHER_KEY = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
PUBLIC = {**jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k", "alg": "ES256"}
KEYS = Keys(ISSUER, AUDIENCE, jwt.PyJWKSet.from_dict({"keys": [PUBLIC]}))


def token(key: EllipticCurvePrivateKey = KEY, kid: str = "k", typ: str = "at+jwt", **changes: Any) -> str:
    """An access token with other claims than it should have; None takes one away."""
    now = int(datetime.now(UTC).timestamp())  # PyJWT knows no other time
    named = {"iss": ISSUER, "sub": CLIENT, "aud": AUDIENCE, "jti": "1", "client_id": CLIENT, "scope": SCOPE}
    claims = {**named, "iat": now, "exp": now + 300, **changes}
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm="ES256", headers={"kid": kid, "typ": typ})


def test_a_token_of_the_issuer_for_the_api_and_the_client_is_good() -> None:
    assert KEYS.claims(token())["jti"] == "1"


@pytest.mark.parametrize(
    "bad",
    [
        token(ANOTHER_KEY),
        token(kid="another"),
        token(typ="JWT"),
        token(iss="http://localhost:2"),
        token(aud="https://api.example.com/another"),
        token(client_id="another"),
        token(client_id=None),
        token(scope="orders:write"),
        token(jti=None),
        token(exp=None),
        token(exp=1),
        token(exp=4_000_000_000),
        jwt.encode({"iss": ISSUER}, "s" * 32, algorithm="HS256", headers={"kid": "k"}),
        "no token",
    ],
)
def test_another_token_is_not(bad: str) -> None:
    with pytest.raises(NotTheSameJob, match=r"gave (a|another) token"):
        KEYS.claims(bad)


def test_what_was_given_twice_is_counted() -> None:
    distinct(["a", "b"], "refresh tokens")
    with pytest.raises(NotTheSameJob, match="2 refresh tokens"):
        distinct(["a", "b", "a", "a"], "refresh tokens")


def test_the_npm_packages_are_locked_with_an_integrity_for_each_and_no_address() -> None:
    lock = json.loads(Path(__file__).with_name("oidc_provider").joinpath("package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert "node_modules/oidc-provider" in packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not [name for name, entry in packages.items() if "resolved" in entry]
