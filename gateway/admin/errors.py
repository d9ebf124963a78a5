"""What the admin API refuses: problem details (RFC 9457) with the challenges of RFC 6750, 9449 and 9470."""

from collections.abc import Iterable, Mapping, Sequence

from gateway.authn.dpop import ALGORITHMS
from gateway.errors import Problem, problem


class AdminProblem(Problem):
    """One of the refusals below. ``scheme`` is that of the token that came, for a challenge."""

    def members(self) -> Mapping[str, object]:
        """Extension members of the body (RFC 9457 section 3.2)."""
        return {}

    def body(self, request_id: str) -> dict[str, object]:
        """The JSON object of the answer."""
        return problem(self.status, self.code, request_id=request_id, detail=self.public, **self.members())


class Challenged(AdminProblem):
    """With a challenge (RFC 9110 section 11.6.1). The text of an error is the code's own."""

    status = 401

    def __init__(self, *, reason: str | None = None, detail: str = "", scheme: str = "Bearer") -> None:
        super().__init__(reason=reason, detail=detail)
        self.scheme = scheme

    def parameters(self) -> Mapping[str, str]:
        """Of the challenge, beside the realm. None needs a quoted pair."""
        return {"error": self.code}

    def headers(self) -> dict[str, str]:
        """With the challenge."""
        parameters = {"realm": "yett admin", **self.parameters()}
        if self.scheme == "DPoP":
            parameters["algs"] = ALGORITHMS
        told = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        return {**super().headers(), "WWW-Authenticate": f"{self.scheme} {told}"}


class TokenMissing(Challenged):
    code = "token_missing"
    public = "An access token is required."

    def parameters(self) -> Mapping[str, str]:
        """RFC 6750 section 3.1: who sent no token is told no error."""
        return {}


class InvalidToken(Challenged):
    code = "invalid_token"
    public = "The access token is malformed, expired, revoked or not for administration."


class InvalidProof(Challenged):
    code = "invalid_dpop_proof"
    public = "The DPoP proof is missing, malformed, for another request, or was used before."


class UseNonce(Challenged):
    """RFC 9449 section 9."""

    code = "use_dpop_nonce"
    public = "The DPoP proof has to carry the nonce that comes with this answer."

    def __init__(self, *, nonce: str) -> None:
        super().__init__(reason="dpop_nonce_wanted", scheme="DPoP")
        self._nonce = nonce

    def headers(self) -> dict[str, str]:
        """With the nonce."""
        return {**super().headers(), "DPoP-Nonce": self._nonce}


class FactorMissing(Challenged):
    """RFC 9470 section 3."""

    code = "insufficient_user_authentication"
    public = "Operators have to log in with a second factor."

    def __init__(self, *, acr_values: Sequence[str], scheme: str) -> None:
        super().__init__(reason="factor_missing", scheme=scheme)
        self._acr_values = acr_values

    def parameters(self) -> Mapping[str, str]:
        """With the context classes that would do."""
        return {"error": self.code, "acr_values": " ".join(self._acr_values)}


class InsufficientScope(Challenged):
    """RFC 6750 section 3.1. Also of who would give, take or touch more than they have themselves."""

    status = 403
    code = "insufficient_scope"
    public = "The access token lacks a scope that this takes, or that who is acted on has."

    def __init__(self, *, reason: str, scopes: Iterable[str], scheme: str) -> None:
        super().__init__(reason=reason, scheme=scheme)
        self._scope = " ".join(sorted(scopes))

    def parameters(self) -> Mapping[str, str]:
        """With the scopes that are missing."""
        return {"error": self.code, "scope": self._scope}

    def members(self) -> Mapping[str, object]:
        """Likewise."""
        return {"scope": self._scope}


class OperatorsOnly(AdminProblem):
    status = 403
    code = "access_denied"
    public = "Operators alone may do this: it concerns more than one tenant, or a tenant as a whole."


