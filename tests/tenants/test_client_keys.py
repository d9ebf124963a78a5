"""A client's public keys: the algorithm is the key's, a secret is made of none, and what is no key signs nothing."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenants.client_keys import CLIENT_ALGORITHMS, ClientKeys, UnusableKeys
from tenants.unverified_token import UnverifiedToken, parse_unverified
from tests.signer import Signer, forged, jwk_of

CLAIMS = {"iss": "web", "n": 1}
SIGNED = sorted({*CLIENT_ALGORITHMS} - {"Ed25519"})  # the younger name of EdDSA, which PyJWT does not know


def read(token: str) -> UnverifiedToken:
    parsed = parse_unverified(token.encode())
    assert isinstance(parsed, UnverifiedToken), parsed
    return parsed


def verified(jwks: dict[str, Any], token: str) -> bool:
    return ClientKeys(jwks).verify(read(token)) is not None


@pytest.mark.parametrize("alg", SIGNED)
def test_what_a_key_signed_is_its_clients(alg: str) -> None:
    signer = Signer(alg)
    assert ClientKeys(signer.jwks).verify(read(signer.sign(CLAIMS))) == CLAIMS
    assert not verified(Signer(alg, name="other").jwks, signer.sign(CLAIMS))


@pytest.mark.parametrize("alg", SIGNED)
def test_a_key_that_names_no_algorithm_signs_with_those_of_its_type(alg: str) -> None:
    signer = Signer(alg)
    jwk = {name: value for name, value in signer.jwk.items() if name != "alg"}
    assert verified({"keys": [jwk]}, signer.sign(CLAIMS))
    for other in SIGNED:
        header = {"alg": other, "kid": "k-1"}
        if other != alg:
            assert not verified({"keys": [jwk]}, forged(header, CLAIMS, read(signer.sign(CLAIMS)).signature))


def test_ed25519_has_two_names_rfc9864() -> None:
    signer = Signer("EdDSA")
    unnamed = {name: value for name, value in signer.jwk.items() if name != "alg"}
    signing_input = forged({"alg": "Ed25519", "kid": "k-1"}, CLAIMS).rpartition(".")[0]
    assert isinstance(signer.key, ed25519.Ed25519PrivateKey)
    token = forged({"alg": "Ed25519", "kid": "k-1"}, CLAIMS, signer.key.sign(signing_input.encode()))
    assert verified({"keys": [unnamed]}, token)
    assert verified({"keys": [{**unnamed, "alg": "Ed25519"}]}, token)
    assert not verified({"keys": [{**unnamed, "alg": "EdDSA"}]}, token)


def test_a_key_that_names_its_algorithm_signs_with_no_other() -> None:
    pss, plain = Signer("PS256", name="one"), Signer("RS256", name="one")
    object.__setattr__(plain, "key", pss.key)
    assert verified(pss.jwks, pss.sign(CLAIMS))
    assert not verified(pss.jwks, plain.sign(CLAIMS))
    assert not verified(plain.jwks, pss.sign(CLAIMS))


@pytest.mark.parametrize("alg", SIGNED)
@pytest.mark.parametrize("hmac_alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_nobodys_shared_secret_t13(alg: str, hmac_alg: str) -> None:
    signer = Signer(alg)
    public = signer.key.public_key()
    header = {"alg": hmac_alg, "kid": "k-1", "typ": "JWT"}
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(signer.jwk).encode(),
    ]
    signing_input = forged(header, CLAIMS).rpartition(".")[0]
    for secret in secrets:
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[hmac_alg]
        mac = hmac.new(secret, signing_input.encode(), digest).digest()
        for jwks in (signer.jwks, {"keys": [{**signer.jwk, "alg": hmac_alg}]}):
            assert not verified(jwks, forged(header, CLAIMS, mac))


def test_a_shared_secret_among_the_keys_is_passed_over() -> None:
    secret = b"s" * 32
    jwks = {"keys": [{"kty": "oct", "k": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M", "kid": "k-1", "alg": "HS256"}]}
    assert not verified(jwks, jwt.encode(CLAIMS, secret, algorithm="HS256", headers={"kid": "k-1"}))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "ES256 ", "es256", "RS512", "ES256K", None, 1, ["ES256"]])
@pytest.mark.parametrize("signature", [b"x", b"x" * 64, b"x" * 256])
def test_another_algorithm_signs_nothing_t13(alg: object, signature: bytes) -> None:
    token = forged({"alg": alg, "kid": "k-1"}, CLAIMS, signature)
    for known in SIGNED:
        signer = Signer(known)
        assert not verified(signer.jwks, token)
        assert not verified({"keys": [{**signer.jwk, "alg": alg}]}, token)


@pytest.mark.parametrize("alg", SIGNED)
@pytest.mark.parametrize("signature", [b"x", b"\0" * 64, b"\xff" * 64, b"\0" * 256, b"\xff" * 256, b"x" * 4000])
def test_a_signature_of_any_shape_is_judged_and_raises_nothing(alg: str, signature: bytes) -> None:
    assert not verified(Signer(alg).jwks, forged({"alg": alg, "kid": "k-1"}, CLAIMS, signature))


def test_a_token_that_names_a_key_is_that_keys() -> None:
    one, two = Signer(kid="one", name="one"), Signer(kid="two", name="two")
    jwks = {"keys": [one.jwk, two.jwk]}
    assert verified(jwks, two.sign(CLAIMS))
    assert not verified(jwks, two.sign(CLAIMS, kid="one"))
    assert not verified(jwks, two.sign(CLAIMS, kid="three"))
    assert not verified({"keys": [Signer(kid=None, name="one").jwk]}, one.sign(CLAIMS))


def test_a_token_that_names_no_key_is_tried_with_the_first_ten_that_fit() -> None:
    strangers = [Signer(kid=f"k-{number}", name="stranger").jwk for number in range(9)]
    unfit = [Signer("EdDSA", kid=f"e-{number}").jwk for number in range(20)]
    mine = Signer(kid="mine")
    token = mine.sign(CLAIMS, kid=None)
    assert verified({"keys": [*unfit, *strangers, mine.jwk]}, token)
    assert not verified({"keys": [*strangers, *strangers, mine.jwk]}, token)


def test_two_keys_of_one_name_are_both_tried() -> None:
    """RFC 7517 section 4.5 allows it for keys of different types; while keys are rolled it happens for others too."""
    one, two = Signer(name="one"), Signer(name="two")
    assert verified({"keys": [one.jwk, two.jwk]}, two.sign(CLAIMS))


@pytest.mark.parametrize("kid", [1, ["k-1"], {"k": 1}, True, ""])
def test_a_name_that_is_no_text_is_no_keys(kid: object) -> None:
    signer = Signer()
    assert not verified(signer.jwks, forged({"alg": "ES256", "kid": kid}, CLAIMS))


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"use": 1},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": []},
        {"kty": "oct"},
        {"kty": ["EC"]},
        {"kty": None},
        {"crv": "P-384"},
        {"crv": None},
        {"crv": {}},
        {"alg": "ES384"},
        {"alg": 1},
        {"kid": 1},
        {"x": None},
        {"x": 1},
        {"x": "!!"},
        {"x": "AA"},
        {"y": "AA"},
    ],
)
def test_a_key_for_something_else_or_that_is_none_signs_nothing(changes: dict[str, Any]) -> None:
    signer = Signer()
    assert not verified({"keys": [{**signer.jwk, **changes}]}, signer.sign(CLAIMS))
    assert verified({"keys": [{**signer.jwk, **changes, "kid": "other"}, signer.jwk]}, signer.sign(CLAIMS))


@pytest.mark.parametrize("entry", [None, "key", [], 1, True])
def test_an_entry_that_is_no_object_is_passed_over(entry: object) -> None:
    signer = Signer()
    assert verified({"keys": [entry, signer.jwk]}, signer.sign(CLAIMS))


def test_a_private_part_that_was_published_is_not_used() -> None:
    signer = Signer()
    assert verified({"keys": [{**signer.jwk, "d": "AAAA"}]}, signer.sign(CLAIMS))


@pytest.mark.parametrize(("bits", "exponent"), [(1024, 65537), (9216, 65537)])
def test_an_rsa_key_has_a_size_that_is_safe_and_quick(bits: int, exponent: int) -> None:
    number = (1 << (bits - 1)) | 1
    jwk = {"kty": "RSA", "kid": "k-1", "n": _number(number), "e": _number(exponent)}
    assert not verified({"keys": [jwk]}, forged({"alg": "RS256", "kid": "k-1"}, CLAIMS, b"x" * (bits // 8)))


def test_an_rsa_exponent_is_short() -> None:
    signer = Signer("RS256")
    jwk = {**signer.jwk, "e": _number((1 << 2000) | 1)}
    assert not verified({"keys": [jwk]}, forged({"alg": "RS256", "kid": "k-1"}, CLAIMS, b"x" * 256))


def test_a_short_rsa_key_of_a_client_is_refused() -> None:
    key = rsa.generate_private_key(65537, 1024)
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = jwt.encode(CLAIMS, key, algorithm="RS256", headers={"kid": "k-1"})
    assert not verified({"keys": [{**jwk_of(key.public_key(), "RS256"), "kid": "k-1"}]}, token)


def test_other_curves_are_not_taken() -> None:
    p384, goldilocks = ec.generate_private_key(ec.SECP384R1()), ed448.Ed448PrivateKey.generate()
    for key, alg in ((p384, "ES384"), (goldilocks, "EdDSA")):
        token = jwt.encode(CLAIMS, key, algorithm=alg, headers={"kid": "k-1"})
        assert not verified({"keys": [{**jwk_of(key.public_key(), alg), "kid": "k-1"}]}, token)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000])
def test_a_document_that_is_no_set_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UnusableKeys):
        ClientKeys.parse(body)


def test_a_document_is_read_as_a_set() -> None:
    signer = Signer()
    keys = ClientKeys.parse(json.dumps(signer.jwks).encode())
    assert keys.verify(read(signer.sign(CLAIMS))) == CLAIMS
    assert keys.knows("k-1")
    assert not keys.knows("k-2")
    assert not keys.knows(None)


def test_of_a_long_set_the_first_hundred_count() -> None:
    strangers = [Signer(kid=f"k-{number}", name="stranger").jwk for number in range(100)]
    mine = Signer(kid="mine")
    assert verified({"keys": [*strangers[:99], mine.jwk]}, mine.sign(CLAIMS))
    assert not verified({"keys": [*strangers, mine.jwk]}, mine.sign(CLAIMS))


def _number(value: int) -> str:
    encoded = value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()
