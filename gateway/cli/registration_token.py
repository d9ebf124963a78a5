"""``yett client registration-token``: initial access tokens, with which applications register themselves (RFC 7591)."""

from datetime import timedelta

import click

from gateway.cli.errors import Refused
from gateway.cli.option_values import one_duration
from gateway.cli.options import Invocation, actor, command
from tenants.audit_event import Event
from tenants.registration_tokens import LONGEST_LIFETIME, MOST_USES, RegistrationToken

_tenant = click.option("--tenant", "slug", required=True, help="The tenant's slug.")
_name = click.option("--name", required=True, help="For people: who it is given to.")


@click.group("registration-token")
def registration_token() -> None:
    """Create, list and delete the tokens with which applications may register themselves as clients."""


def _fields(found: RegistrationToken) -> dict[str, object]:
    return {
        "name": found.name,
        "uses_left": found.uses_left,
        "created_at": found.created_at,
        "expires_at": found.expires_at,
    }


@command(registration_token)
@_tenant
@_name
@click.option(
    "--uses",
    type=click.IntRange(1, MOST_USES),
    default=1,
    show_default=True,
    help="How many clients may be registered with it.",
)
@click.option(
    "--lifetime",
    metavar="DURATION",
    default="7d",
    show_default=True,
    callback=one_duration,
    help=f"How long it may be used, at most {LONGEST_LIFETIME.days}d.",
)
async def create(call: Invocation, slug: str, name: str, uses: int, lifetime: timedelta) -> None:
    """Create an initial access token and show it this once. The tenant must allow registration for it to be of use."""
    async with call.tenant(slug) as (tenant, store):
        if any(known.name == name for known in await store.registration_tokens.list()):
            raise Refused(f"there is a registration token {name!r} in {slug} already")
        token = await store.registration_tokens.issue(name, uses=uses, lifetime=lifetime)
        await store.audit.add(
            Event(
                type="client.registration_token_created",
                outcome="success",
                actor=actor(),
                details={"name": name, "uses": uses},
            )
        )
    if not tenant.provider.registration:
        click.echo(
            f"yett: warning: {slug} does not allow registration; `yett tenant configure {slug} --registration` does.",
            err=True,
        )
    call.output.say(
        f"initial access token (shown this once): {token}", name=name, uses=uses, initial_access_token=token
    )


@command(registration_token, "list")
@_tenant
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's initial access tokens, without the tokens: only their hashes are stored."""
    async with call.tenant(slug, read_only=True) as (_, store):
        rows = [_fields(found) for found in await store.registration_tokens.list()]
    call.output.table(rows, ["name", "uses_left", "created_at", "expires_at"])


@command(registration_token)
@_tenant
@_name
async def delete(call: Invocation, slug: str, name: str) -> None:
    """Take an initial access token back. Clients that were registered with it stay."""
    async with call.tenant(slug) as (_, store):
        if not await store.registration_tokens.delete(name):
            raise Refused(f"there is no registration token {name!r} in {slug}")
        await store.audit.add(
            Event(type="client.registration_token_deleted", outcome="success", actor=actor(), details={"name": name})
        )
    call.output.say(f"deleted registration token {name} of {slug}", name=name)
