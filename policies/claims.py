"""Which headers and claims make an access token (RFC 9068 sections 2 and 4, RFC 7519 section 4.1), before and after its
signature is checked.

    header(...)            typ, kid, alg, and nothing that tells the verifier what to do
    before_signature(...)  the claims that choose the tenant and end the token's life: iss, exp
    access_claims(...)     every claim, of a token whose signature was verified

Owns names, types and times. Not the parsing (tenants/jose.py), the key, the audience that a route wants (access.py), or
revocation.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn, TypeGuard

from policies import scope as scopes
from policies.decision import Deny

CLOCK_SKEW = 60
"""Seconds that ``iat`` may lie ahead of this clock: the pod that issued the token has another."""
MAX_TIME = 253_402_300_799
"""The last second that a calendar of four-digit years can show: what is later could not even be logged as a time."""
MAX_TEXT = 1024
"""Characters of a name in a claim. Ours are far shorter; these go into headers and logs."""

_TYPES = frozenset({"at+jwt", "application/at+jwt"})
ID_TOKEN_TYPES = frozenset({"jwt"})
# Parameters by which a token would name its own key, or change what is signed. We never issue and never follow them.
_UNTRUSTED = frozenset({"crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"})
_THUMBPRINT = re.compile("[A-Za-z0-9_-]{43}")
# Controls would break out of the header or log line that carries the name; a lone surrogate cannot be encoded at all.
_NOT_A_NAME = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Refused:
    """Not an access token that is valid now. ``reason`` is a stable snake_case code, ``claim`` the name that broke the
    rule.
    """

    reason: str
    claim: str = ""

    def __bool__(self) -> NoReturn:
        raise TypeError("a refusal is matched, never truth-tested")


@dataclass(frozen=True, slots=True)
class TokenHeader:
    """What the header names: the key, and the algorithm that has to be that key's own."""

    kid: str
    alg: str


