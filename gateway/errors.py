"""Refusals: one class per protocol code, raised where the fact is known, rendered in one place.

The text that a caller sees is fixed per class; ``reason`` and ``detail`` go to the log and the audit trail only.
OAuth endpoints answer RFC 6749 section 5.2, everything else RFC 9457 problem details with a stable ``code``.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from tenants.compact_json import compact


class Refusal(Exception):
    """An expected "no". It commits the step's evidence (see ``tenancy``); any other exception rolls it back.

    ``heading`` and ``public`` are what people read. ``reason`` is a stable snake_case code for the audit log,
    ``detail`` free text for the log. ``told`` is set where an audit event was written in the step that refused; what is
    not told is observed where it is rendered. ``no_sooner`` is how many seconds after its request it is answered.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "refused"
    public: ClassVar[str] = "The request was refused."
    heading: ClassVar[str] = "That did not work"
    no_sooner: ClassVar[float] = 0.0

    def __init__(self, *, reason: str | None = None, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(f"{self.code}: {detail or reason or self.public}")
        self.reason = reason or self.code
        self.detail = detail
        self.retry_after = retry_after
        self.told = False

    def headers(self) -> dict[str, str]:
        """Header fields that belong to the answer, beside its body."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class OAuthError(Refusal):
    """RFC 6749 section 5.2: ``error`` and ``error_description``, never cached."""

    def body(self) -> dict[str, str]:
        """The JSON object of the answer."""
        return {"error": self.code, "error_description": self.public}

    def headers(self) -> dict[str, str]:
        """RFC 6749 section 5.1 asks for both on anything that may stand in place of a token."""
        return {**super().headers(), "Cache-Control": "no-store", "Pragma": "no-cache"}


class InvalidRequest(OAuthError):
    code = "invalid_request"
    public = "The request is malformed: a parameter is missing, repeated or not understood."


class RequestTooLarge(OAuthError):
    status = 413
    code = "invalid_request"
    public = "The request body is larger than this endpoint accepts."


class InvalidClient(OAuthError):
    """RFC 6749 section 5.2: 401, with a challenge that names the scheme which the client may use."""

    status = 401
    code = "invalid_client"
    public = "Client authentication failed."

    def headers(self) -> dict[str, str]:
        """With the challenge that a 401 needs (RFC 9110 section 11.6.1)."""
        return {**super().headers(), "WWW-Authenticate": 'Basic realm="token", charset="UTF-8"'}


class ClientDeleted(OAuthError):
    """As ``InvalidClient``, without its challenge: on a page, a browser would ask for a password."""

    code = "invalid_client"
    public = "The application that asks was deleted."


class InvalidGrant(OAuthError):
    code = "invalid_grant"
    public = "The grant is invalid, expired, revoked or was issued to another client."


class BadCredentials(InvalidGrant):
    public = "The user name or the password is wrong."


class UnauthorizedClient(OAuthError):
    code = "unauthorized_client"
    public = "This client may not use this grant type."


class UnsupportedGrantType(OAuthError):
    code = "unsupported_grant_type"
    public = "This grant type is not supported."


class InvalidScope(OAuthError):
    code = "invalid_scope"
    public = "The scope is malformed, or nothing of it may be granted."


class InvalidTarget(OAuthError):
    """RFC 8707 section 2."""

    code = "invalid_target"
    public = "The resource is unknown, or this client may not ask for it."


class TooManyAttempts(OAuthError):
    status = 429
    code = "temporarily_unavailable"
    public = "Too many requests from this address. Try again later."


class TooManyLogins(OAuthError):
    """Rule 11: the same for accounts that exist and for those that do not, and at the same time."""

    status = 429
    no_sooner = 0.025
    code = "temporarily_unavailable"
    public = "Too many attempts to log in. Try again later."


class TooManyCodes(OAuthError):
    status = 429
    code = "temporarily_unavailable"
    public = "Too many wrong codes. Try again later."


class MfaRequired(OAuthError):
    """Rule 9: the password was right, and a second factor is to follow with this token."""

    code = "mfa_required"
    public = "A second factor is required: send its code with the mfa_token."

    def __init__(self, *, mfa_token: str) -> None:
        super().__init__(reason="mfa_required")
        self._mfa_token = mfa_token

    def body(self) -> dict[str, str]:
        """With the token that the code has to come with."""
        return {**super().body(), "mfa_token": self._mfa_token}


class EnrolmentRequired(OAuthError):
    """A second factor is required and there is none: no API can enrol one."""

    code = "mfa_enrolment_required"
    public = "A second factor has to be set up first: log in at the login page."


class PasswordMustChange(InvalidGrant):
    """Somebody else chose the password, for one login at the login page."""

    public = "The password has to be changed first: log in at the login page."


class BadCode(InvalidGrant):
    public = "The code is wrong, or was used before."


class Overloaded(OAuthError):
    status = 503
    code = "temporarily_unavailable"
    public = "The service is busy. Try again later."


class HashingBusy(Overloaded):
    public = "More people are logging in than can be served at once. Try again in a moment."


class Problem(Refusal):
    """RFC 9457 problem details."""

    status = 400
    code = "bad_request"

    def body(self, request_id: str) -> dict[str, object]:
        """The JSON object of the answer."""
        return problem(self.status, self.code, request_id=request_id, detail=self.public)


class TenantNotFound(Problem):
    status = 404
    code = "tenant_not_found"
    public = "There is no such tenant."


class NotFound(Problem):
    status = 404
    code = "not_found"
    public = "There is nothing at this address."


class PathNotCanonical(Problem):
    code = "path_not_canonical"
    public = "The path can be read in more than one way."


class MethodNotAllowed(Problem):
    status = 405
    code = "method_not_allowed"
    public = "This address does not answer this method."


class Misdirected(Problem):
    """RFC 9110 section 15.5.20."""

    status = 421
    code = "misdirected_request"
    public = "This server does not answer for this host."


class InternalError(Problem):
    status = 500
    code = "internal_error"
    public = "Something went wrong here. The request id names it in the log."


class Unavailable(Problem):
    status = 503
    code = "unavailable"
    public = "The service is busy. Try again later."


class DeadLink(Problem):
    """One answer for used, expired, cut and invented links."""

    status = 410
    code = "link_dead"
    public = "It was used, or it is too old. Ask for a new one."
    heading = "This link does not work"


class TooManyLetters(Problem):
    status = 429
    code = "too_many_letters"
    public = "Too many letters were asked for from here. Try again later."


class TooManyRequests(Problem):
    status = 429
    code = "too_many_requests"
    public = "Too many requests from this address. Try again later."


def problem(status: int, code: str, *, request_id: str, detail: str = "", **members: object) -> dict[str, object]:
    """An RFC 9457 object. ``members`` are extension members (section 3.2)."""
    body: dict[str, object] = {
        "type": f"urn:yett:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "request_id": request_id,
        **members,
    }
    if detail:
        body["detail"] = detail
    return body


def encode(body: Mapping[str, object]) -> bytes:
    """Compact UTF-8 JSON."""
    return compact(body)
