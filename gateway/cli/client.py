"""``yett client``: the applications that ask a tenant for tokens."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from tenants.audit_event import Details, Event
from tenants.clients import GRANT_TYPES, Client
from tenants.store import TenantStore

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


@click.group()
def client() -> None:
    """Create, list, show, disable and enable clients, and roll their secrets."""


def _fields(found: Client) -> dict[str, object]:
    return {
        "client_id": found.client_id,
        "name": found.name,
        "kind": "confidential" if found.confidential else "public",
        "active": found.active,
        "grant_types": found.grant_types,
        "scopes": found.scopes,
        "default_scopes": found.default_scopes,
        "audiences": found.audiences,
        "redirect_uris": found.redirect_uris,
        "origins": found.origins,
        "created_at": found.created_at,
    }


@command(client)
@_tenant
@click.argument("client_id")
@click.option("--name", help="For people. Default: the client id.")
@click.option("--confidential", is_flag=True, help="It can keep a secret; one is made and shown once.")
@click.option("--grant", "grants", multiple=True, type=click.Choice(sorted(GRANT_TYPES)), help="May be repeated.")
@click.option("--scope", "scopes", multiple=True, help="A scope that it may ask for; may be repeated.")
@click.option("--default-scope", "default_scopes", multiple=True, help="Granted where it asks for none.")
@click.option("--audience", "audiences", multiple=True, required=True, help="An API's URI, the default one first.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    help="Where the login page may lead back to, word for word; may be repeated.",
)
@click.option("--origin", "origins", multiple=True, help="A web origin whose pages may call /token.")
@click.option("--default", "is_default", is_flag=True, help="Stands in where a password form names no client.")
async def create(
    call: Invocation,
    slug: str,
    client_id: str,
    name: str | None,
    confidential: bool,
    grants: tuple[str, ...],
    scopes: tuple[str, ...],
    default_scopes: tuple[str, ...],
    audiences: tuple[str, ...],
    redirect_uris: tuple[str, ...],
    origins: tuple[str, ...],
    is_default: bool,
) -> None:
    """Create the client CLIENT_ID."""
    made = Client(
        client_id=client_id,
        name=name or client_id,
        confidential=confidential,
        grant_types=frozenset(grants),
        scopes=frozenset(scopes),
        audiences=audiences,
        default_scopes=frozenset(default_scopes),
        redirect_uris=redirect_uris,
        origins=origins,
    )
    async with call.tenant(slug) as (_, store):
        await store.clients.create(made)
        secret = await store.clients.add_secret(client_id) if confidential else None
        if is_default:
            await store.settings.set_default_client(client_id)
        await _tell(store, "client.created", client_id, grant_types=sorted(grants), default=is_default)
    shown = "" if secret is None else f"\nsecret (shown this once): {secret}"
    call.output.say(f"created client {client_id} in {slug}{shown}", **_fields(made), secret=secret)


@command(client, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's clients."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [_fields(found) for found in await store.clients.list()]
    call.output.table(rows, ["client_id", "kind", "active", "grant_types", "scopes"])


@command(client)
@_tenant
@click.argument("client_id")
async def show(call: Invocation, slug: str, client_id: str) -> None:
    """Show the client CLIENT_ID. Its secrets cannot be shown: only their hashes are stored."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = await store.clients.get(client_id)
    if found is None:
        raise Refused(f"there is no client {client_id!r} in {slug}")
    call.output.item(_fields(found))


@command(client)
@_tenant
@click.argument("client_id")
@click.option("--end-others", is_flag=True, help="End the secrets from before at once, because one leaked.")
async def rotate(call: Invocation, slug: str, client_id: str, end_others: bool) -> None:
    """Give CLIENT_ID a further secret, so that it can be rolled: those from before go on to work."""
    async with call.tenant(slug) as (_, store):
        ended = await store.clients.end_secrets(client_id) if end_others else 0
        secret = await store.clients.add_secret(client_id)
        await _tell(store, "client.secret_added", client_id, secrets_ended=ended)
    ending = f"{ended} secrets from before ended\n" if end_others else ""
    call.output.say(
        f"{ending}secret (shown this once): {secret}", client_id=client_id, secret=secret, secrets_ended=ended
    )


@command(client)
@_tenant
@click.argument("client_id")
async def disable(call: Invocation, slug: str, client_id: str) -> None:
    """Disable CLIENT_ID: its requests and tokens are refused everywhere within a second."""
    await _set_active(call, slug, client_id, active=False)


@command(client)
@_tenant
@click.argument("client_id")
async def enable(call: Invocation, slug: str, client_id: str) -> None:
    """Enable CLIENT_ID again. Tokens from before stay refused."""
    await _set_active(call, slug, client_id, active=True)


async def _set_active(call: Invocation, slug: str, client_id: str, *, active: bool) -> None:
    async with call.tenant(slug) as (_, store):
        await store.clients.set_active(client_id, active)
        await _tell(store, "client.enabled" if active else "client.disabled", client_id)
    call.output.say(
        f"{'enabled' if active else 'disabled'} client {client_id} in {slug}", client_id=client_id, active=active
    )


async def _tell(store: TenantStore, type_: str, client_id: str, **details: str | int | bool | list[str]) -> None:
    told: Details = dict(details)
    await store.audit.add(Event(type=type_, outcome="success", client_id=client_id, actor=actor(), details=told))
