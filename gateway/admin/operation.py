"""An operation of the admin API: what is asked, by whom, in which tenant, and what may come of it.

Everything that all of them have (authentication, scopes, bodies, transactions, preconditions, idempotency) stands in
endpoint.py; a resource's module has functions from a ``Call`` to an ``Answer``, and a line of this table for each.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from gateway.admin.caller import Caller
from gateway.admin.cursor import Cursors, PageQuery
from gateway.admin.document import Document, Item, Page
from gateway.admin.errors import AdminProblem, InsufficientScope, ResourceNotFound, TenantUnknown
from gateway.admin.question import Explain
from gateway.authn.new_password import NewPasswords
from gateway.installation import Installation
from gateway.settings import Settings
from policies.administration import beyond
from policies.decision import Allow, Deny
from tenants.acts.by import By
from tenants.store import TenantStore
from tenants.tenant import Tenant

Where = Literal["path", "platform", "new"]
"""Whose transaction an operation runs in: the path's tenant's, the platform's, or that of a tenant that is to be."""


@dataclass(frozen=True, slots=True)
class Services:
    """What operations stand on. ``settings`` gives those in force, and ``explain`` decides by them."""

    installation: Installation
    settings: Callable[[], Settings]
    cursors: Cursors
    passwords: NewPasswords
    explain: Explain


@dataclass(frozen=True, slots=True)
class Answer:
    """``tag`` is what the entity tag is of, where that is not the document. ``afterwards`` is done once the transaction
    is committed, before the answer leaves.
    """

    document: BaseModel | None = None
    tag: Document | None = None
    location: str | None = None
    afterwards: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)


@dataclass(slots=True)
class Call:
    """One request, parsed and admitted, inside its transaction. ``found`` is the tenant, None where it is to be made.

    ``body`` and ``query`` are of the operation's own models. ``current`` is what a PATCH or DELETE is about, as it is
    shown. ``base`` is the URL path that the tenant's resources are below. ``prepared`` is what was made before the
    transaction; ``holds`` is false where that is asked for still, in one that only reads.
    """

    operation: "Operation"
    services: Services
    caller: Caller
    by: By
    now: datetime
    parameters: Mapping[str, str]
    base: str
    query: Any
    store: TenantStore
    tenant_id: UUID
    found: Tenant | None
    body: Any = None
    current: Any = None
    prepared: Any = field(default=None, repr=False)
    holds: bool = False

    @property
    def tenant(self) -> Tenant:
        """The tenant. Raises TenantUnknown: it is gone."""
        if self.found is None:
            raise TenantUnknown
        return self.found

    def uuid(self, name: str) -> UUID:
        """A parameter of the path. Raises ResourceNotFound: what is no id is nobody's."""
        text = self.parameters[name]
        try:
            value = UUID(text)
        except ValueError as error:
            raise ResourceNotFound from error
        if str(value) != text:  # one spelling
            raise ResourceNotFound
        return value

    def require_own(self, *touched: frozenset[str]) -> None:
        """Nobody gives, takes or touches what goes beyond their own scopes.

        Raises:
            InsufficientScope: naming what is missing.
        """
        match beyond(self.caller.principal.scopes, frozenset[str]().union(*touched)):
            case Deny(reason, scopes):
                raise InsufficientScope(reason=reason, scopes=scopes, scheme=self.caller.scheme)
            case Allow():
                return

    def place(self) -> list[Any] | None:
        """Where a list is to go on; None at its beginning.

        Raises:
            CursorInvalid: it goes on nowhere.
        """
        query: PageQuery = self.query
        return None if query.cursor is None else self.services.cursors.read(query.cursor, self._list())

    def page(self, shown: Sequence[Item], place: Sequence[str | int] | None) -> Page[Item]:
        """A page of a list that goes on behind ``place``, or nowhere."""
        cursor = None if place is None else self.services.cursors.make(place, self._list())
        return Page[Item](items=tuple(shown), next_cursor=cursor)

    def _list(self) -> list[str]:
        """Of which list a cursor is: everything that decides what is in it."""
        filters = self.query.model_dump_json(exclude={"cursor", "limit"})
        return [str(self.tenant_id), self.operation.name, *self.parameters.values(), filters]


Handle = Callable[[Call], Awaitable[Answer]]
Current = Callable[[Call], Awaitable[Document]]
Prepare = Callable[[Call], Awaitable[Callable[[], Awaitable[Any]] | None]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the table. ``scope`` None: any administrator may.

    ``prepare`` says, in a transaction of its own that only reads, what has to be made while none is open (its result is
    ``Call.prepared``); the body of such an operation may have a secret that a person chose.
    ``current`` reads what a PATCH or a DELETE is about: a PATCH wants If-Match, and ``body`` is what it may change of
    that. ``tagged``: what is answered is that representation, and has its ETag. ``refusals`` are the handler's own.
    ``asks``: a POST that changes nothing, since what it asks does not fit into an address.
    """

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    scope: str | None
    summary: str
    handle: Handle
    answer: type[BaseModel] | None = None
    body: type[Document] | None = None
    query: type[Document] | None = None
    current: Current | None = None
    prepare: Prepare | None = None
    tagged: bool = False
    operators_only: bool = False
    where: Where = "path"
    status: int = 200
    refusals: tuple[type[AdminProblem], ...] = ()
    body_optional: bool = False
    asks: bool = False

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET" or self.asks
