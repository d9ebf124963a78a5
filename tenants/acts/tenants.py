"""What is done to a tenant as a whole: configured, suspended, resumed."""

from dataclasses import fields, replace

from tenants.acts.by import By
from tenants.audit_event import Details, Event
from tenants.branding import Branding
from tenants.jose import DEFAULT_ALGORITHM, Algorithm
from tenants.lifetimes import Lifetimes
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.weakened import weakened

_DEFAULT = Lifetimes()
Part = PeoplePolicy | Branding | Lifetimes | ProviderPolicy


async def create(
    store: TenantStore, by: By, *, slug: str, name: str, issuer: str, signing_alg: Algorithm = DEFAULT_ALGORITHM
) -> Tenant:
    """The tenant of this store, with an active key and the next one.

    Raises:
        AlreadyExists: the slug or the issuer is taken.
        InvalidValue: the name cannot be one.
    """
    tenant = await store.settings.create(slug=slug, name=name, issuer=issuer, signing_alg=signing_alg)
    await store.keys.create_first(signing_alg)
    await by.tell(store, "tenant.created", slug=slug, issuer=issuer, signing_alg=signing_alg)
    return tenant


async def configure(store: TenantStore, by: By, before: Tenant, after: Tenant) -> None:
    """Store what differs, if anything does: name, default client, people, branding, provider, lifetimes, detections.
    All but how long the audit log keeps events, which ``tenants.audit_retention`` stores.

    Raises:
        InvalidValue, NotFound: as ``Settings``.
    """
    lasting = replace(after.lifetimes, audit_events=before.lifetimes.audit_events)
    changed = [
        *(name for name in ("name", "default_client_id") if getattr(before, name) != getattr(after, name)),
        *_differences(before.people, after.people),
        *_differences(before.branding, after.branding),
        *_differences(before.provider, after.provider),
        *(f"lifetimes.{name}" for name in _differences(before.lifetimes, lasting)),
        *(["detections"] if before.detections != after.detections else []),
    ]
    if not changed:
        return
    if before.name != after.name:
        await store.settings.set_name(after.name)
    if before.default_client_id != after.default_client_id:
        await store.settings.set_default_client(after.default_client_id)
    await store.settings.set_people(after.people)
    await store.settings.set_branding(after.branding)
    await store.settings.set_lifetimes(differing_seconds(replace(lasting, audit_events=None)))
    await store.settings.set_provider(after.provider)
    await store.settings.set_detections(after.detections)
    told: Details = {"changed": sorted(changed)}
    if less := weakened(before, after):
        told["weakened"] = less
    await store.audit.add(by.event("tenant.configured", told))


async def set_active(store: TenantStore, by: By, active: bool) -> None:
    """Suspend or resume. Raises InvalidValue: as ``Settings.set_active``."""
    await store.settings.set_active(active)
    await by.tell(store, "tenant.resumed" if active else "tenant.suspended")


def retention_configured(by: By, before: Lifetimes, after: Lifetimes) -> Event:
    """What tells that the audit log keeps events for another time, for ``audit_retention.keep_events``."""
    details: Details = {"changed": ["lifetimes.audit_events"]}
    kept, keeps = before.audit_events, after.audit_events
    if keeps is not None and (kept is None or keeps < kept):
        details["weakened"] = ["lifetimes.audit_events"]
    return by.event("tenant.configured", details)


def differing_seconds(lifetimes: Lifetimes) -> dict[str, int]:
    """As they are stored: what differs from the defaults."""
    return {name: int(getattr(lifetimes, name).total_seconds()) for name in _differences(_DEFAULT, lifetimes)}


def _differences(before: Part, after: Part) -> list[str]:
    return [entry.name for entry in fields(before) if getattr(before, entry.name) != getattr(after, entry.name)]
