"""Signing keys and verifying keys of tenants (RFC 7515, 7517, 7638, 8725).

The algorithm is the key's, never the token's, and a key is only ever found by (tenant, kid). Owns keys and signatures;
joserfc does the mathematics. Not the reading of a token (unverified_token.py), not what its claims have to say
(policies/claims.py), not when a key may sign (policies/key_rotation.py), not its sealing (sealing.py).
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, Literal, NewType, Self, get_args

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tenants.compact_json import compact
from tenants.unverified_token import UnverifiedToken

Algorithm = Literal["ES256", "EdDSA", "RS256"]
DEFAULT_ALGORITHM: Final[Algorithm] = "ES256"
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068 media type, not a password

RSA_BITS = 2048

SignedClaims = NewType("SignedClaims", dict[str, Any])
"""Claims whose signature was verified under the key that the caller chose. Still to be judged: type, times, audience.
"""

_Key = ECKey | OKPKey | RSAKey
_KIND: Final[dict[str, tuple[type[ECKey] | type[OKPKey] | type[RSAKey], str, str | None]]] = {
    "ES256": (ECKey, "EC", "P-256"),
    "EdDSA": (OKPKey, "OKP", "Ed25519"),
    "RS256": (RSAKey, "RSA", None),
}
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_ES256: Final = ECDSA(SHA256())
_ES256_BYTES: Final = 32


class UnusableKey(Exception):
    """The stored key is not what its row says it is. The message names the kid and never the key."""


class SigningKey:
    """A private key that signs with its one algorithm. Its repr shows the kid only."""

    __slots__ = ("_curve", "_headers", "_jws", "_key", "alg", "kid")

    def __init__(self, kid: str, alg: Algorithm, key: _Key) -> None:
        self.kid, self.alg, self._key = kid, alg, key
        private = key.private_key
        self._curve = private if isinstance(private, EllipticCurvePrivateKey) else None
        # Not get_alg(): it warns of "EdDSA" as a name (RFC 9864), which is the one that today's clients know.
        self._jws = JWSRegistry.algorithms[alg]
        self._headers: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, alg={self.alg!r})"

    @classmethod
    def generate(cls, alg: Algorithm = DEFAULT_ALGORITHM) -> Self:
        """A new key; its kid is its RFC 7638 thumbprint. RS256 takes up to a second of CPU: not on the event loop."""
        while (key := cls._generate(alg)).kid.startswith("-"):
            pass  # one in 64: a command line would take such a kid for an option
        return key

    @classmethod
    def _generate(cls, alg: Algorithm) -> Self:
        key: _Key
        match alg:
            case "ES256":
                key = ECKey.generate_key("P-256")
            case "EdDSA":
                key = OKPKey.generate_key("Ed25519")
            case "RS256":
                key = RSAKey.generate_key(RSA_BITS)
        return cls(key.thumbprint(), alg, key)

    @classmethod
    def from_private(cls, kid: str, alg: str, der: bytes, *, validate: bool = False) -> Self:
        """The key that ``private_der`` gave. Raises UnusableKey where algorithm, key and kid do not belong together.

        ``validate`` one that comes from elsewhere. Else unchecked: that takes 30 ms for RSA, and the key is ours,
        sealed and authenticated since we made it.
        """
        try:
            raw = load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=not validate)
        except (ValueError, TypeError) as error:
            raise UnusableKey(f"key {kid}: its private half cannot be read") from error
        key: _Key
        known: Algorithm
        match alg, raw:
            case "ES256", EllipticCurvePrivateKey() if raw.curve.name == "secp256r1":
                known, key = "ES256", ECKey.import_key(raw)
            case "EdDSA", Ed25519PrivateKey():
                known, key = "EdDSA", OKPKey.import_key(raw)
            case "RS256", RSAPrivateKey() if raw.key_size >= RSA_BITS:
                known, key = "RS256", RSAKey.import_key(raw)
            case _:
                raise UnusableKey(f"key {kid}: its private half is no key for {alg}")
        if key.thumbprint() != kid:
            raise UnusableKey(f"key {kid}: its private half belongs to another kid")
        return cls(kid, known, key)

    def private_der(self) -> bytes:
        """PKCS #8, unencrypted: to be sealed, never to be stored or logged as it is."""
        private = self._key.private_key
        if private is None:
            raise UnusableKey(f"key {self.kid} has no private half")
        return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def public_jwk(self) -> dict[str, str]:
        """The public half as it stands in the JWKS (RFC 7517). Members are picked by name, so that a private one cannot
        slip in.
        """
        members = self._key.as_dict(private=False)
        jwk = {name: str(members[name]) for name in _PUBLIC_MEMBERS if name in members}
        return jwk | {"kid": self.kid, "alg": self.alg, "use": "sig"}

    def verifying_key(self) -> "VerifyingKey":
        """The public half, to verify with."""
        return VerifyingKey(self.public_jwk())

    def sign(self, typ: str, claims: Mapping[str, Any]) -> str:
        """A compact JWS of type ``typ`` (``at+jwt`` for an access token, RFC 9068). Raises ValueError for claims that
        are no JSON.
        """
        header = self._headers.get(typ)
        if header is None:
            header = self._headers[typ] = _encode(compact({"alg": self.alg, "kid": self.kid, "typ": typ}))
        signing_input = header + b"." + _encode(compact(claims))
        return (signing_input + b"." + _encode(self._signature(signing_input))).decode("ascii")

    def _signature(self, signing_input: bytes) -> bytes:
        if self._curve is None:
            return self._jws.sign(signing_input, self._key)
        # What joserfc does (RFC 7518 section 3.4), in two thirds of the time: a token is little else.
        r, s = decode_dss_signature(self._curve.sign(signing_input, _ES256))
        return r.to_bytes(_ES256_BYTES) + s.to_bytes(_ES256_BYTES)


