"""What the data plane answers itself: problem details (RFC 9457) with the challenges of RFC 6750, 9449, 9470
and 9728.

The public text of each is fixed and written once; only the request id, the scopes and the challenge change.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from gateway import errors
from gateway.authn.dpop import ALGORITHMS
from policies.decision import Challenge

_PLACE = "{request_id}"
_REALM = 'realm="yett"'
_CONTENT = (b"content-type", b"application/problem+json")
_NO_STORE = (b"cache-control", b"no-store")
_CHALLENGE = b"www-authenticate"
_REMEMBERED = 256  # refusals that are the same each time; a stranger decides how many come, but not of how many kinds


Scheme = Literal["Bearer", "DPoP"]


class Problem:
    """One kind of answer. ``encode`` puts the request id into a body that was written beforehand."""

    __slots__ = ("_after", "_before", "code", "status")

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status = status
        self.code = code
        text = errors.encode(errors.problem(status, code, request_id=_PLACE, detail=detail))
        self._before, _, self._after = text.partition(_PLACE.encode())

    def encode(self, request_id: bytes, scope: str = "") -> bytes:
        """The body; ``scope`` names the scopes that are missing."""
        if not scope:
            return b"%b%b%b" % (self._before, request_id, self._after)
        member = errors.encode({"scope": scope})[1:-1]
        return b"%b%b%b,%b}" % (self._before, request_id, self._after[:-1], member)


PATH_NOT_CANONICAL = Problem(400, "path_not_canonical", "The path can be read in more than one way.")
AUTHORIZATION_REPEATED = Problem(400, "authorization_repeated", "There is more than one access token.")
PROOF_REPEATED = Problem(400, "dpop_repeated", "There is more than one DPoP proof.")
ORIGINAL_UNCLEAR = Problem(
    403, "original_request_unclear", "The proxy in front does not say exactly which request it asks about."
)
MISLEADING_FIELD = Problem(400, "misleading_field", "A header field says what only the gateway may say to an API.")
UPGRADE_REFUSED = Problem(400, "upgrade_refused", "This address does not answer WebSocket handshakes.")
HANDSHAKE_INVALID = Problem(400, "websocket_handshake_invalid", "The WebSocket handshake is malformed.")
TOKEN_MISSING = Problem(401, "token_missing", "An access token is required.")
INVALID_TOKEN = Problem(401, "invalid_token", "The access token is malformed, expired, revoked or not for this API.")
INVALID_PROOF = Problem(
    401, "invalid_dpop_proof", "The DPoP proof is missing, malformed, for another request, or was used before."
)
USE_NONCE = Problem(401, "use_dpop_nonce", "The DPoP proof has to carry the nonce that comes with this answer.")
STEP_UP = Problem(401, "insufficient_user_authentication", "A stronger or more recent authentication is required.")
REQUEST_FORGED = Problem(403, "request_forged", "This request changes something, and no page of this site sent it.")
LOGIN_FAILED = Problem(400, "login_failed", "The login could not be completed. Go back to the page and try again.")
LOGIN_REFUSED = Problem(403, "login_refused", "Nobody was logged in: the request was turned down, or cannot be met.")
BROWSER_CLIENT_UNUSABLE = Problem(503, "browser_client_unusable", "Nobody can log in here: the client is not set up.")
BROWSER_UNAVAILABLE = Problem(503, "browser_unavailable", "Sessions cannot be checked at present. Try again later.")
TOO_MANY_REQUESTS = Problem(429, "too_many_requests", "Too many requests from this address. Try again later.")
INSUFFICIENT_SCOPE = Problem(403, "insufficient_scope", "The access token lacks a scope that is required here.")
ACCESS_DENIED = Problem(403, "access_denied", "This caller may not do this.")
ORIGIN_REFUSED = Problem(403, "origin_refused", "Pages of this origin may not connect here.")
ROUTE_NOT_FOUND = Problem(404, "route_not_found", "There is nothing at this address.")
UPSTREAM_NOT_FOUND = Problem(404, "upstream_not_found", "There is no API for this tenant at this address.")
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "This address does not answer this method.")
IDENTITY_UNSIGNED = Problem(503, "identity_unsigned", "Callers cannot be vouched for at present. Try again later.")
BODY_TOO_LARGE = Problem(413, "body_too_large", "The body is larger than this address takes.")
RATE_LIMITED = Problem(429, "rate_limited", "Too many requests. Try again later.")
UPGRADE_REQUIRED = Problem(426, "upgrade_required", "This address answers WebSocket handshakes only.")
VERSION_REFUSED = Problem(426, "websocket_version_unsupported", "Only version 13 of WebSocket is spoken here.")
REVOCATIONS_STALE = Problem(503, "revocations_stale", "Access tokens cannot be checked at present. Try again later.")
FAULTS = {
    problem.code: problem
    for problem in (
        Problem(408, "upload_too_slow", "The body of the request came too slowly."),
        Problem(502, "upstream_unreachable", "The API behind this address cannot be reached."),
        Problem(502, "upstream_malformed", "The API behind this address gave no valid answer."),
        Problem(503, "upstream_busy", "The API behind this address is busy. Try again later."),
        Problem(504, "upstream_timeout", "The API behind this address did not answer in time."),
    )
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem, the reason that the audit log keeps, and what the answer says beyond its body. ``wanted`` is what a
    login would have to bring (RFC 9470).
    """

    problem: Problem
    reason: str
    scope: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    wanted: Challenge | None = None


