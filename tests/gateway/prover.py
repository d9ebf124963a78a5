"""A client that holds a key and proves it (RFC 9449), with PyJWT: the forge shares no code with what it attacks."""

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RSA_KEY = rsa.generate_private_key(65537, 2048)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Prover:
    """One key. ``nonce`` is what the server gave out last."""

    def __init__(self, alg: str = "ES256") -> None:
        self.alg = alg
        self.private: Any
        match alg:
            case "ES256":
                self.private = ec.generate_private_key(ec.SECP256R1())
                self.jwk = ECAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
                members = ("crv", "kty", "x", "y")
            case "RS256":
                self.private = RSA_KEY
                self.jwk = RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
                members = ("e", "kty", "n")
            case _:
                self.private = ed25519.Ed25519PrivateKey.generate()
                self.jwk = OKPAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
                members = ("crv", "kty", "x")
        self.jwk = {name: self.jwk[name] for name in members}
        canonical = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        self.thumbprint = b64(hashlib.sha256(canonical.encode()).digest())
        self.nonce: str | None = None

    def header(self) -> dict[str, Any]:
        return {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk}

    def claims(self, method: str, url: str, now: float, access_token: str | None = None) -> dict[str, Any]:
        claims: dict[str, Any] = {"jti": str(uuid4()), "htm": method, "htu": url, "iat": int(now)}
        if self.nonce is not None:
            claims["nonce"] = self.nonce
        if access_token is not None:
            claims["ath"] = b64(hashlib.sha256(access_token.encode()).digest())
        return claims

    def prove(self, method: str, url: str, now: float, access_token: str | None = None, **changes: Any) -> str:
        """A proof; a change to None leaves a claim out."""
        claims = {**self.claims(method, url, now, access_token), **changes}
        return self.signed(self.header(), {name: value for name, value in claims.items() if value is not None})

    def signed(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """A JWS of exactly this header and these claims, signed with this key whatever the header says."""
        signing_input = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        algorithm = jwt.get_algorithm_by_name("EdDSA" if self.alg == "Ed25519" else self.alg)
        return f"{signing_input}.{b64(algorithm.sign(signing_input.encode(), self.private))}"