class VerifyingKey:
    """A public key that verifies its one algorithm. The JWK is checked at once and parsed at the first use."""

    __slots__ = ("_jwk", "_jws", "_key", "alg", "kid")

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        """Raises UnusableKey for a JWK without kid, of another algorithm, or whose type does not fit it."""
        kid, alg = jwk.get("kid"), jwk.get("alg")
        if not isinstance(kid, str) or not kid:
            raise UnusableKey("a public key without kid")
        if not isinstance(alg, str) or alg not in _KIND:
            raise UnusableKey(f"key {kid}: no algorithm of ours")
        _, kty, crv = _KIND[alg]
        if jwk.get("kty") != kty or jwk.get("crv") != crv:
            raise UnusableKey(f"key {kid}: its type does not fit {alg}")
        self.kid, self.alg = kid, alg
        self._jwk = {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}
        self._jws = JWSRegistry.algorithms[alg]
        self._key: _Key | None = None

    def __repr__(self) -> str:
        return f"VerifyingKey(kid={self.kid!r}, alg={self.alg!r})"

    def public_jwk(self) -> dict[str, str]:
        """The key as it stands in the JWKS (RFC 7517)."""
        return {name: str(value) for name, value in self._jwk.items()} | {
            "kid": self.kid,
            "alg": self.alg,
            "use": "sig",
        }

    def verify(self, token: UnverifiedToken) -> SignedClaims | None:
        """The token's claims, if this key signed them. The header's ``alg`` plays no part; to refuse it is the
        caller's, before this.

        Raises UnusableKey where the JWK turns out to be no key.
        """
        key = self._key or self._parse()
        if not self._jws.verify(token.signing_input, token.signature, key):
            return None
        return SignedClaims(token.claims)

    def _parse(self) -> _Key:
        kind, _, _ = _KIND[self.alg]
        try:
            if kind is RSAKey and (bits := _bits(self._jwk["n"])) < RSA_BITS:
                raise UnusableKey(f"key {self.kid}: {bits} bits are too few")
            key = kind.import_key(dict(self._jwk))
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise UnusableKey(f"key {self.kid}: its public half cannot be read") from error
        self._key = key
        return key


def _bits(modulus: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4))).bit_length()


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
