"""Refusals that only an OAuth provider has: one class per code of its RFC, beside those of ``gateway.errors``."""

from gateway.authn.dpop import ALGORITHMS
from gateway.errors import InvalidClient, InvalidGrant, InvalidRequest, OAuthError


class InvalidClientAssertion(InvalidClient):
    """RFC 7521 section 4.2.1: 400 as in its example, since HTTP has no scheme to challenge such a client with."""

    status = 400

    def headers(self) -> dict[str, str]:
        """Without the challenge."""
        return {name: value for name, value in super().headers().items() if name != "WWW-Authenticate"}


class UnsupportedResponseType(OAuthError):
    code = "unsupported_response_type"
    public = "This response type is not supported: only code is."


class AccessDenied(OAuthError):
    """RFC 6749 section 4.1.2.1, RFC 8628 section 3.5."""

    code = "access_denied"
    public = "The person said no, or is not allowed to say yes."


class InvalidRequestUri(OAuthError):
    """RFC 9101 section 5.2.4, RFC 9126 section 4."""

    code = "invalid_request_uri"
    public = "The request_uri is unknown, was used, or is over."


class InvalidRequestObject(OAuthError):
    """RFC 9101 section 6."""

    code = "invalid_request_object"
    public = "The request object is malformed, not signed as it has to be, or over."


class RequestUriNotSupported(OAuthError):
    code = "request_uri_not_supported"
    public = "A request_uri is one that this server gave out."


class RegistrationNotSupported(OAuthError):
    code = "registration_not_supported"
    public = "The parameter registration is not supported."


class LoginRequired(OAuthError):
    """OpenID Connect Core section 3.1.2.6, as those that follow."""

    code = "login_required"
    public = "The person has to log in."


class ConsentRequired(OAuthError):
    code = "consent_required"
    public = "The person has to be asked."


class UnmetAuthenticationRequirements(OAuthError):
    """OpenID Connect Core Unmet Authentication Requirements 1.0."""

    code = "unmet_authentication_requirements"
    public = "The login that is asked for cannot be had."


class AuthorizationPending(OAuthError):
    """RFC 8628 section 3.5, as those that follow."""

    code = "authorization_pending"
    public = "The person has not decided yet."


class SlowDown(OAuthError):
    code = "slow_down"
    public = "Ask less often: five seconds more between two requests."


class ExpiredToken(OAuthError):
    code = "expired_token"
    public = "The device code is over. Begin again."


class InvalidBearer(OAuthError):
    """RFC 6750 section 3.1: at an endpoint of the issuer itself, such as userinfo."""

    status = 401
    code = "invalid_token"
    public = "The access token is missing, expired, revoked or not for this."
    scheme = "Bearer"

    def headers(self) -> dict[str, str]:
        """With the challenge that a 401 needs (RFC 9110 section 11.6.1)."""
        return {**super().headers(), "WWW-Authenticate": f'{self.scheme} error="{self.code}"'}


class TokenMissing(InvalidBearer):
    """Who sent no token is told no error in the challenge (RFC 6750 section 3)."""

    def headers(self) -> dict[str, str]:
        """With a challenge of the scheme and a realm."""
        return {**super().headers(), "WWW-Authenticate": f'{self.scheme} realm="yett"'}


class InsufficientScope(OAuthError):
    """RFC 6750 section 3.1."""

    status = 403
    code = "insufficient_scope"
    public = "The access token was not granted what this needs."

    def __init__(self, *, scope: str) -> None:
        super().__init__(detail=scope)
        self._scope = scope

    def headers(self) -> dict[str, str]:
        """With the scope that is missing."""
        return {**super().headers(), "WWW-Authenticate": f'Bearer error="{self.code}", scope="{self._scope}"'}


class UnacceptableToken(InvalidRequest):
    """RFC 8693 section 2.2.2: invalid_request it is, whatever is wrong with a token that is to be exchanged."""

    public = "The subject_token or the actor_token is expired, revoked, or none that this client may exchange."


class InvalidDpopProof(OAuthError):
    """RFC 9449 section 5."""

    code = "invalid_dpop_proof"
    public = "The DPoP proof is missing, malformed, for another request, or was used before."


class UseDpopNonce(OAuthError):
    """RFC 9449 section 8: try again with the nonce of the field DPoP-Nonce."""

    code = "use_dpop_nonce"
    public = "The DPoP proof has to carry the nonce that comes with this answer."

    def __init__(self, *, nonce: str) -> None:
        super().__init__(reason="dpop_nonce_wanted")
        self._nonce = nonce

    def headers(self) -> dict[str, str]:
        """With the nonce."""
        return {**super().headers(), "DPoP-Nonce": self._nonce}


def _dpop_challenge(code: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'DPoP error="{code}", algs="{ALGORITHMS}"'}


class InvalidBoundToken(InvalidBearer):
    """RFC 9449 section 7.1: of the scheme DPoP, or one that should have been."""

    def headers(self) -> dict[str, str]:
        """With the challenge of that scheme."""
        return {**super().headers(), **_dpop_challenge(self.code)}


class PossessionUnproved(InvalidDpopProof):
    """RFC 9449 section 7.1: the proof that came with an access token."""

    status = 401

    def headers(self) -> dict[str, str]:
        """With the challenge that a 401 needs (RFC 9110 section 11.6.1)."""
        return {**super().headers(), **_dpop_challenge(self.code)}


class PossessionNeedsNonce(UseDpopNonce):
    """RFC 9449 section 9: the proof that came with an access token."""

    status = 401

    def headers(self) -> dict[str, str]:
        """With the challenge that a 401 needs (RFC 9110 section 11.6.1)."""
        return {**super().headers(), **_dpop_challenge(self.code)}


class RegistrationClosed(OAuthError):
    """RFC 7591 says nothing of a server that registers nobody; the code is RFC 6749's."""

    status = 403
    code = "access_denied"
    public = "This tenant does not register clients."


class InvalidClientMetadata(OAuthError):
    """RFC 7591 section 3.2.2, as the next one. ``member`` is one of the names that are known here."""

    code = "invalid_client_metadata"
    public = "The client's metadata cannot be registered."

    def __init__(self, *, member: str = "", detail: str = "") -> None:
        super().__init__(detail=f"{member}: {detail}" if member else detail)
        self._member = member

    def body(self) -> dict[str, str]:
        """With the member that it is about, where it is about one."""
        if not self._member:
            return super().body()
        return {"error": self.code, "error_description": f"{self.public} It is about {self._member}."}


class InvalidRedirectUri(OAuthError):
    code = "invalid_redirect_uri"
    public = "A redirect URI cannot be registered."


class CodeReplayed(InvalidGrant):
    """A code came a second time: what was got for it is taken back (RFC 6749 section 4.1.2)."""
