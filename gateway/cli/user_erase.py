"""``yett user erase``: a person's data goes, and the audit log stays provable.

What it does is gateway/erasing.py's. A command that was broken off is gone on with by whoever serves, some minutes
later; or it is simply given once more.
"""

from uuid import UUID

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from gateway.cli.people import tell, tenant_option
from gateway.erasing import Erasing, keys_of
from gateway.installation import Installation
from tenants.audit_event import Event
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User


@command(None)
@tenant_option
@click.argument("name")
@click.confirmation_option(prompt="Nothing of this person can be brought back. Erase?", help="Do not ask.")
async def erase(call: Invocation, slug: str, name: str) -> None:
    """Erase the person NAME for good: the account with all that hangs on it, and what the audit log says of them.

    The log stays whole: an export says how many of its events are erased, and proves the others. NAME may be the user's
    id; with the id of somebody who is gone already, what came into the log since then is erased. Somebody who was only
    invited is erased by the address or name of the invitation. A command that was broken off goes on when it is given
    again, or by itself some ten minutes later where a server runs; until then the user cannot be enabled. Notices of
    logouts that wait end by themselves within two days; backups are as they were made.
    """
    async with call.installation() as installation:
        tenant = await installation.directory.find(slug)
        if tenant is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        user_id, keys = await _shut_out(installation, tenant, name)
        erasing = Erasing(installation.database, installation.store, installation.audit_log, installation.clock)
        finished = await erasing.finish(tenant.id, user_id, keys, actor=actor())
        if finished is None:
            raise Refused(f"there is no user {name!r} in {slug}, and no invitation")
        deleted, erased = finished
    if user_id is None:
        said = f"erased the invitation of {name} to {slug}"
    else:
        said = f"erased user {user_id} of {slug}" if deleted else f"user {user_id} of {slug} was erased before"
    call.output.say(f"{said}, and {erased} events of theirs", id=user_id, deleted=deleted, events=erased)


async def _shut_out(installation: Installation, tenant: Tenant, name: str) -> tuple[UUID | None, set[str]]:
    """End everything of theirs first, so that nothing new is written: their id, where they have an account or had one,
    and the keys of their names.
    """
    async with installation.store.for_tenant(tenant.id) as store:
        user_id = _as_id(name)
        found = None if user_id is None else await store.users.get(user_id)
        if found is None and user_id is not None and await store.activity.any_of(user_id):
            return user_id, set()
        found = found or await store.users.by_login(name) or await store.users.by_name(name)
        if found is not None and found.active:
            await store.users.set_active(found.id, False)
            await tell(store, "user.disabled", found)
        if found is not None:
            await store.users.begin_erasure(found.id)
        keys = keys_of((name,) if found is None else (found.name, found.email))
        await _uninvite(store, name, found, keys)
    return None if found is None else found.id, keys


async def _uninvite(store: TenantStore, name: str, found: User | None, keys: set[str]) -> None:
    ended = await store.mail_links.remove_for(keys)
    letters = await store.mail_outbox.remove_about(keys if found is None else keys | {str(found.id)})
    if ended or letters:
        await store.audit.add(
            Event(
                type="user.uninvited",
                outcome="success",
                user_name=name if found is None else found.name,
                actor=actor(),
                details={"links_ended": ended},
            )
        )


def _as_id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
