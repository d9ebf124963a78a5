"""``yett user erase``: a person's data goes, and the audit log stays provable.

Each step can be taken again, so a command that was broken off is simply given once more.
"""

from uuid import UUID

import click

from gateway.cli.audit import sequence
from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from gateway.cli.people import find, tenant_option
from gateway.installation import Installation
from tenants.audit_erasure import ERASED, AuditErasure
from tenants.audit_event import Event
from tenants.tenant import Tenant
from tenants.user_names import look_up_key


@command(None)
@tenant_option
@click.argument("name")
@click.confirmation_option(prompt="Nothing of this person can be brought back. Erase?", help="Do not ask.")
async def erase(call: Invocation, slug: str, name: str) -> None:
    """Erase the person NAME for good: the account with all that hangs on it, and what the audit log says of them.

    The log stays whole: an export says how many of its events are erased, and proves the others. NAME may be the user's
    id; with the id of somebody who is gone already, what came into the log since then is erased. What waits in queues
    (letters, logout notices) ends by itself within two days; backups are as they were made.
    """
    async with call.installation() as installation:
        tenant = await installation.directory.find(slug)
        if tenant is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        user_id, keys = await _shut_out(installation, tenant, name)
        await sequence(installation)
        erasure = AuditErasure(installation.database, installation.clock)
        erased = await erasure.erase_subject(tenant.id, str(user_id), keys)
        async with installation.store.for_tenant(tenant.id) as store:
            deleted = await store.users.get(user_id) is not None
            if deleted:
                await store.users.delete(user_id)
            await store.audit.add(
                Event(type=ERASED, outcome="success", subject=str(user_id), actor=actor(), count=erased)
            )
    said = f"erased user {user_id} of {slug}" if deleted else f"user {user_id} of {slug} was erased before"
    call.output.say(f"{said}, and {erased} events of theirs", id=user_id, deleted=deleted, events=erased)


async def _shut_out(installation: Installation, tenant: Tenant, name: str) -> tuple[UUID, set[str]]:
    """End everything of theirs first, so that nothing new is written: their id, and the keys of their names.

    Raises:
        Refused: nobody has this name.
    """
    async with installation.store.for_tenant(tenant.id) as store:
        user_id = _as_id(name)
        found = None if user_id is None else await store.users.get(user_id)
        if found is None and user_id is not None and await store.activity.any_of(user_id):
            return user_id, set()
        found = found or await find(store, tenant.slug, name)
        await store.users.set_active(found.id, False)
    names = (name for name in (found.name, found.email) if name is not None)
    return found.id, {key for key in map(look_up_key, names) if key is not None}


def _as_id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
