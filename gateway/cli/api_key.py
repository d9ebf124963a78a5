"""``yett api-key``: keys of a tenant for machines that cannot do OAuth."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import duration_or_never
from gateway.cli.options import Invocation, by, command
from tenants.acts import keys as acts
from tenants.api_keys import DEFAULT_LIFETIME, LONGEST_LIFETIME, ApiKey

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")
_id = click.argument("key_id", metavar="ID", type=click.UUID)


@click.group("api-key")
def api_key() -> None:
    """Create, list, show and revoke API keys, for machines that cannot do OAuth."""


def _fields(found: ApiKey) -> dict[str, object]:
    return {
        "id": found.id,
        "name": found.name,
        "state": found.state(datetime.now(UTC)),
        "scopes": found.scopes,
        "audiences": found.audiences,
        "created_at": found.created_at,
        "expires_at": found.expires_at,
        "revoked_at": found.revoked_at,
        "last_used_at": found.last_used_at,
    }


@command(api_key)
@_tenant
@click.option("--name", required=True, help="For people: which machine it is given to. Several keys may have it.")
@click.option("--scope", "scopes", multiple=True, required=True, help="A scope that it has; may be repeated.")
@click.option(
    "--audience",
    "audiences",
    multiple=True,
    required=True,
    help="An API that it is good for, by its upstream's `audience`; may be repeated.",
)
@click.option(
    "--expires",
    "lifetime",
    metavar="DURATION|never",
    default=f"{DEFAULT_LIFETIME.days}d",
    show_default=True,
    callback=duration_or_never,
    help=f"After how long it is refused, at most {LONGEST_LIFETIME.days}d.",
)
async def create(
    call: Invocation,
    slug: str,
    name: str,
    scopes: tuple[str, ...],
    audiences: tuple[str, ...],
    lifetime: timedelta | None,
) -> None:
    """Create an API key and show it this once. Only routes that say `api_keys: allow` take it."""
    async with call.tenant(slug) as (_, store):
        made, text = await acts.create_api_key(store, by(), name, scopes=scopes, audiences=audiences, lifetime=lifetime)
    call.output.say(
        f"created API key {made.id} ({name}) in {slug}\nkey (shown this once): {text}", **_fields(made), api_key=text
    )


@command(api_key, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's API keys, without the keys: only their hashes are stored. One that ended stays for 30 days,
    unless new ones need its place.
    """
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [_fields(found) for found in await store.api_keys.list()]
    call.output.table(rows, ["id", "name", "state", "scopes", "expires_at", "last_used_at"])


@command(api_key)
@_tenant
@_id
async def show(call: Invocation, slug: str, key_id: UUID) -> None:
    """Show the API key ID, without the key. When it was used last is told with up to two minutes' delay."""
    async with call.tenant(slug, read_only=True) as (_, store):
        call.output.item(_fields(_there(await store.api_keys.get(key_id), slug, key_id)))


@command(api_key)
@_tenant
@_id
async def revoke(call: Invocation, slug: str, key_id: UUID) -> None:
    """Refuse the API key ID everywhere within a second, for good."""
    async with call.tenant(slug) as (_, store):
        found = _there(await store.api_keys.get(key_id), slug, key_id)
        await acts.revoke_api_key(store, by(), key_id)
    call.output.say(f"revoked API key {key_id} ({found.name}) of {slug}", id=key_id, name=found.name, state="revoked")


def _there(found: ApiKey | None, slug: str, key_id: UUID) -> ApiKey:
    if found is None:
        raise Refused(f"there is no API key {key_id} in {slug}")
    return found
