"""``yett key``: a tenant's signing keys and their life: next, active, retiring, retired, or revoked."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from policies.key_rotation import NothingToPromote, PromoteNow, Schedule
from tenants.acts import keys as acts
from tenants.keys import KeyRecord

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


@click.group()
def key() -> None:
    """Create, list, show, rotate and revoke signing keys; reseal what lies under master keys."""


def _fields(found: KeyRecord) -> dict[str, object]:
    return {
        "kid": found.kid,
        "alg": found.alg,
        "state": found.state.value,
        "published_at": found.published_at,
        "promote_at": found.promote_at,
        "activated_at": found.activated_at,
        "retiring_at": found.retiring_at,
        "ended_at": found.ended_at,
        "public_jwk": found.public_jwk,
    }


@command(key)
@_tenant
async def create(call: Invocation, slug: str) -> None:
    """Publish one more next key. It signs nothing before a rotation promotes it."""
    async with call.tenant(slug) as (tenant, store):
        kid = await store.keys.create_next(tenant.signing_alg)
        await by().tell(store, "key.created", kid=kid)
    call.output.say(f"published next key {kid} of {slug}", kid=kid, state="next")


@command(key, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's keys, oldest first."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [_fields(found) for found in await store.keys.list()]
    call.output.table(rows, ["kid", "alg", "state", "published_at", "promote_at"])


@command(key)
@_tenant
@click.argument("kid")
async def show(call: Invocation, slug: str, kid: str) -> None:
    """Show the public half of the key KID."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = [record for record in await store.keys.list() if record.kid == kid]
    if not found:
        raise Refused(f"there is no key {kid!r} in {slug}")
    call.output.item(_fields(found[0]))


@command(key)
@_tenant
@click.option(
    "--now", "force", is_flag=True, help="Do not wait until caches know the key. Some clients will refuse tokens."
)
async def rotate(call: Invocation, slug: str, force: bool) -> None:
    """Let the next key sign, once it has been published long enough; until then it is scheduled."""
    async with call.tenant(slug) as (tenant, store):
        match await acts.rotate(store, by(), tenant.signing_alg, force=force):
            case PromoteNow(kid, retires, early):
                said, fields = f"key {kid} of {slug} signs now", {"kid": kid, "retires": retires, "early": early}
                if early:
                    click.echo(
                        "yett: warning: the key was published for less than a day. A client that has the old JWKS in "
                        "its cache refuses new tokens until it fetches it again.",
                        err=True,
                    )
            case Schedule(kid, at):
                said = f"key {kid} of {slug} will sign from {at.isoformat()}, when every cache knows it"
                fields = {"kid": kid, "promote_at": at.isoformat()}
            case NothingToPromote():
                raise Refused(f"{slug} has no next key")
    call.output.say(said, **fields)


@command(key)
@_tenant
@click.argument("kid")
async def revoke(call: Invocation, slug: str, kid: str) -> None:
    """Refuse every token of the key KID everywhere within a second. The next key takes over at once."""
    async with call.tenant(slug) as (tenant, store):
        await acts.revoke(store, by(), kid, tenant.signing_alg)
    call.output.say(f"revoked key {kid} of {slug}", kid=kid, state="revoked")
