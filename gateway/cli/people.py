"""What the commands of ``yett user`` share: whose tenant, which user, and what the log is told."""

from collections.abc import Iterable

import click

from gateway.cli.errors import Refused
from gateway.cli.options import actor
from policies.severity import administrative
from tenants.audit_event import Details, Event
from tenants.store import TenantStore
from tenants.users import User

tenant_option = click.option("--tenant", "slug", required=True, help="The tenant's slug.")


async def find(store: TenantStore, slug: str, identifier: str) -> User:
    """The user of this name or address, as at the login.

    A name with an at sign is looked up as one, too: it may be older than the rule that it is an address.

    Raises:
        Refused: nobody has it.
    """
    found = await store.users.by_login(identifier) or await store.users.by_name(identifier)
    if found is None:
        raise Refused(f"there is no user {identifier!r} in {slug}")
    return found


def administering(scopes: Iterable[str]) -> Details:
    """What the log is told beside the rest where somebody gets to administer by it: that, and else nothing."""
    return {"administrative": True} if administrative(scopes) else {}


async def tell(store: TenantStore, type_: str, found: User, **details: str | int | bool | list[str]) -> None:
    """Put into the log what was done to a user, and who did it."""
    told: Details = dict(details)
    await store.audit.add(
        Event(type=type_, outcome="success", subject=str(found.id), user_name=found.name, actor=actor(), details=told)
    )
