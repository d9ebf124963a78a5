"""``yett user``: the second factors that somebody has, and the end of one of their sessions."""

from uuid import UUID

import click

from gateway.cli.options import Invocation, by, command
from gateway.cli.people import find, tenant_option
from tenants.acts import users as acts


@command(None)
@tenant_option
@click.argument("name")
async def factors(call: Invocation, slug: str, name: str) -> None:
    """List the second factors of the user NAME, and how many recovery codes are left; never a secret of them."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = await find(store, slug, name)
        rows: list[dict[str, object]] = [
            {"kind": "totp", "id": one.id, "name": one.name, "created": one.created_at, "last_used": one.last_used_at}
            for one in await store.factors.of_user(found.id)
        ]
        left = await store.recovery_codes.left(found.id)
    if left:
        rows.append({"kind": "recovery_codes", "left": left})
    call.output.table(rows, ["kind", "name", "created", "last_used", "left"])


@command(None, "end-session")
@tenant_option
@click.argument("name")
@click.argument("session_id", type=click.UUID)
async def end_session(call: Invocation, slug: str, name: str, session_id: UUID) -> None:
    """End the session SESSION_ID of the user NAME, and refuse its tokens everywhere within a second."""
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        await acts.end_session(store, by(), found, session_id)
    call.output.say(f"ended a session of {found.name} in {slug}", name=found.name, sessions_ended=1)
