"""What the data plane answers itself: problem details (RFC 9457) with the challenges of RFC 6750 and RFC 9470.

The public text of each is fixed and written once; only the request id, the scopes and the challenge change.
"""

from dataclasses import dataclass

from gateway import errors

_PLACE = "{request_id}"
_REALM = 'Bearer realm="yett"'
_CONTENT = (b"content-type", b"application/problem+json")
_NO_STORE = (b"cache-control", b"no-store")


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
UPGRADE_REFUSED = Problem(400, "upgrade_refused", "This address does not answer WebSocket handshakes.")
TOKEN_MISSING = Problem(401, "token_missing", "An access token is required.")
INVALID_TOKEN = Problem(401, "invalid_token", "The access token is malformed, expired, revoked or not for this API.")
STEP_UP = Problem(401, "insufficient_user_authentication", "A stronger or more recent authentication is required.")
INSUFFICIENT_SCOPE = Problem(403, "insufficient_scope", "The access token lacks a scope that is required here.")
ACCESS_DENIED = Problem(403, "access_denied", "This caller may not do this.")
ROUTE_NOT_FOUND = Problem(404, "route_not_found", "There is nothing at this address.")
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "This address does not answer this method.")
REVOCATIONS_STALE = Problem(503, "revocations_stale", "Access tokens cannot be checked at present. Try again later.")
FAULTS = {
    problem.code: problem
    for problem in (
        Problem(502, "upstream_unreachable", "The API behind this address cannot be reached."),
        Problem(502, "upstream_malformed", "The API behind this address gave no valid answer."),
        Problem(503, "upstream_busy", "The API behind this address is busy. Try again later."),
        Problem(504, "upstream_timeout", "The API behind this address did not answer in time."),
    )
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem, the reason that the audit log keeps, and what the answer says beyond its body."""

    problem: Problem
    reason: str
    scope: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


def retry_later(problem: Problem, reason: str, seconds: int = 1) -> Refusal:
    """A refusal that time may cure."""
    return Refusal(problem, reason, headers=((b"retry-after", b"%d" % seconds),))


def method_not_allowed(allowed: tuple[str, ...]) -> Refusal:
    """RFC 9110 section 15.5.6: the answer names the methods that there are."""
    return Refusal(METHOD_NOT_ALLOWED, "method_not_allowed", headers=((b"allow", ", ".join(allowed).encode()),))


def token_missing() -> Refusal:
    """RFC 6750 section 3.1: who sent no token is told no error, only the scheme."""
    return Refusal(TOKEN_MISSING, "token_missing", headers=_challenge())


def invalid_token(reason: str) -> Refusal:
    """``reason`` stays here; the client learns that the token will not do."""
    return Refusal(INVALID_TOKEN, reason, headers=_challenge(error="invalid_token"))


def insufficient_scope(scopes: frozenset[str]) -> Refusal:
    """RFC 6750 section 3.1, with the scopes that are missing."""
    scope = " ".join(sorted(scopes))
    return Refusal(INSUFFICIENT_SCOPE, "insufficient_scope", scope, _challenge(error="insufficient_scope", scope=scope))


def step_up(reason: str, acr_values: tuple[str, ...], max_age: int | None) -> Refusal:
    """RFC 9470 section 3."""
    members = {"error": "insufficient_user_authentication"}
    if acr_values:
        members["acr_values"] = " ".join(acr_values)
    if max_age is not None:
        members["max_age"] = str(max_age)
    return Refusal(STEP_UP, reason, headers=_challenge(**members))


def answer(refusal: Refusal, request_id: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Header fields and body."""
    body = refusal.problem.encode(request_id, refusal.scope)
    headers = [
        _CONTENT,
        (b"content-length", b"%d" % len(body)),
        _NO_STORE,
        (b"x-request-id", request_id),
        *refusal.headers,
    ]
    return headers, body


def _challenge(**members: str) -> tuple[tuple[bytes, bytes], ...]:
    """A WWW-Authenticate field. Values are scopes, codes, numbers: none needs a quoted pair (RFC 6749 section 3.3)."""
    parts = [_REALM, *(f'{name}="{value}"' for name, value in members.items())]
    return ((b"www-authenticate", ", ".join(parts).encode("ascii")),)
