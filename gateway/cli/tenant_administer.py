"""``yett tenant administer``: let a tenant be administered through the admin API, by people of its own."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, by, command
from gateway.installation import administrable
from policies.administration import OPERATOR_ROLES, TENANT_ROLES
from tenants.acts.administration import CLI_CLIENT
from tenants.directory import PLATFORM


@command(None)
@click.argument("slug")
async def administer(call: Invocation, slug: str) -> None:
    """Make what the admin API of the tenant SLUG needs, where it is missing: built-in roles, and the client yett-cli.

    Of `platform` these are the roles of operators, which a server makes by itself when it starts. Who is to administer
    is given a role: `yett user assign`, `yett user invite --role`.
    """
    async with call.installation() as installation:
        found = await (installation.platform() if slug == PLATFORM else installation.directory.find(slug))
        if found is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        made = await administrable(installation, found, by())
    roles = sorted(OPERATOR_ROLES if slug == PLATFORM else TENANT_ROLES)
    said = f"made {', '.join(made)} in {slug}" if made else f"nothing was missing in {slug}"
    call.output.say(f"{said}; roles: {', '.join(roles)}; client: {CLI_CLIENT}", slug=slug, made=made, roles=roles)
