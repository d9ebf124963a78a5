"""What the commands of ``yett user`` share: whose tenant, which user, and what the log is told."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import by
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


async def tell(store: TenantStore, type_: str, found: User, **details: str | int | bool | list[str]) -> None:
    """Put into the log what was done to a user, and who did it."""
    await by().tell_of(store, type_, found, **details)
