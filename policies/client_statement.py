"""What a client says under its own signature: that it is itself (RFC 7523 section 3), or what it asks for (RFC 9101).

    header(...)          what the token says it is, and nothing that tells the verifier what to do
    assertion(...)       the claims of a client assertion, of which the signature was verified
    request_object(...)  the claims of a request object, likewise

Owns names, types and times. Not the signature (tenants/client_keys.py), and not whether it was seen before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeGuard

from policies.claims import CLOCK_SKEW, MAX_TEXT, MAX_TIME
from policies.decision import Allow, Deny

Kind = Literal["assertion", "request_object"]

LONGEST: Mapping[Kind, timedelta] = {"assertion": timedelta(minutes=5), "request_object": timedelta(hours=1)}
"""How far ahead ``exp`` may lie. For as long, and for the skew of clocks, it is remembered that it was used."""

# A token that names its type names the right one (RFC 8725 section 3.11): what a client signs for one purpose, or for
# another party, is not taken for another.
_TYPES: Mapping[Kind, frozenset[str]] = {
    "assertion": frozenset({"jwt", "client-authentication+jwt"}),
    "request_object": frozenset({"jwt", "oauth-authz-req+jwt"}),
}
_UNTRUSTED = frozenset({"crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c"})


@dataclass(frozen=True, slots=True)
class Statement:
    """It may be believed. ``token_id`` is its ``jti``; a request object may have none."""

    token_id: str | None
    expires_at: datetime


def header(unverified: Mapping[str, Any], kind: Kind) -> Allow | Deny:
    """Whether it can be one of its kind. Reasons: ``token_type``, ``token_header``."""
    typ = unverified.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES[kind]:
        return Deny("token_type")
    if not _UNTRUSTED.isdisjoint(unverified):
        return Deny("token_header")
    return Allow()


def assertion(claims: Mapping[str, Any], *, client_id: str, issuer: str, now: datetime) -> Statement | Deny:
    """``iss`` and ``sub`` are the client, ``aud`` is the issuer and nobody else, and it counts once."""
    if claims.get("sub") != client_id:
        return Deny("subject_mismatch")
    if "jti" not in claims:
        return Deny("token_id_missing")
    return _statement("assertion", claims, client_id=client_id, issuer=issuer, now=now)


def request_object(claims: Mapping[str, Any], *, client_id: str, issuer: str, now: datetime) -> Statement | Deny:
    """As an assertion, but it must not be one: ``sub`` is not the client (RFC 9101 section 10.8)."""
    if claims.get("sub") == client_id:
        return Deny("subject_is_client")
    return _statement("request_object", claims, client_id=client_id, issuer=issuer, now=now)


def _statement(
    kind: Kind, claims: Mapping[str, Any], *, client_id: str, issuer: str, now: datetime
) -> Statement | Deny:
    if claims.get("iss") != client_id:
        return Deny("issuer_mismatch")
    if claims.get("aud") != issuer:  # a list would say that another party may have it, and may use it here
        return Deny("audience_mismatch")
    token_id = claims.get("jti")
    if "jti" in claims and not (isinstance(token_id, str) and 0 < len(token_id) <= MAX_TEXT):
        return Deny("token_id_malformed")
    ends, moment = claims.get("exp"), now.timestamp()
    if not _is_time(ends):
        return Deny("expiry_missing")
    if ends <= moment:
        return Deny("token_expired")
    if ends > moment + LONGEST[kind].total_seconds():
        return Deny("expiry_too_far")
    for name in ("iat", "nbf"):
        begins = claims.get(name, moment)
        if not _is_time(begins) or begins >= ends:
            return Deny("claims_invalid")
        if begins > moment + CLOCK_SKEW:
            return Deny("token_not_yet_valid")
    return Statement(token_id, now + timedelta(seconds=ends - moment + CLOCK_SKEW))


def _is_time(value: object) -> TypeGuard[int | float]:
    """NumericDate (RFC 7519 section 2), fractions too. To Python ``True`` is an integer, so the type is compared."""
    return type(value) in (int, float) and 0 < value <= MAX_TIME  # type: ignore[operator]