_UPGRADE = ((b"connection", b"upgrade"), (b"upgrade", b"websocket"))  # RFC 9110 section 15.5.22
UPGRADE_MISSING = Refusal(UPGRADE_REQUIRED, "upgrade_required", headers=_UPGRADE)
HANDSHAKE_MALFORMED = Refusal(HANDSHAKE_INVALID, "websocket_handshake_invalid")
VERSION_UNKNOWN = Refusal(
    VERSION_REFUSED, "websocket_version_unsupported", headers=(*_UPGRADE, (b"sec-websocket-version", b"13"))
)


def retry_later(problem: Problem, reason: str, seconds: int = 1) -> Refusal:
    """A refusal that time may cure."""
    return Refusal(problem, reason, headers=((b"retry-after", b"%d" % seconds),))


def body_too_large() -> Refusal:
    """RFC 9110 section 15.5.14. What is still to come of the body is not read, so the connection ends."""
    return Refusal(BODY_TOO_LARGE, "body_too_large", headers=((b"connection", b"close"),))


def rate_limited(reason: str, seconds: int) -> Refusal:
    """RFC 6585 section 4."""
    return retry_later(RATE_LIMITED, reason, seconds)


def stopped(reason: str, scheme: Scheme = "Bearer") -> Refusal:
    """Of a request that would be refused by now, and has no answer yet."""
    match reason:
        case "revocations_stale":
            return retry_later(REVOCATIONS_STALE, reason)
        case _:
            return invalid_token(reason, scheme)


def method_not_allowed(allowed: tuple[str, ...]) -> Refusal:
    """RFC 9110 section 15.5.6: the answer names the methods that there are."""
    return Refusal(METHOD_NOT_ALLOWED, "method_not_allowed", headers=((b"allow", ", ".join(allowed).encode()),))


@lru_cache(maxsize=1)
def token_missing() -> Refusal:
    """RFC 6750 section 3.1: who sent no token is told no error, only the scheme."""
    return Refusal(TOKEN_MISSING, "token_missing", headers=_challenge("Bearer"))


@lru_cache(maxsize=_REMEMBERED)
def invalid_token(reason: str, scheme: Scheme = "Bearer") -> Refusal:
    """``reason`` stays here; the client learns that the token will not do."""
    return Refusal(INVALID_TOKEN, reason, headers=_challenge(scheme, error="invalid_token"))


def invalid_proof(reason: str) -> Refusal:
    """RFC 9449 section 7.1. ``reason`` stays here, too."""
    return Refusal(INVALID_PROOF, reason, headers=_challenge("DPoP", error="invalid_dpop_proof"))


def use_dpop_nonce() -> Refusal:
    """RFC 9449 section 9. The nonce is on every answer to a request with a proof."""
    return Refusal(USE_NONCE, "dpop_nonce_wanted", headers=_challenge("DPoP", error="use_dpop_nonce"))


def insufficient_scope(scopes: frozenset[str], scheme: Scheme = "Bearer") -> Refusal:
    """RFC 6750 section 3.1, with the scopes that are missing."""
    scope = " ".join(sorted(scopes))
    challenge = _challenge(scheme, error="insufficient_scope", scope=scope)
    return Refusal(INSUFFICIENT_SCOPE, "insufficient_scope", scope, challenge)


def step_up(reason: str, acr_values: tuple[str, ...], max_age: int | None, scheme: Scheme = "Bearer") -> Refusal:
    """RFC 9470 section 3."""
    members = {"error": "insufficient_user_authentication"}
    if acr_values:
        members["acr_values"] = " ".join(acr_values)
    if max_age is not None:
        members["max_age"] = str(max_age)
    wanted = Challenge(reason, acr_values, max_age)
    return Refusal(STEP_UP, reason, headers=_challenge(scheme, **members), wanted=wanted)


@lru_cache(maxsize=_REMEMBERED)
def with_metadata(refused: Refusal, url: str | None) -> Refusal:
    """With the address of the resource's metadata in its challenge, if it has one (RFC 9728 section 5.1)."""
    if url is None:
        return refused
    pointer = f', resource_metadata="{url}"'.encode("ascii")
    headers = ((name, value + pointer if name == _CHALLENGE else value) for name, value in refused.headers)
    return replace(refused, headers=tuple(headers))


def answer(refusal: Refusal, request_id: bytes, nonce: str | None = None) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Header fields and body. ``nonce`` is for the next DPoP proof (RFC 9449 section 8.2)."""
    body = refusal.problem.encode(request_id, refusal.scope)
    headers = [
        _CONTENT,
        (b"content-length", b"%d" % len(body)),
        _NO_STORE,
        (b"x-request-id", request_id),
        *refusal.headers,
    ]
    if nonce is not None:
        headers.append(nonce_field(nonce))
    return headers, body


def nonce_field(nonce: str) -> tuple[bytes, bytes]:
    """The field that carries it."""
    return (b"dpop-nonce", nonce.encode("ascii"))


def _challenge(scheme: Scheme, **members: str) -> tuple[tuple[bytes, bytes], ...]:
    """A WWW-Authenticate field. Values are scopes, codes, numbers: none needs a quoted pair (RFC 6749 section 3.3)."""
    if scheme == "DPoP":
        members["algs"] = ALGORITHMS
    parts = [_REALM, *(f'{name}="{value}"' for name, value in members.items())]
    return ((_CHALLENGE, f"{scheme} {', '.join(parts)}".encode("ascii")),)
