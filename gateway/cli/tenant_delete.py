"""``yett tenant delete``: the end of a tenant, now or after a time in which it can be taken back."""

import sys
from datetime import timedelta

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import one_duration
from gateway.cli.options import Invocation, actor, command
from gateway.cli.tenant import spelled
from gateway.installation import Installation
from tenants import deletion
from tenants.audit_event import Event
from tenants.directory import PLATFORM
from tenants.tenant import Tenant

_USUAL = timedelta(days=30)
_LONGEST = timedelta(days=3660)


@command(None, "delete")
@click.argument("slug")
@click.option(
    "--after",
    metavar="DURATION",
    callback=one_duration,
    help=f"How long `yett tenant enable` can still take it back, as in 72h. Default: {spelled(_USUAL)}.",
)
@click.option("--now", "at_once", is_flag=True, help="Delete it at once. It cannot be taken back.")
@click.option("--yes", is_flag=True, help="Do not ask for the slug once more.")
async def delete(call: Invocation, slug: str, after: timedelta | None, at_once: bool, yes: bool) -> None:
    """Delete the tenant SLUG with its users, clients, keys and audit log.

    It is suspended at once, and deleted by a serving process when the time is over. Export its audit log before, where
    it has to be kept: all that stays is one event in the log of the platform.
    """
    if at_once and after is not None:
        raise click.UsageError("--now and --after exclude each other")
    if after is not None and not timedelta(0) < after <= _LONGEST:
        raise click.UsageError(f"--after is more than nothing and at most {spelled(_LONGEST)}; --now deletes at once")
    if slug == PLATFORM:
        raise Refused("the platform tenant cannot be deleted: its log holds what belongs to no tenant")
    async with call.installation() as installation:
        found = await installation.directory.find(slug)
        if found is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        if not yes:
            _confirm(slug)
        at = installation.clock() + (timedelta(0) if at_once else after or _USUAL)
        async with installation.store.for_tenant(found.id) as store:
            await store.settings.schedule_deletion(at)
            details: dict[str, str | int | bool | list[str]] = {"at": at.isoformat()}
            await store.audit.add(
                Event(type="tenant.deletion_scheduled", outcome="success", actor=actor(), details=details)
            )
        async with installation.store.for_tenant((await installation.platform()).id) as store:  # its own log goes
            await store.audit.add(
                Event(
                    type="tenant.deletion_scheduled",
                    outcome="success",
                    actor=actor(),
                    details={**details, "slug": slug, "tenant": str(found.id)},
                )
            )
        if at_once:
            await _carry_out(installation, found)
    if at_once:
        call.output.say(f"deleted tenant {slug}", slug=slug, deleted=True)
        return
    call.output.say(
        f"suspended tenant {slug}; it is deleted at {at:%Y-%m-%d %H:%M} UTC, and `yett tenant enable {slug}` takes "
        "that back",
        slug=slug,
        active=False,
        delete_at=at,
    )


def _confirm(slug: str) -> None:
    if not sys.stdin.isatty():
        raise Refused("say --yes where nobody can be asked")
    typed: str = click.prompt(f"Everything of {slug} will be deleted. Its slug, to go on", err=True)
    if typed != slug:
        raise Refused(f"{typed!r} is not {slug!r}; nothing was done")


async def _carry_out(installation: Installation, found: Tenant) -> None:
    doomed = deletion.Doomed(found.id, found.slug, found.issuer)
    platform = await installation.platform()
    done = await deletion.carry_out(
        installation.database,
        installation.store,
        doomed,
        platform=platform.id,
        now=installation.clock(),
        actor=actor(),
    )
    if not done:
        raise Refused(
            f"{found.slug} was changed or deleted meanwhile; `yett tenant show {found.slug}` says how it stands"
        )
