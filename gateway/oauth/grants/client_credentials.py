"""``grant_type=client_credentials`` (RFC 6749 section 4.4): a confidential client acts for itself. No refresh token."""

from dataclasses import dataclass

from gateway.authn.password_attempt import Step
from gateway.errors import InvalidScope, InvalidTarget
from gateway.oauth.access_token import AccessGrant, audiences_for
from gateway.oauth.grants.grant import GrantRequest, Issued, Refused
from policies.decision import Deny
from policies.scope import Granted, granted
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """The client's own scopes, for its own subject. That the client is confidential is checked when it is stored."""

    grant_type: str = "client_credentials"
    carried_by: str = "client_credentials"
    slow: bool = False

    def admit(self) -> None:
        """There is always room for it."""

    async def load(self, store: TenantStore, request: GrantRequest) -> Granted | Deny:  # noqa: ARG002 - the protocol's
        """What may be granted of what is asked; a client that asks for nothing gets its default scopes."""
        client = request.client
        return granted(
            request.form.optional("scope"),
            client_scopes=client.scopes,
            default_scopes=client.default_scopes,
            user_scopes=None,
        )

    async def prove(self, attempt: Granted | Deny, step: Step) -> Granted | Deny:  # noqa: ARG002 - the protocol's
        """Nothing is slow here."""
        return attempt

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: Granted | Deny) -> Issued | Refused:  # noqa: ARG002
        """The token; its one write is its event."""
        client_id = request.client.client_id
        match attempt:
            case Deny(reason):
                return Refused(InvalidScope(reason=reason), "token.refused", subject=client_id)
            case Granted(scopes):
                try:
                    audiences = audiences_for(request.client, request.form.many("resource"))
                except InvalidTarget as error:
                    return Refused(error, "token.refused", subject=client_id)
                return Issued(AccessGrant(client_id, client_id, scopes, audiences), "token.issued")
