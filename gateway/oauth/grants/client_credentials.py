"""``grant_type=client_credentials`` (RFC 6749 section 4.4): a confidential client acts for itself. No refresh token."""

from dataclasses import dataclass

from gateway.errors import InvalidScope, InvalidTarget
from gateway.oauth.access_token import AccessGrant, audiences_for
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from policies.decision import Deny
from policies.scope import OPENID, Granted, granted


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """The client's own scopes, for its own subject. That the client is confidential is checked when it is stored."""

    grant_type: str = "client_credentials"

    def decide(self, request: GrantRequest) -> Issued | Refused:
        """What is asked for, or the client's default scopes."""
        client = request.client
        scopes = granted(
            request.form.optional("scope"),
            client_scopes=client.scopes - OPENID,  # there is no user to tell of
            default_scopes=client.default_scopes,
            user_scopes=None,
        )
        match scopes:
            case Deny(reason):
                return Refused(InvalidScope(reason=reason), "token.refused", subject=client.client_id)
            case Granted():
                try:
                    audiences = audiences_for(client, request.form.many("resource"))
                except InvalidTarget as error:
                    return Refused(error, "token.refused", subject=client.client_id)
                return Issued(AccessGrant(client.client_id, client.client_id, scopes.scopes, audiences), "token.issued")
