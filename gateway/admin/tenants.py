"""``/tenants``: the customers of this installation, for operators; and what their own administrators see of one."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from gateway import urls
from gateway.admin.cursor import PageQuery
from gateway.admin.document import Document, Nothing, Page
from gateway.admin.errors import BuiltIn, Existing, ValidationFailed
from gateway.admin.operation import Answer, Call, Operation
from gateway.admin.tenant_settings import TenantDocument, TenantSettings, change_tenant, current_tenant, document_of
from gateway.free_issuer import free_issuer
from policies.administration import SETTINGS_WRITE, TENANTS_DELETE, TENANTS_READ, TENANTS_WRITE
from tenants import deletion
from tenants.acts import tenants as acts
from tenants.errors import InvalidValue

_USUAL_GRACE = timedelta(days=30)
_LONGEST_GRACE = timedelta(days=3660)


class NewTenant(Document):
    """``issuer`` null: below the installation's ``public_url``, at ``/t/{slug}``."""

    slug: Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    issuer: Annotated[str, Field(max_length=300)] | None = None
    signing_alg: Literal["ES256", "EdDSA", "RS256"] = "ES256"


class TenantLine(Document):
    """A tenant in the list."""

    slug: str
    id: UUID
    name: str
    issuer: str
    active: bool
    delete_at: datetime | None
    created_at: datetime


class Deletion(Document):
    """How long the tenant can still be resumed; 0: it cannot, and goes within a minute."""

    grace_seconds: Annotated[int, Field(ge=0, le=int(_LONGEST_GRACE.total_seconds()))] = int(
        _USUAL_GRACE.total_seconds()
    )


async def _list(call: Call) -> Answer:
    place, most = call.place(), call.query.limit
    found = await call.services.installation.directory.list(after=place[0] if place else "", limit=most + 1)
    shown = [
        TenantLine(
            slug=each.slug,
            id=each.id,
            name=each.name,
            issuer=each.issuer,
            active=each.active,
            delete_at=each.delete_at,
            created_at=each.created_at,
        )
        for each in found[:most]
    ]
    return Answer(call.page(shown, [shown[-1].slug] if len(found) > most else None))


async def _create(call: Call) -> Answer:
    wanted: NewTenant = call.body
    if not urls.may_be_named(wanted.slug):
        raise ValidationFailed([{"pointer": "/slug", "detail": "this slug is reserved, or is none"}])
    installation = call.services.installation
    if await installation.directory.find(wanted.slug) is not None:
        raise Existing(detail=wanted.slug)
    made = await acts.create(
        call.store,
        call.by,
        slug=wanted.slug,
        name=wanted.name or wanted.slug,
        issuer=await free_issuer(installation, wanted.slug, wanted.issuer),
        signing_alg=wanted.signing_alg,
    )
    return Answer(document_of(made), location=f"{call.base}/tenants/{made.slug}")


async def _read(call: Call) -> Answer:
    return Answer(document_of(call.tenant))


async def _suspend(call: Call) -> Answer:
    _require_no_platform(call)
    await acts.set_active(call.store, call.by, False)
    return await _shown(call)


async def _resume(call: Call) -> Answer:
    """An order to delete it is taken back behind the transaction, which holds the tenant's row."""
    _require_no_platform(call)
    found, ordered, database = call.tenant, call.tenant.delete_at, call.services.installation.database
    if ordered is None:
        await acts.set_active(call.store, call.by, True)
        return await _shown(call)
    if ordered <= call.now:
        raise InvalidValue("the time of its deletion has come: it cannot be resumed")

    async def take_back() -> None:
        whose = call.by.event("tenant.resumed", {"slug": found.slug, "tenant": str(found.id)})
        platform = (await call.services.installation.platform()).id
        told = {found.id: call.by.event("tenant.resumed", {}), platform: whose}
        await deletion.take_back(database, found.id, ordered, active=True, told=told, now=call.now)

    return Answer(document_of(replace(found, active=True, delete_at=None)), afterwards=take_back)


async def _delete(call: Call) -> Answer:
    """As soon as the grace is over; until then the tenant is suspended. Ordered behind the transaction, likewise."""
    _require_no_platform(call)
    found, at = call.tenant, call.now + timedelta(seconds=call.query.grace_seconds)
    if found.delete_at is not None and found.delete_at <= call.now:
        raise InvalidValue("the time of its deletion has come")
    installation, doomed = call.services.installation, deletion.Doomed(found.id, found.slug, found.issuer)

    async def order() -> None:
        platform = (await installation.platform()).id
        await deletion.order(
            installation.database,
            doomed,
            at,
            platform=platform,
            now=call.now,
            actor=call.by.actor,
            request_id=call.by.request_id,
            address=call.by.address,
        )

    return Answer(document_of(replace(found, active=False, delete_at=at)), afterwards=order)


async def _shown(call: Call) -> Answer:
    found = await call.store.settings.get()
    return Answer(document_of(found or call.tenant))


def _require_no_platform(call: Call) -> None:
    if call.tenant.slug == urls.PLATFORM:
        raise BuiltIn(reason="platform_tenant")


OPERATIONS = (
    Operation(
        "list_tenants",
        "GET",
        "/tenants",
        TENANTS_READ,
        "List tenants by slug",
        _list,
        answer=Page[TenantLine],
        query=PageQuery,
        operators_only=True,
        where="platform",
    ),
    Operation(
        "create_tenant",
        "POST",
        "/tenants",
        TENANTS_WRITE,
        "Create a tenant with its signing keys",
        _create,
        answer=TenantDocument,
        body=NewTenant,
        tagged=True,
        operators_only=True,
        where="new",
        status=201,
        refusals=(Existing,),
    ),
    Operation(
        "read_tenant",
        "GET",
        "/tenants/{slug}",
        TENANTS_READ,
        "Show a tenant and its settings",
        _read,
        answer=TenantDocument,
        tagged=True,
    ),
    Operation(
        "change_tenant",
        "PATCH",
        "/tenants/{slug}",
        SETTINGS_WRITE,
        "Change a tenant's settings",
        change_tenant,
        answer=TenantDocument,
        body=TenantSettings,
        current=current_tenant,
        tagged=True,
    ),
    Operation(
        "suspend_tenant",
        "POST",
        "/tenants/{slug}/suspend",
        TENANTS_WRITE,
        "Suspend a tenant: it is refused everywhere within a second",
        _suspend,
        answer=TenantDocument,
        body=Nothing,
        body_optional=True,
        tagged=True,
        operators_only=True,
        refusals=(BuiltIn,),
    ),
    Operation(
        "resume_tenant",
        "POST",
        "/tenants/{slug}/resume",
        TENANTS_WRITE,
        "Resume a tenant; an order to delete it is taken back",
        _resume,
        answer=TenantDocument,
        body=Nothing,
        body_optional=True,
        tagged=True,
        operators_only=True,
        refusals=(BuiltIn, ValidationFailed),
    ),
    Operation(
        "delete_tenant",
        "DELETE",
        "/tenants/{slug}",
        TENANTS_DELETE,
        "Suspend a tenant now, and delete it with all that it owns after a grace",
        _delete,
        answer=TenantDocument,
        query=Deletion,
        current=current_tenant,
        tagged=True,
        operators_only=True,
        refusals=(BuiltIn, ValidationFailed),
    ),
)
