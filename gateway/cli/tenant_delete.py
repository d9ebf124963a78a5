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
from tenants.directory import PLATFORM

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
            await _go_on(installation, slug, at_once=at_once)
        else:
            if not yes:
                _confirm(slug)
            doomed, now = deletion.Doomed(found.id, found.slug, found.issuer), installation.clock()
            at = now + (timedelta(0) if at_once else after or _USUAL)
            platform = (await installation.platform()).id
            if not at_once or found.delete_at is None or found.delete_at > now:
                await deletion.order(installation.database, doomed, at, platform=platform, now=now, actor=actor())
            if at_once:
                await _carry_out(installation, doomed)
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


async def _go_on(installation: Installation, slug: str, *, at_once: bool) -> None:
    """With a deletion that has begun, as where the command was broken off."""
    doomed = await deletion.begun(installation.database, slug)
    if doomed is None:
        raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
    if not at_once:
        raise Refused(f"{slug} is being deleted; `yett tenant delete {slug} --now` does it here, to the end")
    await _carry_out(installation, doomed)


async def _carry_out(installation: Installation, doomed: deletion.Doomed) -> None:
    platform = await installation.platform()
    done = await deletion.carry_out(
        installation.database, doomed, platform=platform.id, now=installation.clock(), actor=actor()
    )
    if not done:
        raise Refused(
            f"{doomed.slug} was changed or deleted meanwhile; `yett tenant show {doomed.slug}` says how it stands"
        )
