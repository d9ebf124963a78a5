"""What the pipeline asks of a grant, and what a grant gives back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from gateway.errors import OAuthError
from gateway.oauth.access_token import AccessGrant
from gateway.oauth.form import Form
from tenants.clients import Client
from tenants.store import TenantStore
from tenants.tenant import Tenant

Attempt = TypeVar("Attempt")


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """One call of the token endpoint. Tenant and client were read, and proved, in the transaction that is open."""

    tenant: Tenant
    client: Client
    form: Form
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
    def slow(self) -> bool:
        """Whether ``prove`` has to run, with no transaction open."""

    async def load(self, store: TenantStore, request: GrantRequest) -> Attempt:
        """Read the form and the facts; nothing is written.

        Raises:
            OAuthError: the request is malformed for this grant.
        """

    async def prove(self, attempt: Attempt) -> Attempt:
        """The slow part: the attempt, and what is known now."""

    async def issue(self, store: TenantStore, request: GrantRequest, attempt: Attempt) -> Issued | Refused:
        """Decide on facts that are true in this transaction, then write. All checks come before the first write."""
