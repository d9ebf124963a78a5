"""A tenant and its settings. A tenant has exactly one issuer; what was one before is former_issuers.py's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.branding import Branding
from tenants.changes import ChangeWriter
from tenants.detection_policy import DetectionPolicy
from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.jose import ALGORITHMS, DEFAULT_ALGORITHM, Algorithm
from tenants.lifetimes import Lifetimes
from tenants.names import checked_title, is_name
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.tables import clients, tenants

_GET = select(tenants).where(tenants.c.id == bindparam("p_id"))


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
class Tenant:
    """A tenant. ``default_client_id`` is the client of a password form that names none (FastAPI's own). ``delete_at``
    is when it will be deleted, where that was ordered; it is suspended until then.
    """

    id: UUID
    slug: str
    name: str
    issuer: str
    active: bool
    signing_alg: Algorithm
    default_client_id: str | None
    created_at: datetime
    lifetimes: Lifetimes = field(default=Lifetimes())
    people: PeoplePolicy = field(default=PeoplePolicy())
    branding: Branding = field(default=Branding())
    provider: ProviderPolicy = field(default=ProviderPolicy())
    delete_at: datetime | None = None
    detections: DetectionPolicy = field(default=DetectionPolicy())


class Settings:
    """The one row of this tenant."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, changes: ChangeWriter, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._changes = changes
        self._now = now

    async def create(
        self,
        *,
        slug: str,
        name: str,
        issuer: str,
        signing_alg: Algorithm = DEFAULT_ALGORITHM,
        gone_at: datetime | None = None,
        audit_events: timedelta | None = None,
    ) -> Tenant:
        """Make this store's tenant. The slug's form is the caller's to have checked (``gateway.urls``).

        ``gone_at``: it is suspended, and deleted then, unless that is taken back (``tenants.deletion``): whoever makes
        it may be broken off. ``audit_events`` is how long its log keeps what happened.

        Raises:
            AlreadyExists: another tenant has this slug or issuer.
            InvalidValue: the name cannot be one.
        """
        active = gone_at is None
        tenant = Tenant(
            self._tenant_id, slug, checked_title("tenant", name), issuer, active, signing_alg, None, self._now
        )
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(
                    insert(tenants).values(
                        id=tenant.id,
                        slug=slug,
                        name=name,
                        issuer=issuer,
                        active=active,
                        delete_at=gone_at,
                        audit_retention=None if audit_events is None else int(audit_events.total_seconds()),
                        signing_alg=signing_alg,
                        lifetimes={},
                        people={},
                        branding={},
                        provider={},
                        detections={},
                        created_at=self._now,
                    )
                )
        except IntegrityError as error:
            raise AlreadyExists("tenant", slug) from error
        self._changes.note("tenant")
        return tenant

    async def get(self) -> Tenant | None:
        """This tenant; None before ``create`` and after a deletion."""
        row = (await self._connection.execute(_GET, {"p_id": self._tenant_id})).one_or_none()
        return None if row is None else tenant_of(row)

    async def hold(self) -> None:
        """Let nobody else administer this tenant, nor change its keys, until this transaction ends; logins go on. What
        is read from now on may be written changed. SQLite has one writer at a time by itself.
        """
        row = select(tenants.c.id).where(tenants.c.id == self._tenant_id)
        await self._connection.execute(row.with_for_update(key_share=True))

    async def set_name(self, name: str) -> None:
        """Another name for people.

        Raises:
            InvalidValue: it cannot be one.
        """
        await self._set(name=checked_title("tenant", name))

    async def change_issuer(self, before: str, issuer: str) -> None:
        """Issue under another URL. Its form is the caller's to have checked (``policies.issuer``).

        Raises:
            AlreadyExists: another tenant has it.
            NotFound: the issuer is not ``before`` any more: somebody else was changing it, too.
        """
        mine = tenants.c.id == self._tenant_id, tenants.c.issuer == before
        try:
            async with self._connection.begin_nested():
                changed = await self._connection.execute(update(tenants).where(*mine).values(issuer=issuer))
        except IntegrityError as error:
            raise AlreadyExists("issuer", issuer) from error
        if changed.rowcount == 0:
            raise NotFound("issuer", before)
        self._changes.note("tenant")

    async def set_active(self, active: bool) -> None:
        """Suspend (its sessions, tokens, clients and keys are refused everywhere within a second) or resume.

        Raises:
            InvalidValue: its deletion was ordered, which ``tenants.deletion`` takes back.
        """
        if not active:
            await self._set(active=False)
        elif not await self._set(tenants.c.delete_at.is_(None), active=True):
            raise InvalidValue("its deletion was ordered: that has to be taken back")

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
        """Replace what differs from the defaults, but for how long the log keeps events.

        Raises:
            InvalidValue: see ``Lifetimes.from_seconds``.
        """
        if Lifetimes.from_seconds(seconds).audit_events is not None:
            raise InvalidValue("how long the audit log keeps events is not a tenant's own to say")
        await self._set(lifetimes=seconds)

    async def set_people(self, policy: PeoplePolicy) -> None:
        """Replace what is asked of this tenant's people (made by ``PeoplePolicy.changed``)."""
        await self._set(people=policy.stored())

    async def set_branding(self, branding: Branding) -> None:
        """Replace how this tenant's pages look (made by ``Branding.checked``)."""
        await self._set(branding=branding.stored())

    async def set_provider(self, policy: ProviderPolicy) -> None:
        """Replace what is set of this tenant's OAuth server (made by ``ProviderPolicy.changed``)."""
        await self._set(provider=policy.stored())

    async def set_detections(self, policy: DetectionPolicy) -> None:
        """Replace what is told of this tenant's log (made by ``DetectionPolicy.changed``)."""
        await self._set(detections=policy.stored())

    async def _set(self, *where: ColumnElement[bool], **values: Any) -> bool:
        changed = await self._connection.execute(
            update(tenants).where(tenants.c.id == self._tenant_id, *where).values(**values)
        )
        self._changes.note("tenant")
        return changed.rowcount > 0


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
        lifetimes=Lifetimes.from_seconds(row.lifetimes | _retention(row.audit_retention)),
        people=PeoplePolicy.from_stored(row.people),
        branding=Branding.from_stored(row.branding),
        provider=ProviderPolicy.from_stored(row.provider),
        delete_at=row.delete_at,
        detections=DetectionPolicy.from_stored(row.detections),
    )


def _retention(seconds: int | None) -> Mapping[str, int]:
    return {} if seconds is None else {"audit_events": seconds}
