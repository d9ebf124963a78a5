"""Keys and signatures: what is published, what signs, what verifies, and the strict reading of a token."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from tenants.jose import ALGORITHMS, Algorithm, SigningKey, UnusableKey, VerifyingKey
from tenants.unverified_token import MAX_TOKEN_BYTES, Malformed, UnverifiedToken, parse_unverified

KEYS: dict[str, SigningKey] = {alg: SigningKey.generate(alg) for alg in ALGORITHMS}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.fixture(params=ALGORITHMS)
def key(request: pytest.FixtureRequest) -> SigningKey:
    return KEYS[request.param]


def parsed(token: str) -> UnverifiedToken:
    result = parse_unverified(token.encode())
    assert isinstance(result, UnverifiedToken), result
    return result


def der(private: Any) -> bytes:
    return bytes(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


# --- keys


def test_the_published_half_is_public(key: SigningKey) -> None:
    jwk = key.public_jwk()
    assert jwk.keys().isdisjoint(PRIVATE_MEMBERS)
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (key.kid, key.alg, "sig")


def test_the_kid_is_the_thumbprint_of_rfc_7638() -> None:
    # The example of RFC 7638 section 3.1, and of RFC 8037 appendix A.3 for an Ed25519 key with a known private half.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert SigningKey.from_private(kid, "EdDSA", der(private)).kid == kid


def test_a_key_survives_its_private_bytes(key: SigningKey) -> None:
    again = SigningKey.from_private(key.kid, key.alg, key.private_der())
    token = again.sign("at+jwt", {"sub": "x"})
    assert key.verifying_key().verify(parsed(token)) == {"sub": "x"}


def test_a_repr_shows_no_key(key: SigningKey) -> None:
    assert repr(key) == f"SigningKey(kid={key.kid!r}, alg={key.alg!r})"
    assert repr(key.verifying_key()) == f"VerifyingKey(kid={key.kid!r}, alg={key.alg!r})"


def test_private_bytes_of_another_kid_are_refused(key: SigningKey) -> None:
    with pytest.raises(UnusableKey, match="another kid"):
        SigningKey.from_private("someone-elses", key.alg, key.private_der())


def test_private_bytes_of_another_algorithm_are_refused() -> None:
    for stored in ALGORITHMS:
        for named in set(ALGORITHMS) - {stored}:
            with pytest.raises(UnusableKey, match="no key for"):
                SigningKey.from_private(KEYS[stored].kid, named, KEYS[stored].private_der())


@pytest.mark.parametrize(
    ("alg", "private"),
    [
        ("ES256", ec.generate_private_key(ec.SECP384R1())),
        ("RS256", rsa.generate_private_key(65537, 1024)),
        ("HS256", ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_a_weak_or_foreign_private_key_is_refused(alg: str, private: Any) -> None:
    with pytest.raises(UnusableKey, match=f"no key for {alg}"):
        SigningKey.from_private("k", alg, der(private))


def test_broken_private_bytes_are_refused() -> None:
    with pytest.raises(UnusableKey, match="cannot be read"):
        SigningKey.from_private("k", "ES256", b"\x30\x00")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"kid": ""}, "without kid"),
        ({"kid": None}, "without kid"),
        ({"alg": "HS256"}, "no algorithm of ours"),
        ({"alg": "none"}, "no algorithm of ours"),
        ({"alg": ["ES256"]}, "no algorithm of ours"),
        ({"alg": "RS256"}, "does not fit"),
        ({"crv": "P-384"}, "does not fit"),
        ({"kty": "oct", "k": "AAAA"}, "does not fit"),
    ],
)
def test_a_jwk_that_is_no_key_of_ours_is_refused_at_once(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableKey, match=why):
        VerifyingKey(KEYS["ES256"].public_jwk() | change)


def test_a_point_off_the_curve_is_refused_at_the_first_use() -> None:
    token = parsed(KEYS["ES256"].sign("at+jwt", {}))
    broken = VerifyingKey(KEYS["ES256"].public_jwk() | {"x": "AAAA"})
    with pytest.raises(UnusableKey, match="cannot be read"):
        broken.verify(token)


def test_a_small_rsa_key_is_refused_at_the_first_use() -> None:
    number = rsa.generate_private_key(65537, 1024).public_key().public_numbers().n
    n = base64.urlsafe_b64encode(number.to_bytes(128)).rstrip(b"=").decode()
    small = VerifyingKey({"kty": "RSA", "n": n, "e": "AQAB", "kid": "k", "alg": "RS256"})
    with pytest.raises(UnusableKey, match="1024 bits"):
        small.verify(parsed(KEYS["RS256"].sign("at+jwt", {})))


# --- signatures


def test_a_signature_verifies_under_its_own_key_only(key: SigningKey) -> None:
    token = parsed(key.sign("at+jwt", {"sub": "alice"}))
    assert key.verifying_key().verify(token) == {"sub": "alice"}
    assert SigningKey.generate(key.alg).verifying_key().verify(token) is None


def test_another_library_verifies_what_we_sign(key: SigningKey) -> None:
    token = key.sign("at+jwt", {"sub": "ålice", "aud": "https://api.example.com"})
    public = jwt.PyJWK(key.public_jwk())
    assert jwt.decode(token, public, algorithms=[key.alg], audience="https://api.example.com")["sub"] == "ålice"
    assert jwt.get_unverified_header(token) == {"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}


def test_we_verify_what_another_library_signs() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    token = jwt.encode({"sub": "alice"}, private, algorithm="ES256", headers={"kid": "k"})
    x, y = private.public_key().public_numbers().x, private.public_key().public_numbers().y
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": base64.urlsafe_b64encode(x.to_bytes(32)).rstrip(b"=").decode(),
        "y": base64.urlsafe_b64encode(y.to_bytes(32)).rstrip(b"=").decode(),
    }
    assert VerifyingKey(jwk | {"kid": "k", "alg": "ES256"}).verify(parsed(token)) == {"sub": "alice"}


def test_the_headers_alg_plays_no_part_in_verification() -> None:
    key = KEYS["ES256"]
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=")
    token = UnverifiedToken({"alg": "none"}, {}, header + b".e30", b"")
    assert key.verifying_key().verify(token) is None


@pytest.mark.parametrize("size", [0, 1, 63, 65, 71, 128, 4096])
def test_a_signature_of_another_length_is_none(key: SigningKey, size: int) -> None:
    token = parsed(key.sign("at+jwt", {}))
    forged = UnverifiedToken(token.header, token.claims, token.signing_input, b"\x01" * size)
    assert key.verifying_key().verify(forged) is None


def test_claims_that_are_no_json_are_not_signed(key: SigningKey) -> None:
    with pytest.raises(ValueError, match="JSON"):
        key.sign("at+jwt", {"x": float("nan")})


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_generated_kids_are_distinct(alg: Algorithm) -> None:
    assert SigningKey.generate(alg).kid != KEYS[alg].kid


# --- reading


def test_a_token_at_the_size_limit_is_read_and_one_byte_more_is_not() -> None:
    head = b"e30.e30."
    assert isinstance(parse_unverified(head + b"A" * (MAX_TOKEN_BYTES - len(head))), UnverifiedToken)
    assert parse_unverified(head + b"A" * (MAX_TOKEN_BYTES - len(head) + 4)) == Malformed("size")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ('{"a":' + "[" * 15 + "]" * 15 + "}", None),
        ('{"a":' + "[" * 16 + "]" * 16 + "}", "depth"),
        ('{"a":"' + "[{" * 500 + '"}', None),
        ('{"a":"\\"' + "[{" * 500 + '"}', None),
        ('{"a":[' + ",".join(["[]"] * 200) + "]}", None),
        ('{"a":123456789012345678}', None),
        ('{"a":1234567890123456789}', "number"),
        ('{"a":1.5}', None),
        ('{"a":1e999}', "number"),
        ('{"a":NaN}', "number"),
        ('{"a":1,"a":1}', "duplicate"),
        ('{"a":{"b":1,"b":1}}', "duplicate"),
        ('{"a":"\\ud83d\\ude00"}', None),
        ('{"a":"\\ud83d"}', "text"),
        ('{"a":"\\uDE00\\uD83D"}', "text"),
        ("[]", "json"),
        ("null", "json"),
        ("", "form"),
    ],
)
def test_what_is_read_and_what_is_not(claims: str, reason: str | None) -> None:
    part = base64.urlsafe_b64encode(claims.encode()).rstrip(b"=")
    result = parse_unverified(b"e30." + part + b".AAAA")
    assert (result.reason if isinstance(result, Malformed) else None) == reason


@given(st.binary(max_size=300))
def test_no_bytes_raise(token: bytes) -> None:
    assert isinstance(parse_unverified(token), Malformed)


@given(st.text(max_size=300))
def test_no_claims_raise(text: str) -> None:
    part = base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).rstrip(b"=") or b"AA"
    assert isinstance(parse_unverified(b"e30." + part + b".AAAA"), UnverifiedToken | Malformed)


@given(st.binary(min_size=1, max_size=40), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"))
def test_a_signature_has_one_spelling(signature: bytes, letter: str) -> None:
    good = base64.urlsafe_b64encode(signature).rstrip(b"=")
    other = good[:-1] + letter.encode()
    result = parse_unverified(b"e30.e30." + other)
    if isinstance(result, UnverifiedToken) and result.signature == signature:
        assert other == good


def test_a_malformed_token_is_never_truth_tested() -> None:
    with pytest.raises(TypeError):
        bool(parse_unverified(b""))


def test_a_kid_is_never_taken_for_an_option_of_a_command_line() -> None:
    assert not any(SigningKey.generate("EdDSA").kid.startswith("-") for _ in range(400))
