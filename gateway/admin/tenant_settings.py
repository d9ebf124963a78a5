"""A tenant as it is shown, and what of it can be changed: what it asks of its people, how its pages look, how long
things last, what its OAuth server does.

What may be stored is judged where it is made (``PeoplePolicy``, ``Branding``, ``Lifetimes``, ``ProviderPolicy``).
"""

from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, create_model

from gateway import urls
from gateway.admin.document import Document
from gateway.admin.errors import PreconditionFailed, ValidationFailed
from gateway.admin.operation import Answer, Call
from gateway.mail.wording import OWN_TEXTS
from tenants import audit_retention
from tenants.acts import tenants as acts
from tenants.lifetimes import Lifetimes
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.tenant import Tenant

_DEFAULT = Lifetimes()
_MOST = 100
Seconds = Annotated[int, Field(ge=0, le=4_000_000_000)]
Texts = Annotated[dict[str, Annotated[str, Field(max_length=2000)]], Field(max_length=_MOST)]
Claims = Annotated[dict[str, Annotated[str, Field(max_length=500)]], Field(max_length=_MOST)]


class People(Document):
    """``password_min_length`` null: 8 with a second factor and 15 without. ``mail_texts`` are a letter's own words."""

    otp: Literal["off", "optional", "required"] = "optional"
    otp_roles: Annotated[tuple[str, ...], Field(max_length=_MOST)] = ()
    otp_grace_seconds: Seconds = 0
    trusted_devices: bool = False
    sign_up: bool = False
    password_min_length: Annotated[int, Field(ge=1, le=10_000)] | None = None
    mail_sender: str | None = None
    mail_texts: Texts = Field(default_factory=dict)


class Look(Document):
    """``accent`` is ``#rrggbb``; ``tagline`` stands under the name, ``{tenant}`` is replaced by it."""

    accent: str | None = None
    tagline: str | None = None


def _seconds(name: str) -> tuple[object, object]:
    default = getattr(_DEFAULT, name)
    return (Seconds | None, None) if default is None else (Seconds, int(default.total_seconds()))


LifetimesDocument: type[Document] = create_model(
    "Lifetimes",
    __base__=Document,
    __doc__="In seconds; null: for ever.",
    # Its overloads know no fields that come from a table.
    **{entry.name: _seconds(entry.name) for entry in fields(Lifetimes)},  # type: ignore[call-overload]
)


class Provider(Document):
    """``key_rotation_days`` null: keys are rotated by hand only."""

    registration: bool = False
    registered_clients: Annotated[int, Field(ge=0, le=100_000)] = 1000
    scope_claims: Annotated[dict[str, Claims], Field(max_length=_MOST)] = Field(default_factory=dict)
    key_rotation_days: Annotated[int, Field(ge=1, le=10_000)] | None = 90
    require_pushed: bool = False


