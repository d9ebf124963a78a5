"""What a DPoP proof has to say (RFC 9449 section 4.3), before and after its signature is checked, and who holds a key.

    header(...)   typ, alg, jwk: which key the proof would be proved with
    claims(...)   for this request, of now, once, with our nonce
    holder(...)   whether who shows a key may use what is bound to one

Owns names, times and the comparison of URLs. Not the parsing or the signature (tenants/dpop_proof.py), not which nonces
are ours or which proofs were seen (gateway/authn/dpop.py).
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeGuard

from policies.claims import CLOCK_SKEW
from policies.decision import Allow, Deny

ALGORITHMS: Final = ("ES256", "EdDSA", "Ed25519", "RS256")
"""Asymmetric ones only. ``Ed25519`` is the name of RFC 9864 for what ``EdDSA`` is here."""
MAX_AGE: Final = 60
"""Seconds that ``iat`` may lie behind this clock. The nonce bounds a proof's age too, and cannot be made in advance."""
MAX_AHEAD: Final = 60
"""Seconds that ``iat`` may lie ahead: of a client's clock, which nobody here has set."""
REMEMBERED: Final = MAX_AGE + CLOCK_SKEW
"""Seconds after ``iat`` for which a proof is known that was used: where another process's clock is behind, it is
refused for its age that much later.
"""

_TYPE = "dpop+jwt"
# Parameters by which a proof would name another key, or change what is signed.
_UNTRUSTED = frozenset({"crit", "b64", "zip", "enc", "jku", "x5u", "x5c"})
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LONGEST_JTI = 256
_LONGEST_URL = 4096
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# Scheme, host, port, path: all of a URI that a server goes by. No user, and nothing that is not visible ASCII.
_URL = re.compile(
    r"""(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+]|[a-z0-9._-]+)(?::(?P<port>[0-9]{0,5}))?
    (?P<path>/[!-"$->@-~]*)?(?:[?#][!-~]*)?""",
    re.IGNORECASE | re.VERBOSE,
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class _NeverTruthTested:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a refusal is matched, never truth-tested")


@dataclass(frozen=True, slots=True)
class Invalid(_NeverTruthTested):
    """Not a proof of this request. ``reason`` is a stable snake_case code."""

    reason: str


@dataclass(frozen=True, slots=True)
class NonceWanted(_NeverTruthTested):
    """A proof of this request, but without a nonce of ours that still counts (RFC 9449 section 8)."""


@dataclass(frozen=True, slots=True)
class ProofHeader:
    """The algorithm, and the public key that the proof brings along."""

    alg: str
    jwk: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProofClaims:
    """What of a good proof is still needed: its identifier, and from when on (epoch seconds) it is refused anywhere."""

    token_id: str
    expires_at: float


def header(unverified: Mapping[str, Any]) -> ProofHeader | Invalid:
    """Key and algorithm. Reasons: ``dpop_type``, ``dpop_header``, ``dpop_algorithm``, ``dpop_key``."""
    if unverified.get("typ") != _TYPE:
        return Invalid("dpop_type")
    if not _UNTRUSTED.isdisjoint(unverified):
        return Invalid("dpop_header")
    alg, jwk = unverified.get("alg"), unverified.get("jwk")
    if not isinstance(alg, str) or alg not in ALGORITHMS:
        return Invalid("dpop_algorithm")
    if not isinstance(jwk, dict) or not _PRIVATE.isdisjoint(jwk):
        return Invalid("dpop_key")
    return ProofHeader(alg, jwk)


def claims(
    unverified: Mapping[str, Any],
    *,
    method: str,
    url: str,
    now: float,
    nonces: Container[str],
    token_hash: str | None = None,
) -> ProofClaims | Invalid | NonceWanted:
    """The claims of a proof for a request of ``method`` to ``url``; its query and fragment do not count.

    ``token_hash`` is the base64url SHA-256 of the access token that comes with it, where one does. ``nonces`` are those
    that count now. What is wrong beyond repair is said first, so that nobody tries again in vain with a nonce.
    Reasons: ``dpop_claims`` (missing or of another type), ``dpop_method``, ``dpop_url``, ``dpop_too_old``,
    ``dpop_too_early``, ``dpop_token_hash``.
    """
    token_id, issued_at = unverified.get("jti"), unverified.get("iat")
    if not isinstance(token_id, str) or not 0 < len(token_id) <= _LONGEST_JTI or not _is_time(issued_at):
        return Invalid("dpop_claims")
    if unverified.get("htm") != method:
        return Invalid("dpop_method")
    if not same_target(unverified.get("htu"), url):
        return Invalid("dpop_url")
    untimely = _untimely(unverified, issued_at, now)
    if untimely is not None:
        return untimely
    if token_hash is not None and unverified.get("ath") != token_hash:
        return Invalid("dpop_token_hash")
    nonce = unverified.get("nonce")
    if not isinstance(nonce, str) or nonce not in nonces:
        return NonceWanted()
    return ProofClaims(token_id, issued_at + REMEMBERED)


def holder(bound_to: str | None, shown: str | None) -> Allow | Deny:
    """Whether who proved to hold the key ``shown`` may use what is bound to ``bound_to``; both are thumbprints.

    Denials: ``dpop_proof_missing``, ``dpop_key_mismatch``.
    """
    if bound_to is None or bound_to == shown:
        return Allow()
    return Deny("dpop_proof_missing" if shown is None else "dpop_key_mismatch")


def same_target(unverified_url: object, url: str) -> bool:
    """Whether both name one target, after syntax- and scheme-based normalisation (RFC 3986 sections 6.2.2, 6.2.3)."""
    if unverified_url == url:
        return True
    if not isinstance(unverified_url, str) or len(unverified_url) > _LONGEST_URL:
        return False
    named = _normal(unverified_url)
    return named is not None and named == _normal(url)


def _untimely(unverified: Mapping[str, Any], issued_at: float, now: float) -> Invalid | None:
    """``exp`` and ``nbf`` need not be there, but count where they are (RFC 7519 section 4.1)."""
    if issued_at + MAX_AGE <= now:
        return Invalid("dpop_too_old")
    if issued_at > now + MAX_AHEAD:
        return Invalid("dpop_too_early")
    for name in ("exp", "nbf"):
        if name in unverified and not _is_time(unverified[name]):
            return Invalid("dpop_claims")
    if unverified.get("exp", now) + MAX_AHEAD <= now:
        return Invalid("dpop_too_old")
    if unverified.get("nbf", now) > now + MAX_AHEAD:
        return Invalid("dpop_too_early")
    return None


def _is_time(value: object) -> TypeGuard[int | float]:
    """NumericDate, of any client: a number. To Python ``True`` is one too, so the type is compared."""
    return type(value) in (int, float)


def _normal(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, host, port and path in their normal form; None for what is no http URL."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return None
    scheme = parts["scheme"].lower()
    path = _without_dots(_ESCAPE.sub(_normal_escape, parts["path"] or "/"))
    return scheme, parts["host"].lower(), parts["port"] or _DEFAULT_PORTS[scheme], path


def _normal_escape(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if letter in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4, for a path that begins with a slash."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
