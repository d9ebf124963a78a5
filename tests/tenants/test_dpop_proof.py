"""The keys that proofs bring along: which are taken, and what they are called."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tenants.dpop_proof import MAX_PROOF_BYTES, parse, proof_key
from tenants.jose import SigningKey
from tenants.sealing import MasterKey, MasterKeys
from tenants.unverified_token import Malformed, UnverifiedToken

# RFC 9449 section 4.1, figure 2, and the thumbprint of section 6.1.
RFC_PROOF = (
    b"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    b"RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJq"
    b"dGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0Ijox"
    b"NTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def rsa_jwk(bits: int, exponent: int = 65537) -> dict[str, Any]:
    return dict(RSAAlgorithm.to_jwk(rsa.generate_private_key(exponent, bits).public_key(), as_dict=True))


def test_the_example_of_the_rfc() -> None:
    proof = parse(RFC_PROOF)
    assert isinstance(proof, UnverifiedToken)
    key = proof_key(proof.header["alg"], proof.header["jwk"])
    assert key is not None
    assert key.thumbprint == RFC_THUMBPRINT
    assert key.verify(proof) == {
        "jti": "-BwC3ESc6acc2lTc",
        "htm": "POST",
        "htu": "https://server.example.com/token",
        "iat": 1562262616,
    }


def test_what_was_altered_does_not_verify() -> None:
    proof = parse(RFC_PROOF[:-2] + b"Mg")
    assert isinstance(proof, UnverifiedToken)
    key = proof_key("ES256", proof.header["jwk"])
    assert key is not None
    assert key.verify(proof) is None


def test_a_proof_is_short() -> None:
    assert parse(b"a" * (MAX_PROOF_BYTES + 1)) == Malformed("size")


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_the_thumbprint_is_that_of_rfc_7638(alg: Any) -> None:
    signing = SigningKey.generate(alg)
    key = proof_key(alg, signing.public_jwk())
    assert key is not None
    assert key.thumbprint == signing.kid
    assert repr(key) == f"ProofKey(thumbprint={signing.kid!r})"


def test_one_key_has_one_thumbprint_whatever_stands_beside_it() -> None:
    jwk = SigningKey.generate("ES256").public_jwk()
    one, other = proof_key("ES256", jwk), proof_key("ES256", {**jwk, "kid": "mine", "ext": True})
    assert one is not None
    assert other is one


@pytest.mark.parametrize("bits", [1024, 5120])
def test_an_rsa_key_of_a_size_that_is_none_is_refused(bits: int) -> None:
    modulus = base64.urlsafe_b64encode(b"\x80" + bytes(bits // 8 - 2) + b"\x01").rstrip(b"=").decode()
    assert proof_key("RS256", {"kty": "RSA", "e": "AQAB", "n": modulus}) is None


def test_an_rsa_key_with_2047_bits_verifies_nothing() -> None:
    modulus = base64.urlsafe_b64encode(b"\x7f" + bytes(254) + b"\x01").rstrip(b"=").decode()
    key = proof_key("RS256", {"kty": "RSA", "e": "AQAB", "n": modulus})
    proof = parse(RFC_PROOF)
    assert isinstance(proof, UnverifiedToken)
    assert key is not None
    assert key.verify(proof) is None


def test_the_exponent_is_not_the_client_s_to_choose() -> None:
    jwk = rsa_jwk(2048)
    assert proof_key("RS256", jwk) is not None
    assert proof_key("RS256", {**jwk, "e": "Aw"}) is None
    assert proof_key("RS256", {**jwk, "e": jwk["n"]}) is None


def test_a_modulus_that_begins_with_zeros_is_refused() -> None:
    modulus = base64.urlsafe_b64encode(b"\0" + b"\xff" * 256).rstrip(b"=").decode()
    assert proof_key("RS256", {"kty": "RSA", "e": "AQAB", "n": modulus}) is None


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "PS256", ""])
def test_no_other_algorithm_has_keys_here(alg: str) -> None:
    assert proof_key(alg, SigningKey.generate("ES256").public_jwk()) is None


def test_a_derived_key_is_of_its_purpose_and_of_its_master_key() -> None:
    one, two = MasterKey("one", b"1" * 32), MasterKey("two", b"2" * 32)
    assert MasterKeys([one, two]).derived("a") == (*MasterKeys([one]).derived("a"), *MasterKeys([two]).derived("a"))
    assert MasterKeys([two, one]).derived("a") == tuple(reversed(MasterKeys([one, two]).derived("a")))
    assert MasterKeys([one]).derived("a") != MasterKeys([one]).derived("b")
    assert all(len(key) == 32 and key != one.secret for key in MasterKeys([one]).derived("a"))