class TenantSettings(Document):
    """What can be changed."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    default_client_id: str | None = None
    people: People = People()
    branding: Look = Look()
    lifetimes: LifetimesDocument = LifetimesDocument()  # type: ignore[valid-type]  # made while this is read
    provider: Provider = Provider()


class TenantDocument(TenantSettings):
    """``delete_at`` is when it will be deleted, where that was ordered; ``logo`` the version of its logo."""

    slug: str
    id: UUID
    issuer: str
    active: bool
    delete_at: datetime | None
    signing_alg: str
    otp_required_since: datetime | None
    logo: str | None
    created_at: datetime


def document_of(found: Tenant) -> TenantDocument:
    """As it is shown."""
    people, provider = asdict(found.people), found.provider
    people["otp_grace_seconds"] = int(people.pop("otp_grace").total_seconds())
    since = people.pop("otp_required_since")
    rotation = None if provider.key_rotation is None else provider.key_rotation.days
    lasting = {entry.name: getattr(found.lifetimes, entry.name) for entry in fields(Lifetimes)}
    return TenantDocument(
        slug=found.slug,
        id=found.id,
        name=found.name,
        issuer=found.issuer,
        active=found.active,
        delete_at=found.delete_at,
        signing_alg=found.signing_alg,
        default_client_id=found.default_client_id,
        people=People(**people | {"mail_texts": dict(found.people.mail_texts)}),
        otp_required_since=since,
        branding=Look(accent=found.branding.accent, tagline=found.branding.tagline),
        logo=found.branding.logo,
        lifetimes=LifetimesDocument(
            **{name: None if each is None else int(each.total_seconds()) for name, each in lasting.items()}
        ),
        provider=Provider(
            registration=provider.registration,
            registered_clients=provider.registered_clients,
            scope_claims={scope: dict(claims) for scope, claims in provider.scope_claims},
            key_rotation_days=rotation,
            require_pushed=provider.require_pushed,
        ),
        created_at=found.created_at,
    )


async def current_tenant(call: Call) -> TenantDocument:
    """What a change is about."""
    return document_of(call.tenant)


async def change_tenant(call: Call) -> Answer:
    """Set what differs.

    Raises:
        ValidationFailed: a role, a letter or a client is named that is none.
        InvalidValue: a value cannot be stored; with the rule.
    """
    wanted: TenantSettings = call.body
    await _check_names(call, wanted)
    before = call.tenant
    if _lifetimes(wanted.lifetimes).audit_events != before.lifetimes.audit_events:
        _require_operator(call)
    after = replace(
        before,
        name=wanted.name,
        default_client_id=wanted.default_client_id,
        people=_people(before.people, wanted.people, call.now),
        branding=before.branding.checked(accent=wanted.branding.accent, tagline=wanted.branding.tagline),
        lifetimes=_lifetimes(wanted.lifetimes),
        provider=_provider(before.provider, wanted.provider),
    )
    if after.lifetimes.audit_events != before.lifetimes.audit_events:
        return _keep_events(call, before, after)
    await acts.configure(call.store, call.by, before, after)
    return Answer(document_of(await call.store.settings.get() or after))


def _keep_events(call: Call, before: Tenant, after: Tenant) -> Answer:
    """It is stored in a transaction of its own, since another role of the database does that: so nothing else is with
    it, and all of the request is done or nothing. Of two at a time, one finds that it is another time by now.
    """
    kept, keeps = before.lifetimes.audit_events, after.lifetimes.audit_events
    database = call.services.installation.database
    alone = replace(before, lifetimes=replace(before.lifetimes, audit_events=keeps))
    if alone != after:
        told = {"pointer": "/lifetimes/audit_events", "detail": "this is changed by a request of its own, alone"}
        raise ValidationFailed([told])
    event = acts.retention_configured(call.by, before.lifetimes, after.lifetimes)

    async def keep() -> None:  # behind the transaction, which holds the tenant's row
        if not await audit_retention.keep_events(database, before.id, keeps, told=event, now=call.now, before=kept):
            raise PreconditionFailed(reason="changed_meanwhile")

    return Answer(document_of(alone), afterwards=keep)


def _require_operator(call: Call) -> None:
    """What erases a log is no tenant's own to say: whoever has got hold of its administrator would begin with it."""
    if call.caller.principal.tenant != urls.PLATFORM:
        told = {"pointer": "/lifetimes/audit_events", "detail": "operators alone say how long events are kept"}
        raise ValidationFailed([told])


async def _check_names(call: Call, wanted: TenantSettings) -> None:
    errors = [
        {"pointer": "/people/otp_roles", "detail": f"there is no role {role[:100]!r}"}
        for role in wanted.people.otp_roles
        if await call.store.roles.get(role) is None
    ]
    errors += [
        {"pointer": "/people/mail_texts", "detail": f"there is no letter {letter[:100]!r}"}
        for letter in wanted.people.mail_texts
        if letter not in OWN_TEXTS
    ]
    client_id = wanted.default_client_id
    if client_id is not None and await call.store.clients.get(client_id) is None:
        errors.append({"pointer": "/default_client_id", "detail": "there is no such client"})
    if errors:
        raise ValidationFailed(errors)


def _people(before: PeoplePolicy, wanted: People, now: datetime) -> PeoplePolicy:
    return before.changed(
        now,
        otp=wanted.otp,
        otp_roles=wanted.otp_roles,
        otp_grace=timedelta(seconds=wanted.otp_grace_seconds),
        trusted_devices=wanted.trusted_devices,
        sign_up=wanted.sign_up,
        password_min_length=wanted.password_min_length,
        mail_sender=wanted.mail_sender,
        mail_texts=tuple(wanted.mail_texts.items()),
    )


def _lifetimes(wanted: Document) -> Lifetimes:
    return Lifetimes.from_seconds({name: each for name, each in wanted.model_dump().items() if each is not None})


def _provider(before: ProviderPolicy, wanted: Provider) -> ProviderPolicy:
    days = wanted.key_rotation_days
    return before.changed(
        registration=wanted.registration,
        registered_clients=wanted.registered_clients,
        scope_claims=tuple((scope, tuple(sorted(each.items()))) for scope, each in sorted(wanted.scope_claims.items())),
        key_rotation=None if days is None else timedelta(days=days),
        require_pushed=wanted.require_pushed,
    )
