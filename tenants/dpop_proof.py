"""The key that a DPoP proof brings along (RFC 9449 section 4.2), its thumbprint (RFC 7638), its signature.

A key found here proves nothing but itself: what it counts for is said by the token that is bound to its thumbprint.
Owns which public keys are taken. Not the claims (policies/dpop.py).
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from tenants.jose import SignedClaims, UnusableKey, VerifyingKey
from tenants.unverified_token import Malformed, UnverifiedToken, parse_unverified

MAX_PROOF_BYTES: Final = 4096

_REMEMBERED = 2048  # keys; one that was pushed out is read anew
_COORDINATE = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes
_MODULUS = re.compile(r"[A-Za-z0-9_-]{342,683}")  # 2048 to 4096 bits
_EXPONENT = "AQAB"  # 65537: an exponent of the client's choice would be work of its choice
# RFC 9864 names the curve in the algorithm. Keys and signatures are the same.
_OURS: Final = {"ES256": "ES256", "EdDSA": "EdDSA", "Ed25519": "EdDSA", "RS256": "RS256"}
_MEMBERS: Final[dict[str, dict[str, str | re.Pattern[str]]]] = {
    "ES256": {"crv": "P-256", "kty": "EC", "x": _COORDINATE, "y": _COORDINATE},
    "EdDSA": {"crv": "Ed25519", "kty": "OKP", "x": _COORDINATE},
    "RS256": {"e": _EXPONENT, "kty": "RSA", "n": _MODULUS},
}


class ProofKey:
    """A public key with its thumbprint."""

    __slots__ = ("_key", "thumbprint")

    def __init__(self, alg: str, members: Mapping[str, str]) -> None:
        canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode("ascii")
        self.thumbprint = _encode(hashlib.sha256(canonical).digest())
        self._key = VerifyingKey({**members, "kid": self.thumbprint, "alg": alg})

    def __repr__(self) -> str:
        return f"ProofKey(thumbprint={self.thumbprint!r})"

    def verify(self, proof: UnverifiedToken) -> SignedClaims | None:
        """The proof's claims, if this key signed them; None also where the key turns out to be no point of its curve,
        or too short.
        """
        try:
            return self._key.verify(proof)
        except (UnusableKey, ValueError):
            return None


def parse(unverified_proof: bytes) -> UnverifiedToken | Malformed:
    """The parts of a proof: a JWS like any, and shorter than most."""
    if len(unverified_proof) > MAX_PROOF_BYTES:
        return Malformed("size")
    return parse_unverified(unverified_proof)


def proof_key(alg: str, jwk: Mapping[str, Any]) -> ProofKey | None:
    """The key that a header names, for the algorithm that it names; None where the two do not fit or it is none.

    The members that make the key are picked by name. What a client writes there beside them is its own affair, but for
    private members, which ``policies.dpop.header`` refuses.
    """
    ours = _OURS.get(alg)
    if ours is None:
        return None
    members: list[tuple[str, str]] = []
    for name, rule in _MEMBERS[ours].items():
        value = jwk.get(name)
        if not isinstance(value, str) or not (value == rule if isinstance(rule, str) else rule.fullmatch(value)):
            return None
        members.append((name, value))
    return _known(ours, tuple(members))


# A client proves with the same key each time: to read a point and check that it lies on its curve costs half as much as
# the signature. A stranger can push keys out by making new ones, and gains nothing.
@lru_cache(maxsize=_REMEMBERED)
def _known(alg: str, members: tuple[tuple[str, str], ...]) -> ProofKey | None:
    if not all(_canonical(value) for name, value in members if name in ("x", "y", "n")):
        return None
    return ProofKey(alg, dict(members))


def _canonical(value: str) -> bool:
    """One number, one spelling (RFC 7518 sections 2, 6.2.1.2, 6.3.1.1), so that one key has one thumbprint."""
    try:
        data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        return False
    return _encode(data) == value and (len(data) == 32 or data[:1] != b"\0")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
