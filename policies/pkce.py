"""Proof Key for Code Exchange (RFC 7636): the code belongs to whoever can name the secret that the request began with.

``S256`` is the only method. ``plain`` sends the secret with the request, where whoever reads the request has it.
"""

import base64
import hashlib
import hmac
import re

from policies.decision import Allow, Deny

METHOD = "S256"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # base64url of 32 bytes: two bits of the last are none
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Whether it can be the SHA-256 of a verifier (section 4.2)."""
    return _CHALLENGE.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """Base64url of its SHA-256 (section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def verify(unverified_verifier: str | None, *, challenge: str) -> Allow | Deny:
    """Whether this is the secret behind the challenge (section 4.6).

    Denials: ``verifier_missing``, ``verifier_malformed``, ``verifier_wrong``.
    """
    if unverified_verifier is None:
        return Deny("verifier_missing")
    if _VERIFIER.fullmatch(unverified_verifier) is None:
        return Deny("verifier_malformed")
    if not hmac.compare_digest(challenge_of(unverified_verifier), challenge):
        return Deny("verifier_wrong")
    return Allow()
