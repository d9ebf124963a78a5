"""A client's public keys, and what it signed with them (RFC 7517, 7523 section 3, 9101 section 6.2, 8725 section 3).

The algorithm belongs to the key: one of a short list that fits the key's type, or the very one that the key names. No
token makes ``none`` or a shared secret of a public key. Owns keys and signatures; joserfc does the mathematics. Not
where the keys come from (gateway/oauth/client_jwks.py), not what the claims have to say (policies/client_statement.py).
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from tenants.jose import RSA_BITS, SignedClaims
from tenants.unverified_token import UnverifiedToken

CLIENT_ALGORITHMS: Final = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
"""What clients may sign with, for the metadata of an issuer (RFC 8414 section 2). ``EdDSA`` is what ``Ed25519`` was
called before RFC 9864, and is with most of today's libraries."""

_Key = ECKey | OKPKey | RSAKey
_Type = type[ECKey] | type[OKPKey] | type[RSAKey]
_KINDS: Final[Mapping[tuple[object, object], tuple[_Type, tuple[str, ...]]]] = {
    ("EC", "P-256"): (ECKey, ("ES256",)),
    ("OKP", "Ed25519"): (OKPKey, ("Ed25519", "EdDSA")),
    ("RSA", None): (RSAKey, ("RS256", "PS256")),
}
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y", "n", "e")
_MOST_KEYS = 100
_MOST_TRIED = 10  # where a token names no key: each try costs a tenth of a millisecond of everybody's time
_RSA_MOST_BITS = 8192
_RSA_EXPONENT_MOST_BITS = 32  # a longer one makes a verification as slow as its owner likes


class UnusableKeys(Exception):
    """What is no JWK set. The message says nothing of what it holds."""


class ClientKey:
    """One public key. It is parsed at the first use; one that turns out to be none has signed nothing."""

    __slots__ = ("_jwk", "_key", "_type", "algorithms", "kid")

    def __init__(self, kid: str | None, kind: _Type, algorithms: tuple[str, ...], jwk: Mapping[str, Any]) -> None:
        self.kid, self.algorithms = kid, algorithms
        self._type, self._jwk = kind, jwk
        self._key: _Key | None = None

    def __repr__(self) -> str:
        return f"ClientKey(kid={self.kid!r}, algorithms={self.algorithms!r})"

    @classmethod
    def of(cls, jwk: object) -> Self | None:
        """The key; None for one that cannot sign what we take: another type or algorithm, another use."""
        if not isinstance(jwk, Mapping):
            return None
        kty, crv, alg, kid = (jwk.get(name) for name in ("kty", "crv", "alg", "kid"))
        if not isinstance(kty, str) or not isinstance(crv, str | None) or (kty, crv) not in _KINDS:
            return None
        kind, algorithms = _KINDS[kty, crv]
        if alg is not None:
            algorithms = tuple(known for known in algorithms if known == alg)
        operations = jwk.get("key_ops", ["verify"])
        meant_to_verify = jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
        if not algorithms or not meant_to_verify or not isinstance(kid, str | None):
            return None
        members = {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}
        return cls(kid, kind, algorithms, members)

    def signed(self, token: UnverifiedToken, algorithm: str) -> bool:
        """Whether this key made the token's signature by this algorithm, which has to be one of its own."""
        if algorithm not in self.algorithms:
            return False
        try:
            key = self._key or self._parse()
        except (JoseError, ValueError, TypeError, KeyError):
            return False
        return bool(JWSRegistry.algorithms[algorithm].verify(token.signing_input, token.signature, key))

    def _parse(self) -> _Key:
        if self._type is RSAKey:
            bits, exponent = (_bits(self._jwk[name]) for name in ("n", "e"))
            if not RSA_BITS <= bits <= _RSA_MOST_BITS or exponent > _RSA_EXPONENT_MOST_BITS:
                raise ValueError("an RSA key of a size that is not taken")
        self._key = self._type.import_key(dict(self._jwk))
        return self._key


class ClientKeys:
    """The keys of one JWK set that we can use: at most a hundred."""

    __slots__ = ("_keys",)

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        """Keys of other kinds are left out, as RFC 7517 section 5 asks.

        Raises:
            UnusableKeys: there is no list of keys.
        """
        listed = jwks.get("keys")
        if not isinstance(listed, list):
            raise UnusableKeys("a JWK set without a list of keys")
        self._keys = tuple(key for key in map(ClientKey.of, listed[:_MOST_KEYS]) if key is not None)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The keys of a document that was fetched.

        Raises:
            UnusableKeys: it is no JWK set.
        """
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UnusableKeys("a JWK set that is no JSON") from error
        if not isinstance(document, dict):
            raise UnusableKeys("a JWK set that is no object")
        return cls(document)

    def knows(self, kid: object) -> bool:
        """Whether a key of this name is among them."""
        return kid is not None and any(key.kid == kid for key in self._keys)

    def verify(self, token: UnverifiedToken) -> SignedClaims | None:
        """The token's claims, if one of these keys signed them.

        A ``kid`` has to be the key's own; a token without one is tried with the first ten that fit its algorithm.
        """
        algorithm, kid = token.header.get("alg"), token.header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in CLIENT_ALGORITHMS:
            return None
        fitting = [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]
        signed = any(key.signed(token, algorithm) for key in fitting[:_MOST_TRIED])
        return SignedClaims(token.claims) if signed else None


def _bits(number: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))).bit_length()
