"""``yett migrate``: the database's schema, and PostgreSQL's roles."""

import click

from gateway.cli.errors import Refused, SaidNo
from gateway.cli.options import Invocation, command
from gateway.settings import Settings
from tenants import migrate as schema
from tenants.database import Database


@command(None)
@click.option("--create-roles", is_flag=True, help="First make PostgreSQL's three roles, as database_admin_url.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 and say which migrations are missing, if any are.")
async def migrate(call: Invocation, create_roles: bool, check: bool) -> None:
    """Bring the database to this version's schema."""
    settings = call.settings()
    if check:
        if create_roles:
            raise click.UsageError("--check changes nothing, so it goes without --create-roles")
        await _check(call, settings)
        return
    roles = await _create_roles(settings) if create_roles else []
    before, after = await schema.upgrade(_owner_url(settings))
    changed = "is current" if before == after else f"went from {before or 'nothing'} to {after}"
    call.output.say("\n".join([*roles, f"schema {changed}"]), roles=roles, before=before, after=after)


async def _check(call: Invocation, settings: Settings) -> None:
    """Needs what serving needs, and not the owner's URL."""
    found = await _standing(settings)
    if found.missing:
        text = "\n".join([f"schema {found.current or 'nothing'}; missing:", *found.missing])
        call.output.say(text, schema=found.current, missing=list(found.missing))
        raise SaidNo
    found.require()
    newer = (
        "" if found.oldest_code is None else f", which is newer than this version's {schema.newest()} and carries it"
    )
    call.output.say(f"schema {found.current}{newer}", schema=found.current, missing=[])


async def _standing(settings: Settings) -> schema.Standing:
    if not settings.on_postgresql and not schema.is_there(settings.database_url.get_secret_value()):
        return schema.nothing_yet()
    system_url = settings.database_system_url
    url = settings.database_url.get_secret_value()
    database = Database.open(url, None if system_url is None else system_url.get_secret_value(), pool_size=1)
    try:
        return await schema.standing(database)
    finally:
        await database.close()


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
