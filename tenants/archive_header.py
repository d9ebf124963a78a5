"""The first line of an exported tenant: what the file is, and the tenant's settings, by the rules that a change of them
is judged by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from tenants.archive_fields import Fields, check_truths, told_in_words
from tenants.archive_seal import ArchiveSeal
from tenants.branding import Branding
from tenants.detection_policy import DetectionPolicy
from tenants.errors import InvalidValue
from tenants.jose import Algorithm
from tenants.lifetimes import Lifetimes
from tenants.names import checked_title
from tenants.people import PeoplePolicy
from tenants.provider import ProviderPolicy
from tenants.tenant import Tenant, algorithm


@dataclass(frozen=True, slots=True)
class NewTenant:
    """The first line: what of it is not a row of its own."""

    archive: UUID
    written_at: datetime
    id: UUID
    slug: str
    name: str
    issuer: str
    active: bool
    signing_alg: Algorithm
    default_client: str | None
    lifetimes: dict[str, int]
    people: PeoplePolicy
    branding: Branding
    provider: ProviderPolicy
    detections: DetectionPolicy
    salt: bytes | None
    check: str | None

    @classmethod
    def read(cls, header: Mapping[str, Any], *, version: str) -> "NewTenant":
        """From the header; ``version`` is its member that says so.

        Raises:
            InvalidValue: with what is wrong first.
        """
        with told_in_words():
            head = Fields("header", header)
            head.number(version, most=2**31)
            archive, written_at = head.uuid("id"), head.time("at")
            salt, check = head.text_or_none("salt", longest=32), head.text_or_none("check", longest=200)
            its = Fields("tenant", head.object_("tenant"))
            head.done()
            people = PeoplePolicy.from_stored(its.object_("people"))
            provider = ProviderPolicy.from_stored(its.object_("provider"))
            check_truths(people, provider)
            lifetimes = its.object_("lifetimes")
            if not all(isinstance(seconds, int) for seconds in lifetimes.values()):
                raise InvalidValue("a lifetime is in whole seconds")
            Lifetimes.from_seconds(lifetimes)
            found = cls(
                archive,
                written_at,
                its.uuid("id"),
                its.text("slug", longest=63),
                checked_title("tenant", its.text("name")),
                its.text("issuer", longest=300),
                its.truth("active"),
                algorithm(its.text("signing_alg", longest=16)),
                its.text_or_none("default_client", longest=100),
                lifetimes,
                _checked_people(people, written_at),
                Branding.from_stored(its.object_("branding")).checked(),
                provider.changed(),
                DetectionPolicy().changed(DetectionPolicy.from_stored(its.object_("detections")).own),
                None if salt is None else bytes.fromhex(salt),
                check,
            )
            its.done()
            if not found.issuer.isprintable():
                raise InvalidValue("an issuer is printable")
        if (salt is None) is not (check is None):
            raise InvalidValue("a header has both salt and check, or none")
        return found


def _checked_people(policy: PeoplePolicy, now: datetime) -> PeoplePolicy:
    """By the rules that a change is judged by, with the time since when factors are required as it was."""
    policy.changed(now)
    return policy


def header_of(
    tenant: Tenant, archive: UUID, at: datetime, salt: bytes | None, seal: ArchiveSeal | None
) -> dict[str, Any]:
    """What ``NewTenant.read`` reads, without the version."""
    usual = Lifetimes()
    lifetimes = {
        entry.name: int(value.total_seconds())
        for entry in fields(Lifetimes)
        if (value := getattr(tenant.lifetimes, entry.name)) != getattr(usual, entry.name)
    }
    settings = {
        "id": str(tenant.id),
        "slug": tenant.slug,
        "name": tenant.name,
        "issuer": tenant.issuer,
        "active": tenant.active,
        "signing_alg": tenant.signing_alg,
        "default_client": tenant.default_client_id,
        "lifetimes": lifetimes,
        "people": tenant.people.stored(),
        "branding": tenant.branding.stored(),
        "provider": tenant.provider.stored(),
        "detections": tenant.detections.stored(),
    }
    head: dict[str, Any] = {"id": str(archive), "at": at.isoformat(), "tenant": settings}
    if salt is not None and seal is not None:
        head |= {"salt": salt.hex(), "check": seal.check()}
    return head
