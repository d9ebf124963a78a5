"""What the pipeline asks of a grant, and what a grant gives back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from gateway.authn.password_attempt import Step
from gateway.errors import OAuthError
from gateway.form import Form
from gateway.oauth.access_token import AccessGrant
from tenants.clients import Client
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.visitor import Visitor

Attempt = TypeVar("Attempt")


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """One call of the token endpoint. Tenant and client were read, and proved, in the transaction that is open."""

    tenant: Tenant
    client: Client
    form: Form
    visitor: Visitor
    now: datetime


@dataclass(frozen=True, slots=True)
class Issued:
    """What the grant allows, for the pipeline to sign and to tell of. ``event`` is the audit event's type."""

    access: AccessGrant
    event: str
    user_name: str | None = None
    refresh_token: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """What the grant refuses. The pipeline tells of it and answers ``error``; what the grant wrote before (the end of
    a replayed family) is committed together with the event.
    """

    error: OAuthError
    event: str
    subject: str | None = None
    user_name: str | None = None
    session_id: str | None = None


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
