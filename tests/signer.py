"""A client that signs: its private key, its public JWK, and whatever a test wants it to say (by PyJWT)."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@lru_cache(maxsize=64)
def private_key(alg: str, name: str) -> Key:
    """The same for the same name: RSA keys take their time."""
    if alg == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if alg == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def jwk_of(key: Any, alg: str) -> dict[str, Any]:
    """A public key as a JWK without kid, use and alg."""
    members = get_default_algorithms()[alg].to_jwk(key, as_dict=True)
    return {name: value for name, value in members.items() if name not in ("key_ops", "use")}


@dataclass(frozen=True)
class Signer:
    """Signs with one key. ``name`` tells the keys of two signers apart."""

    alg: str = "ES256"
    kid: str | None = "k-1"
    name: str = "client"
    key: Key = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", private_key(self.alg, self.name))

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as its client would register it."""
        named = {} if self.kid is None else {"kid": self.kid}
        return jwk_of(self.key.public_key(), self.alg) | named | {"alg": self.alg, "use": "sig"}

    @property
    def jwks(self) -> dict[str, Any]:
        """With this key only."""
        return {"keys": [self.jwk]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A JWT. A header of None is left out; ``alg`` is this signer's, whatever the header says."""
        named: dict[str, Any] = {"kid": self.kid, "typ": "JWT", **header}
        told = {name: value for name, value in named.items() if value is not None}
        if "typ" in named and named["typ"] is None:
            told["typ"] = None  # PyJWT adds its own otherwise
        return jwt.encode(dict(claims), self.key, algorithm=self.alg, headers=told)


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"x" * 64) -> str:
    """A JWT that nobody signed."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
