"""The access token that comes with a request to an endpoint of the issuer itself (RFC 6750 section 2), unverified.

Owns where it may stand: the field Authorization, or the body of a POST; never the address, which ends up in logs. Not
whether it counts (gateway/authn/bearer.py).
"""

from dataclasses import dataclass, field

from gateway.errors import InvalidRequest
from gateway.oauth.endpoint import Call
from gateway.oauth.errors import TokenMissing


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A token and the scheme by which it came, in lower case: ``bearer`` or ``dpop``."""

    unverified_token: str = field(repr=False)
    scheme: str = "bearer"


def presented_token(call: Call) -> PresentedToken:
    """The one token of this request.

    Raises:
        InvalidRequest: more than one, or one in the query.
        TokenMissing: none.
    """
    in_form = call.form.optional("access_token")
    if in_form is not None and call.method != "POST":
        raise InvalidRequest(reason="token_in_query")
    if len(call.authorizations) > 1 or (call.authorizations and in_form is not None):
        raise InvalidRequest(reason="token_presented_twice")
    if in_form is not None:
        return PresentedToken(in_form)
    if not call.authorizations:
        raise TokenMissing(reason="token_missing")
    scheme, _, token = call.authorizations[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() not in ("bearer", "dpop") or not token:
        raise TokenMissing(reason="token_missing")
    return PresentedToken(token, scheme.lower())
