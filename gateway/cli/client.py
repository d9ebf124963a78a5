"""``yett client``: the applications that ask a tenant for tokens. Their options are in client_settings.py."""

from typing import Any

import click

from gateway.cli.client_settings import (
    fields_of,
    given,
    settable,
    unset_option,
    with_changes,
)
from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from tenants.acts import clients as acts
from tenants.clients import Client

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


@click.group()
def client() -> None:
    """Create, configure, list, show, disable, enable and delete clients, and roll their secrets."""


@command(client)
@_tenant
@click.argument("client_id")
@click.option("--confidential", is_flag=True, help="It can keep a secret; one is made and shown once.")
@settable
@click.option("--default", "is_default", is_flag=True, help="Stands in where a password form names no client.")
async def create(
    call: Invocation, slug: str, client_id: str, confidential: bool, is_default: bool, **options: Any
) -> None:
    """Create the client CLIENT_ID.

    It is public unless --confidential or an --auth-method other than none says that it can prove itself.
    """
    changes = {"confidential": confidential, "name": client_id, **given(**options)}
    if confidential and not changes["confidential"]:
        raise click.UsageError("--confidential and --auth-method none cannot both be meant")
    async with call.tenant(slug) as (tenant, store):
        blank = Client(client_id, client_id, False, frozenset(), frozenset(), (tenant.issuer,))
        made = with_changes(blank, changes)
        secret = await acts.create(store, by(), made, is_default=is_default)
    call.output.say(f"created client {client_id} in {slug}{_shown(secret)}", **fields_of(made), secret=secret)


@command(client)
@_tenant
@click.argument("client_id")
@settable
@unset_option
async def configure(call: Invocation, slug: str, client_id: str, **options: Any) -> None:
    """Change what is named of CLIENT_ID, leave the rest, and print what is set now.

    An option that may be repeated replaces the whole list. A client that is to prove itself by a secret from now on is
    given one; one that is to do so no longer loses those that it has.
    """
    changes = given(**options)
    if not changes:
        raise click.UsageError("name at least one thing to change; `yett client show` prints what is set")
    async with call.tenant(slug) as (_, store):
        before = _there(await store.clients.held(client_id), slug, client_id)
        after = with_changes(before, changes)
        secret = await acts.change(store, by(), before, after)
    if secret is not None:
        click.echo(_shown(secret).lstrip(), err=True)
    call.output.item({**fields_of(after), **({} if secret is None else {"secret": secret})})


@command(client, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's clients."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [fields_of(found) for found in await store.clients.list()]
    call.output.table(rows, ["client_id", "auth_method", "active", "first_party", "grant_types", "scopes"])


@command(client)
@_tenant
@click.argument("client_id")
async def show(call: Invocation, slug: str, client_id: str) -> None:
    """Show the client CLIENT_ID. Its secrets cannot be shown: only their hashes are stored."""
    async with call.tenant(slug, read_only=True) as (_, store):
        call.output.item(fields_of(_there(await store.clients.get(client_id), slug, client_id)))


@command(client)
@_tenant
@click.argument("client_id")
async def delete(call: Invocation, slug: str, client_id: str) -> None:
    """Delete CLIENT_ID with all that it was granted: its tokens are refused everywhere within a second, for good."""
    async with call.tenant(slug) as (_, store):
        await acts.delete(store, by(), client_id)
    call.output.say(f"deleted client {client_id} of {slug}", client_id=client_id)


@command(client)
@_tenant
@click.argument("client_id")
@click.option("--end-others", is_flag=True, help="End the secrets from before at once, because one leaked.")
async def rotate(call: Invocation, slug: str, client_id: str, end_others: bool) -> None:
    """Give CLIENT_ID a further secret, so that it can be rolled: those from before go on to work."""
    async with call.tenant(slug) as (_, store):
        secret, ended = await acts.rotate(store, by(), client_id, end_others=end_others)
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
        await acts.set_active(store, by(), client_id, active)
    call.output.say(
        f"{'enabled' if active else 'disabled'} client {client_id} in {slug}", client_id=client_id, active=active
    )


def _there(found: Client | None, slug: str, client_id: str) -> Client:
    if found is None:
        raise Refused(f"there is no client {client_id!r} in {slug}")
    return found


def _shown(secret: str | None) -> str:
    return "" if secret is None else f"\nsecret (shown this once): {secret}"
