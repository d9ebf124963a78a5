"""What the pipeline asks of a grant, and what a grant gives back."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from uuid import UUID

from gateway.authn.password_attempt import Step
from gateway.errors import OAuthError
from gateway.form import Form
from gateway.oauth.access_token import AccessGrant
from tenants.audit_event import NO_DETAILS, Detail
from tenants.clients import Client
from tenants.issuers import Issuer
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.visitor import Visitor

Attempt = TypeVar("Attempt")

_NO_CLAIMS: Final[Mapping[str, Any]] = MappingProxyType({})


class GrantRequest(NamedTuple):
    """One call of the token endpoint, of a client that proved who it is. Tenant and client are as they were ``now``.

    ``binding`` is the thumbprint of the key that the caller proved to hold (RFC 9449): the pipeline binds the access
    token to it, whatever the grant.
    """

    issuer: Issuer
    client: Client
    form: Form
    visitor: Visitor
    now: datetime
    binding: str | None = None

    @property
    def refresh_binding(self) -> str | None:
        """What a refresh token is to be bound to (RFC 9449 section 5): a confidential client's is bound to the client
        already, whose keys may change.
        """
        return None if self.client.confidential else self.binding

    @property
    def tenant(self) -> Tenant:
        """Whose issuer it is."""
        return self.issuer.tenant


class IdTokenFacts(NamedTuple):
    """What the ID token says beside the session: the user, the request's ``nonce``, and claims of the user."""

    user_id: UUID
    nonce: str | None = None
    claims: Mapping[str, Any] = _NO_CLAIMS


class Issued(NamedTuple):
    """What the grant allows, for the pipeline to sign and to tell of. ``event`` is the audit event's type.

    ``id_token`` where ``openid`` was granted; ``access`` has a session then. ``issued_token_type`` is what an exchange
    answers with (RFC 8693 section 2.2.1); ``details`` are told beside grant type and scopes.
    """

    access: AccessGrant
    event: str
    user_name: str | None = None
    refresh_token: str | None = None
    id_token: IdTokenFacts | None = None
    issued_token_type: str | None = None
    details: Mapping[str, Detail] = NO_DETAILS


class Refused(NamedTuple):
    """What the grant refuses. The pipeline tells of it and answers ``error``; what the grant wrote before (the end of
    a replayed family) is committed together with the event. ``account`` tells names apart that are nobody's.
    """

    error: OAuthError
    event: str
    subject: str | None = None
    user_name: str | None = None
    session_id: str | None = None
    account: str | None = None


class Grant(Protocol[Attempt]):
    """A grant type. ``slow`` ones hash or call out: their ``prove`` runs between two transactions."""

    @property
    def grant_type(self) -> str:
        """The value of the parameter ``grant_type``."""

    @property
    def carried_by(self) -> str:
        """The grant type that a client has to carry to use it: its own, but for the second half of another."""

    @property
    def slow(self) -> bool:
        """Whether ``prove`` has to run, with no transaction open."""

    def admit(self) -> None:
        """Refuse at once, before anything is read, where there is no room for it.

        Raises:
            Overloaded: with the time after which to try again.
        """

    async def load(self, store: TenantStore, request: GrantRequest) -> Attempt:
        """Read the form and the facts; what is written is the count of the attempt, where attempts are counted.

        Raises:
            OAuthError: the request is malformed for this grant, or there were too many before it.
        """

    async def prove(self, attempt: Attempt, step: Step) -> Attempt:
        """The slow part: the attempt, and what is known now. No transaction is open; ``step`` opens one."""

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: Attempt) -> Issued | Refused:
        """Decide on facts that are true in this transaction, then write. All checks come before the first write."""


class ImmediateGrant(Protocol):
    """A grant type that needs nothing but tenant and client, and writes nothing but its event."""

    @property
    def grant_type(self) -> str:
        """The value of the parameter ``grant_type``."""

    def decide(self, request: GrantRequest) -> Issued | Refused:
        """What it comes to.

        Raises:
            OAuthError: the request is malformed for this grant.
        """
