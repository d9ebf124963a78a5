"""``yett migrate``: the database's schema, and PostgreSQL's roles."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, command
from gateway.settings import Settings
from tenants import migrate as schema


@command(None)
@click.option("--create-roles", is_flag=True, help="First make PostgreSQL's three roles, as database_admin_url.")
async def migrate(call: Invocation, create_roles: bool) -> None:
    """Bring the database to this version's schema."""
    settings = call.settings()
    roles = await _create_roles(settings) if create_roles else []
    before, after = await schema.upgrade(_owner_url(settings))
    changed = "is current" if before == after else f"went from {before or 'nothing'} to {after}"
    call.output.say("\n".join([*roles, f"schema {changed}"]), roles=roles, before=before, after=after)


def _owner_url(settings: Settings) -> str:
    if not settings.on_postgresql:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return settings.database_url.get_secret_value()
    if settings.database_owner_url is None:
        raise Refused("on PostgreSQL, migrations run as yett_owner: set database_owner_url")
    return settings.database_owner_url.get_secret_value()


async def _create_roles(settings: Settings) -> list[str]:
    if not settings.on_postgresql:
        raise Refused("SQLite has no roles")
    urls = {
        schema.OWNER_ROLE: settings.database_owner_url,
        schema.APP_ROLE: settings.database_url,
        schema.SYSTEM_ROLE: settings.database_system_url,
    }
    if settings.database_admin_url is None or any(url is None for url in urls.values()):
        raise Refused(
            "to make the roles, set database_admin_url (a superuser's) and the three roles' own URLs: "
            "database_url, database_system_url, database_owner_url"
        )
    known = {role: url.get_secret_value() for role, url in urls.items() if url is not None}
    try:
        return await schema.create_roles(settings.database_admin_url.get_secret_value(), known)
    except ValueError as error:
        raise Refused(str(error)) from error
