"""``yett tenant``: the customers of this installation, each with its own issuer, keys, users and log.

``configure`` is in tenant_people.py, ``change-issuer`` in tenant_issuer.py, ``delete`` in tenant_delete.py.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta

import click

from gateway import urls
from gateway.cli.errors import Refused
from gateway.cli.option_values import DEFAULT
from gateway.cli.options import Invocation, actor, command
from gateway.cli.tenant_detections import detection_fields
from gateway.cli.tenant_provider import provider_fields
from gateway.free_issuer import free_issuer
from tenants import deletion
from tenants.audit_event import Details, Event
from tenants.former_issuers import FormerIssuer
from tenants.jose import ALGORITHMS, DEFAULT_ALGORITHM
from tenants.tenant import Tenant, algorithm

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


@click.group()
def tenant() -> None:
    """Create, configure, list, show, suspend, resume, delete, export and import tenants."""


def fields_of(found: Tenant, former: Sequence[FormerIssuer] | None = None) -> dict[str, object]:
    """A tenant as it is printed, with its ``former`` issuers where they were asked for. Of letters' own texts only the
    names: a text has more lines than one.
    """
    people, branding = found.people, found.branding
    before = None if former is None else [f"{one.issuer} until {one.until.isoformat()}" for one in former]
    return {
        "slug": found.slug,
        "name": found.name,
        "issuer": found.issuer,
        **({} if before is None else {"former_issuers": before}),
        "active": found.active,
        **({} if found.delete_at is None else {"delete_at": found.delete_at}),
        "signing_alg": found.signing_alg,
        "default_client": found.default_client_id,
        "otp": people.otp,
        "otp_roles": people.otp_roles,
        "otp_grace": spelled(people.otp_grace),
        "otp_required_since": people.otp_required_since,
        "trusted_devices": people.trusted_devices,
        "sign_up": people.sign_up,
        "password_min_length": people.password_min_length,
        "mail_sender": people.mail_sender,
        "mail_texts": [letter for letter, _ in people.mail_texts],
        "accent": branding.accent,
        "tagline": branding.tagline,
        "logo": branding.logo,
        **provider_fields(found.provider),
        **detection_fields(found.detections, spelled),
        "lifetimes": [
            f"{entry.name}={spelled(getattr(found.lifetimes, entry.name))}" for entry in fields(found.lifetimes)
        ],
        "created_at": found.created_at,
        "id": found.id,
    }


def spelled(duration: timedelta | None) -> str:
    """As ``--lifetime`` and the configuration take it: the largest unit that makes it a whole number. None: no end."""
    if duration is None:
        return "for ever"
    for unit, size in _UNITS:
        if duration and not duration % size:
            return f"{duration // size}{unit}"
    return f"{duration // timedelta(seconds=1)}s"


@command(tenant)
@click.argument("slug")
@click.option("--name", help="For people. Default: the slug.")
@click.option(
    "--alg", type=click.Choice(ALGORITHMS), default=DEFAULT_ALGORITHM, show_default=True, help="Signs its tokens."
)
@click.option(
    "--issuer", metavar="URL", help="https:// and a host that it gets to itself. Default: below public_url, /t/SLUG."
)
async def create(call: Invocation, slug: str, name: str | None, alg: str, issuer: str | None) -> None:
    """Create the tenant SLUG (a DNS label in lower case) with its keys."""
    if not urls.is_slug(slug):
        raise Refused(f"{slug!r} is not a slug: 1 to 63 of a-z 0-9 and inner hyphens")
    if not urls.may_be_named(slug):
        raise Refused(f"{slug!r} is reserved")
    async with call.installation() as installation:
        made = await installation.directory.create(
            slug=slug,
            name=name or slug,
            issuer=await free_issuer(installation, slug, None if issuer == DEFAULT else issuer),
            signing_alg=algorithm(alg),
            actor=actor(),
        )
    call.output.say(f"created tenant {slug}, issuer {made.issuer}", **fields_of(made))


@command(tenant, "list")
async def list_(call: Invocation) -> None:
    """List all tenants by slug."""
    rows: list[dict[str, object]] = []
    async with call.installation() as installation:
        after = ""
        while page := await installation.directory.list(after=after):
            rows += [fields_of(found) for found in page]
            after = page[-1].slug
    call.output.table(rows, ["slug", "name", "issuer", "active"])


@command(tenant)
@click.argument("slug")
async def show(call: Invocation, slug: str) -> None:
    """Show the tenant SLUG."""
    async with call.tenant(slug, read_only=True) as (found, store):
        call.output.item(fields_of(found, await store.former_issuers.list()))


@command(tenant)
@click.argument("slug")
async def disable(call: Invocation, slug: str) -> None:
    """Suspend the tenant SLUG: its tokens, logins and keys are refused everywhere within a second."""
    async with call.tenant(slug) as (_, store):
        await store.settings.set_active(False)
        await store.audit.add(Event(type="tenant.suspended", outcome="success", actor=actor()))
    call.output.say(f"suspended tenant {slug}", slug=slug, active=False)


@command(tenant)
@click.argument("slug")
async def enable(call: Invocation, slug: str) -> None:
    """Resume the tenant SLUG; an order to delete it is taken back."""
    resumed = Event(type="tenant.resumed", outcome="success", actor=actor())
    async with call.installation() as installation:
        found = await installation.directory.find(slug)
        if found is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        if found.delete_at is not None:
            whose: Details = {"slug": found.slug, "tenant": str(found.id)}
            await deletion.take_back(
                installation.database,
                found.id,
                found.delete_at,
                active=True,
                told={found.id: resumed, (await installation.platform()).id: resumed._replace(details=whose)},
                now=installation.clock(),
            )
        else:
            async with installation.store.for_tenant(found.id) as store:
                await store.settings.set_active(True)
                await store.audit.add(resumed)
    call.output.say(f"resumed tenant {slug}", slug=slug, active=True)
