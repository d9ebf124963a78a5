"""A tenant and its settings. A tenant has exactly one issuer, fixed at creation."""

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.changes import ChangeWriter
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.jose import ALGORITHMS, DEFAULT_ALGORITHM, Algorithm
from tenants.names import checked_title, is_name
from tenants.revocations import LONGEST_ACCESS_TOKEN
from tenants.tables import clients, tenants

_LONGEST_SECONDS = 10 * 366 * 24 * 3600
LONGEST_REFRESH_GRACE = timedelta(minutes=1)
"""No longer than that is a successor kept; and for as long, who stole a spent token can have its successor."""


def algorithm(name: str) -> Algorithm:
    """The signing algorithm of this name.

    Raises:
        InvalidValue: naming those that there are.
    """
    for known in ALGORITHMS:
        if known == name:
            return known
    raise InvalidValue(f"a tenant signs with one of {', '.join(ALGORITHMS)}")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things last, and the defaults of all tenants (rule 14). A tenant may set its own."""

    access_token: timedelta = timedelta(minutes=5)
    session: timedelta = timedelta(days=30)
    refresh_idle: timedelta = timedelta(days=30)
    refresh_absolute: timedelta = timedelta(days=90)
    refresh_grace: timedelta = timedelta(seconds=10)

    @classmethod
    def from_seconds(cls, seconds: dict[str, int]) -> "Lifetimes":
        """From what is stored: only what differs from the defaults, in seconds.

        Raises:
            InvalidValue: an unknown name, or a time that is not positive or too long.
        """
        known = {entry.name for entry in fields(cls)}
        if not seconds.keys() <= known:
            raise InvalidValue(f"unknown lifetimes: {', '.join(sorted(seconds.keys() - known))}")
        if any(not 0 < value <= _LONGEST_SECONDS for value in seconds.values()):
            raise InvalidValue("a lifetime is at least a second and at most ten years")
        lifetimes = cls(**{name: timedelta(seconds=value) for name, value in seconds.items()})
        if lifetimes.access_token > LONGEST_ACCESS_TOKEN:
            raise InvalidValue(f"an access token lives at most {LONGEST_ACCESS_TOKEN}")
        if lifetimes.refresh_grace > LONGEST_REFRESH_GRACE:
            raise InvalidValue(f"the grace of a refresh token is at most {LONGEST_REFRESH_GRACE}")
        return lifetimes


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant. ``default_client_id`` is the client of a password form that names none (FastAPI's own)."""

    id: UUID
    slug: str
    name: str
    issuer: str
    active: bool
    signing_alg: Algorithm
    default_client_id: str | None
    created_at: datetime
    lifetimes: Lifetimes = field(default=Lifetimes())


class Settings:
    """The one row of this tenant."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now

    async def create(self, *, slug: str, name: str, issuer: str, signing_alg: Algorithm = DEFAULT_ALGORITHM) -> Tenant:
        """Make this store's tenant. The slug's form is the caller's to have checked (``gateway.urls``).

        Raises:
            AlreadyExists: another tenant has this slug or issuer.
            InvalidValue: the name cannot be one.
        """
        tenant = Tenant(
            self._tenant_id, slug, checked_title("tenant", name), issuer, True, signing_alg, None, self._now
        )
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(tenants).values(
                        id=tenant.id,
                        slug=slug,
                        name=name,
                        issuer=issuer,
                        active=True,
                        signing_alg=signing_alg,
                        lifetimes={},
                        created_at=self._now,
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists("tenant", slug) from error
        self._changes.note("tenant")
        return tenant

    async def get(self) -> Tenant | None:
        """This tenant; None before ``create`` and after a deletion."""
        row = (await self._connection.execute(select(tenants).where(tenants.c.id == self._tenant_id))).one_or_none()
        return None if row is None else tenant_of(row)

    async def set_active(self, active: bool) -> None:
        """Suspend (its sessions, tokens, clients and keys are refused everywhere within a second) or resume."""
        await self._set(active=active)

    async def set_default_client(self, client_id: str | None) -> None:
        """Name the client that stands in where a password form names none.

        Raises:
            NotFound: no such client in this tenant.
        """
        if client_id is not None:
            mine = clients.c.tenant_id == self._tenant_id, clients.c.client_id == client_id
            known = (
                is_name(client_id)
                and (await self._connection.execute(select(clients.c.client_id).where(*mine))).first()
            )
            if not known:
                raise NotFound("client", client_id)
        await self._set(default_client_id=client_id)

    async def set_lifetimes(self, seconds: dict[str, int]) -> None:
        """Replace what differs from the defaults.

        Raises:
            InvalidValue: see ``Lifetimes.from_seconds``.
        """
        Lifetimes.from_seconds(seconds)
        await self._set(lifetimes=seconds)

    async def _set(self, **values: Any) -> None:
        await self._connection.execute(update(tenants).where(tenants.c.id == self._tenant_id).values(**values))
        self._changes.note("tenant")


def tenant_of(row: Row[Any]) -> Tenant:
    """A row of the table as a value."""
    return Tenant(
        id=row.id,
        slug=row.slug,
        name=row.name,
        issuer=row.issuer,
        active=row.active,
        signing_alg=algorithm(row.signing_alg),
        default_client_id=row.default_client_id,
        created_at=row.created_at,
        lifetimes=Lifetimes.from_seconds(row.lifetimes),
    )