@dataclass(frozen=True, slots=True)
class Unproved:
    """The two claims that are read before the signature is checked: they select and refuse, they never allow."""

    issuer: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of a valid access token. Times are integer seconds since the epoch."""

    issuer: str
    subject: str
    audiences: frozenset[str]
    client_id: str
    token_id: str
    scopes: frozenset[str]
    issued_at: int
    expires_at: int
    session_id: str | None
    auth_time: int | None
    acr: str | None
    amr: frozenset[str]
    confirmation: str | None
    all: Mapping[str, Any] = field(repr=False)


def header(unverified: Mapping[str, Any], *, types: Collection[str] = _TYPES) -> TokenHeader | Refused:
    """Key and algorithm of a token of one of these types, in lower case; an access token's are the default.

    Reasons: ``token_type``, ``token_header``, ``key_id_missing``, ``alg_mismatch``.
    """
    typ = unverified.get("typ")
    if not isinstance(typ, str) or typ.lower() not in types:
        return Refused("token_type", "typ")
    if not _UNTRUSTED.isdisjoint(unverified):
        return Refused("token_header", sorted(_UNTRUSTED.intersection(unverified))[0])
    kid, alg = unverified.get("kid"), unverified.get("alg")
    if not isinstance(kid, str) or not kid:
        return Refused("key_id_missing", "kid")
    if not isinstance(alg, str):
        return Refused("alg_mismatch", "alg")
    return TokenHeader(kid, alg)


def before_signature(unverified: Mapping[str, Any], *, now: float, leeway: int = 0) -> Unproved | Refused:
    """Issuer and end of life. Reasons: ``issuer_unknown`` (not one string), ``claims_invalid``, ``token_expired``."""
    issuer, expires_at = unverified.get("iss"), unverified.get("exp")
    if not isinstance(issuer, str):
        return Refused("issuer_unknown", "iss")
    if not _is_time(expires_at):
        return Refused("claims_invalid", "exp")
    if expires_at + leeway <= now:
        return Refused("token_expired", "exp")
    return Unproved(issuer, expires_at)


def access_claims(claims: Mapping[str, Any], *, now: float, leeway: int = 0) -> AccessClaims | Refused:
    """The claims of a token whose signature was verified.

    Reasons: those of ``before_signature``, ``token_not_yet_valid`` (nbf or iat in the future), ``claims_invalid`` with
    the claim's name. ``sid``, ``auth_time``, ``acr``, ``amr`` are absent where a client acts for itself; ``scope`` may
    be absent or empty, which grants nothing.
    """
    unproved = before_signature(claims, now=now, leeway=leeway)
    if isinstance(unproved, Refused):
        return unproved
    for name in ("sub", "client_id", "jti"):
        if not _is_name(claims.get(name)):
            return Refused("claims_invalid", name)
    for name in ("sid", "acr"):
        if name in claims and not _is_name(claims[name]):
            return Refused("claims_invalid", name)
    if "auth_time" in claims and not _is_time(claims["auth_time"]):
        return Refused("claims_invalid", "auth_time")
    untimely = _untimely(claims, unproved.expires_at, now, leeway)
    if untimely is not None:
        return untimely
    audiences, amr, granted = _names(claims.get("aud")), _names(claims.get("amr", [])), _scopes(claims.get("scope", ""))
    if not audiences:
        return Refused("claims_invalid", "aud")
    if amr is None or isinstance(claims.get("amr"), str):
        return Refused("claims_invalid", "amr")
    if granted is None:
        return Refused("claims_invalid", "scope")
    confirmation = _confirmation(claims["cnf"]) if "cnf" in claims else None
    if isinstance(confirmation, Refused):
        return confirmation
    return AccessClaims(
        issuer=unproved.issuer,
        subject=claims["sub"],
        audiences=audiences,
        client_id=claims["client_id"],
        token_id=claims["jti"],
        scopes=granted,
        issued_at=claims["iat"],
        expires_at=unproved.expires_at,
        session_id=claims.get("sid"),
        auth_time=claims.get("auth_time"),
        acr=claims.get("acr"),
        amr=amr,
        confirmation=confirmation,
        all=claims,
    )


def _untimely(claims: Mapping[str, Any], expires_at: int, now: float, leeway: int) -> Refused | None:
    issued_at = claims.get("iat")
    if not _is_time(issued_at) or issued_at >= expires_at:
        return Refused("claims_invalid", "iat")
    if issued_at > now + max(leeway, CLOCK_SKEW):
        return Refused("token_not_yet_valid", "iat")
    if "nbf" in claims:
        if not _is_time(claims["nbf"]):
            return Refused("claims_invalid", "nbf")
        if claims["nbf"] > now + leeway:
            return Refused("token_not_yet_valid", "nbf")
    return None


def _confirmation(value: object) -> str | Refused:
    """The thumbprint of ``cnf`` (RFC 9449 section 6.1). A way to confirm that is not known here cannot be ignored: the
    token would count for anybody who holds it (RFC 7800 section 3.1 leaves that to the profile).
    """
    if isinstance(value, dict) and value.keys() == {"jkt"}:
        thumbprint = value["jkt"]
        if isinstance(thumbprint, str) and _THUMBPRINT.fullmatch(thumbprint):
            return thumbprint
    return Refused("claims_invalid", "cnf")


def _is_time(value: object) -> TypeGuard[int]:
    """NumericDate as we issue it: an integer. To Python ``True`` is one too, so the type is compared."""
    return type(value) is int and 0 < value <= MAX_TIME


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and _NOT_A_NAME.search(value) is None


def _names(value: object) -> frozenset[str] | None:
    """A string or a list of strings (RFC 7519 section 4.1.3), else None."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(_is_name(item) for item in value):
        return None
    return _one_set(tuple(value))


def _scopes(value: object) -> frozenset[str] | None:
    if not isinstance(value, str):
        return None
    return _scope_set(value)


# The tokens of a tenant carry few distinct scopes and audiences. One shared set for each spares the memory of
# remembered tokens; only verified tokens come here, so nobody else can wear the cache out.
@lru_cache(maxsize=4096)
def _one_set(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)


@lru_cache(maxsize=4096)
def _scope_set(text: str) -> frozenset[str] | None:
    parsed = scopes.parse(text) if text else frozenset[str]()
    return None if isinstance(parsed, Deny) else parsed
