"""``yett throttle``: who has to wait before they may try again in a tenant, and letting them."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from gateway.cli.people import tenant_option
from tenants import throttles
from tenants.acts import throttles as acts
from tenants.throttles import Counter, Slowed

_AT_ONCE = 200


@click.group()
def throttle() -> None:
    """List what slows accounts and networks down, and lift it."""


def _fields(found: Slowed) -> dict[str, object]:
    return {
        "id": acts.name_of(found.counter),
        "kind": found.counter.kind,
        "failures": found.failures,
        "last_at": found.last_at,
        "until": found.until,
    }


@command(throttle, "list")
@tenant_option
@click.option("--account", help="Only that of this name, as it is typed at the login.")
@click.option("--network", help="Only that of this network, as 192.0.2.1/32 or 2001:db8::/64.")
async def list_(call: Invocation, slug: str, account: str | None, network: str | None) -> None:
    """List who has to wait now. A name is known by its digest alone: ask for --account."""
    rows = []
    named = [
        *(() if account is None else (throttles.account(account),)),
        *(() if network is None else (throttles.network(network),)),
    ]
    async with call.tenant(slug, read_only=True) as (_, store):
        if named:
            found = [await store.throttles.find(counter) for counter in named]
            rows = [_fields(one) for one in found if one is not None]
        else:
            after: Counter | None = None
            while True:
                slowed, after = await store.throttles.slowed(after=after, limit=_AT_ONCE)
                rows += [_fields(one) for one in slowed]
                if after is None:
                    break
    call.output.table(rows, ["id", "kind", "failures", "until"])


@command(throttle)
@tenant_option
@click.argument("name", metavar="ID")
async def lift(call: Invocation, slug: str, name: str) -> None:
    """Let those try again who have to wait for ID; `yett throttle list` shows it."""
    async with call.installation() as installation:
        tenant = await installation.directory.find(slug)
        if tenant is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        async with installation.store.for_tenant(tenant.id) as store:
            counter = await acts.lift(store, by(), name)
        async with installation.store.for_tenant(tenant.id) as store:  # its own, as tenants.throttles wants it
            await store.throttles.clear(counter)
    call.output.say(f"lifted {name} in {slug}", id=name)