class AuthorizationRepeated(AdminProblem):
    code = "authorization_repeated"
    public = "There is more than one access token."


class JsonInvalid(AdminProblem):
    code = "json_invalid"
    public = "The body is not one JSON object in UTF-8 that can be read in one way."


class CursorInvalid(AdminProblem):
    code = "cursor_invalid"
    public = "The cursor is not one that this list gave out, or is of another query."


class IdempotencyKeyInvalid(AdminProblem):
    code = "idempotency_key_invalid"
    public = "An Idempotency-Key is one field of 1 to 255 visible ASCII characters."


class TenantUnknown(AdminProblem):
    """Also for who may not know whether there is one."""

    status = 404
    code = "tenant_not_found"
    public = "There is no such tenant."


class ResourceNotFound(AdminProblem):
    """Also for what is another tenant's."""

    status = 404
    code = "resource_not_found"
    public = "There is no such thing in this tenant."


class Existing(AdminProblem):
    status = 409
    code = "already_exists"
    public = "There is one of this name already."


class BuiltIn(AdminProblem):
    status = 409
    code = "built_in"
    public = "This role, client or tenant is Yett's own, and stays as it is."


class RoleInUse(AdminProblem):
    status = 409
    code = "role_in_use"
    public = "The tenant's otp_roles name this role: take it out there first."


class MailNotConfigured(AdminProblem):
    status = 409
    code = "mail_not_configured"
    public = "No mail is configured, so no letter can be sent."


class LastOwner(AdminProblem):
    status = 409
    code = "last_owner"
    public = "There would be no operator left who may do everything."


class InFlight(AdminProblem):
    status = 409
    code = "idempotency_key_in_use"
    public = "A request with this Idempotency-Key is being answered. Try again when it is."

    def __init__(self) -> None:
        super().__init__(retry_after=1)


class PreconditionFailed(AdminProblem):
    status = 412
    code = "precondition_failed"
    public = "It was changed since: read it again."


class BodyTooLarge(AdminProblem):
    status = 413
    code = "body_too_large"
    public = "The body is larger than 64 KiB."


class MediaTypeUnsupported(AdminProblem):
    status = 415
    code = "unsupported_media_type"
    public = "The body is of another media type than this takes."

    def __init__(self, *, wanted: str, patches: bool) -> None:
        super().__init__(detail=wanted)
        self._wanted, self._patches = wanted, patches

    def headers(self) -> dict[str, str]:
        """RFC 5789 section 2.2, RFC 9110 section 15.5.16."""
        return {**super().headers(), "Accept-Patch" if self._patches else "Accept": self._wanted}


class ValidationFailed(AdminProblem):
    """``errors`` have a ``pointer`` (RFC 6901) where they are of one member, and a ``detail`` for people."""

    status = 422
    code = "validation_failed"
    public = "A value is missing, unknown or not allowed."

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__(detail=str(errors)[:500])
        self.errors = list(errors)

    def members(self) -> Mapping[str, object]:
        """With each of them."""
        return {"errors": self.errors}


class LogDamaged(AdminProblem):
    status = 409
    code = "log_damaged"
    public = "Events are missing from this audit log's rows: somebody took them out. Restore them from a backup."


class KeyReused(AdminProblem):
    status = 422
    code = "idempotency_key_reused"
    public = "This Idempotency-Key came with another request before."


class PreconditionRequired(AdminProblem):
    status = 428
    code = "precondition_required"
    public = "Send If-Match with the ETag of what you read."


class RevocationsStale(AdminProblem):
    status = 503
    code = "revocations_stale"
    public = "Access tokens cannot be checked at present. Try again later."


class PasswordsBusy(AdminProblem):
    status = 503
    code = "passwords_busy"
    public = "More passwords wait to be hashed than may wait. Nothing was changed; try again in a moment."


class DatabaseAway(AdminProblem):
    status = 503
    code = "unavailable"
    public = "The database is away. Nothing was changed; try again later."
