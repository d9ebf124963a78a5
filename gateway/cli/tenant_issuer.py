"""``yett tenant change-issuer``: another issuer for a tenant, while the one from before still counts for a time."""

from datetime import timedelta

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import DEFAULT, one_duration
from gateway.cli.options import Invocation, actor, command
from gateway.cli.tenant import fields_of, spelled
from gateway.free_issuer import free_issuer
from policies.issuer import LONGEST_OVERLAP
from tenants.audit_event import Details, Event
from tenants.store import TenantStore
from tenants.tenant import Tenant

_USUAL = timedelta(days=1)


@command(None, "change-issuer")
@click.argument("slug")
@click.option(
    "--to",
    "asked",
    required=True,
    metavar="URL|default",
    help="https:// and a host that the tenant gets to itself; default is the issuer below public_url, /t/SLUG.",
)
@click.option(
    "--overlap",
    metavar="DURATION",
    callback=one_duration,
    help=f"How long the former issuer is still served and its tokens accepted, as in 36h; at most "
    f"{LONGEST_OVERLAP.days}d. Default: {spelled(_USUAL)}.",
)
async def change_issuer(call: Invocation, slug: str, asked: str, overlap: timedelta | None) -> None:
    """Give the tenant SLUG another issuer.

    Until the overlap ends, it is reachable under both, and each address speaks of itself. With the issuer that it has
    already and --overlap, the overlap that runs ends after that time from now: 0s ends it at once.
    """
    if overlap is not None and overlap > LONGEST_OVERLAP:
        raise Refused(f"an overlap lasts at most {spelled(LONGEST_OVERLAP)}")
    async with call.installation() as installation:
        before = await installation.directory.find(slug)
        if before is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        issuer = await free_issuer(installation, slug, None if asked == DEFAULT else asked)
        now = installation.clock()
        details: Details
        async with installation.store.for_tenant(before.id) as store:
            if issuer != before.issuer:
                until = now + (_USUAL if overlap is None else overlap)
                await store.settings.change_issuer(before.issuer, issuer)
                await store.former_issuers.keep(before.issuer, until)
                told, details = "tenant.issuer_changed", {"from": before.issuer, "to": issuer}
            else:
                running = [one for one in await store.former_issuers.list() if one.until > now]
                if overlap is None or not running:
                    raise Refused(f"{issuer!r} is the issuer of {slug} already, and no overlap is to be ended")
                until = now + overlap
                await store.former_issuers.end(until)
                told, details = "tenant.overlap_changed", {"former": [one.issuer for one in running]}
            details["until"] = until.isoformat()
            await store.audit.add(Event(type=told, outcome="success", actor=actor(), details=details))
            changed, former = await _reread(store), await store.former_issuers.list()
    call.output.say(
        f"the issuer of {slug} is {issuer}; former ones count until {until.isoformat()}",
        **fields_of(changed, former),
        until=until.isoformat(),
    )


async def _reread(store: TenantStore) -> Tenant:
    found = await store.settings.get()
    if found is None:
        raise AssertionError("a tenant that was just changed is not there")
    return found
