"""``yett user``: the people of a tenant."""

import sys
from collections.abc import Iterable

import click

from gateway.authn.new_password import HashedPassword, NewPasswords, RefusedPassword
from gateway.breach import Breaches
from gateway.cli.errors import Refused
from gateway.cli.group import require_groups
from gateway.cli.options import Invocation, by, command
from gateway.cli.people import find, tell, tenant_option
from gateway.cli.user_import import import_users
from gateway.installation import hashing_pool
from tenants import common_passwords
from tenants.acts import users as acts
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User

_from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
_must_change = click.option("--must-change", is_flag=True, help="It is good for one login, which asks for another one.")


@click.group()
def user() -> None:
    """Create, list, show, disable and enable users; passwords, addresses and roles."""


async def _fields(store: TenantStore, found: User) -> dict[str, object]:
    return {
        "name": found.name,
        "id": found.id,
        "email": found.email,
        "email_verified": found.email_verified,
        "active": found.active,
        "roles": await store.roles.of_user(found.id),
        "groups": await store.groups.of_user(found.id),
        "scopes": await store.roles.scopes_of(found.id),
        "created_at": found.created_at,
    }


@command(user)
@tenant_option
@click.argument("name")
@click.option("--email", help="Their email address, not yet verified. A NAME with an @ is its own.")
@click.option("--role", "roles", multiple=True, help="A role that the user gets; may be repeated.")
@click.option("--group", "groups", multiple=True, help="A group that the user is put into; may be repeated.")
@_must_change
@_from_stdin
async def create(
    call: Invocation,
    slug: str,
    name: str,
    email: str | None,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
    must_change: bool,
    password_stdin: bool,
) -> None:
    """Create the user NAME with a password that is asked for."""
    async with call.tenant(slug, read_only=True) as (tenant, store):  # before anything is asked
        await require_groups(store, slug, groups)
        carried = await store.groups.roles_of(groups)
    held = {*roles, *(role for names in carried.values() for role in names)}
    text = _read_password(from_stdin=password_stdin)
    made_password = await _make_password(
        call, text, tenant, name=name, email=email, second_factor=_requires_factor(tenant, held)
    )
    async with call.tenant(slug) as (_, store):
        made = await acts.create(store, by(), name, email=email, roles=roles, groups=groups)
        stored = acts.StoredPassword(made_password.hash, made_password.stands_alone, must_change)
        await acts.set_first_password(store, made, stored)
        fields = await _fields(store, made)
    call.output.say(f"created user {name} in {slug}, id {made.id}", **fields)


@command(user, "list")
@tenant_option
async def list_(call: Invocation, slug: str) -> None:
    """List the tenant's users."""
    rows: list[dict[str, object]] = []
    async with call.tenant(slug, read_only=True) as (_, store):
        after = ""
        while page := await store.users.list(after=after):
            rows += [await _fields(store, found) for found in page]
            after = page[-1].key
    call.output.table(rows, ["name", "id", "active", "roles"])


@command(user)
@tenant_option
@click.argument("name")
async def show(call: Invocation, slug: str, name: str) -> None:
    """Show the user NAME."""
    async with call.tenant(slug, read_only=True) as (_, store):
        call.output.item(await _fields(store, await find(store, slug, name)))


@command(user, "set-password")
@tenant_option
@click.argument("name")
@_must_change
@_from_stdin
async def set_password(call: Invocation, slug: str, name: str, must_change: bool, password_stdin: bool) -> None:
    """Give the user NAME another password, and end all of their sessions."""
    async with call.tenant(slug, read_only=True) as (tenant, store):
        found = await find(store, slug, name)  # before anything is asked
        second_factor = await store.factors.has_any(found.id)
        second_factor = second_factor or _requires_factor(tenant, await store.roles.held_by(found.id))
    text = _read_password(from_stdin=password_stdin)
    made = await _make_password(call, text, tenant, name=found.name, email=found.email, second_factor=second_factor)
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, found.name)
        await store.credentials.set_password(
            found.id, made.hash, stands_alone=made.stands_alone, must_change=must_change
        )
        await store.mail_links.end_all(found.id, "reset", "verify")
        await store.logins.end_all(found.id)
        ended = await store.sessions.end_all(found.id)
        await tell(store, "user.password_set", found, sessions_ended=ended)
    call.output.say(
        f"set the password of {found.name} in {slug}, {ended} sessions ended", name=found.name, sessions_ended=ended
    )


@command(user, "set-email")
@tenant_option
@click.argument("name")
@click.argument("address")
@click.option("--verified", is_flag=True, help="The address is known to be theirs.")
async def set_email(call: Invocation, slug: str, name: str, address: str, verified: bool) -> None:
    """Give the user NAME another email ADDRESS. Who is named by their address gets another name with it."""
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        changed = await acts.set_email(store, by(), found, address, verified=verified)
        fields = await _fields(store, changed)
    call.output.say(f"{changed.name} in {slug} has the address {address}", **fields)


@command(user)
@tenant_option
@click.argument("name")
@click.argument("role")
async def assign(call: Invocation, slug: str, name: str, role: str) -> None:
    """Give the user NAME the ROLE. Its scopes are there from the next login or refresh on."""
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        await acts.assign(store, by(), found, role)
    call.output.say(f"{found.name} in {slug} has role {role}", name=found.name, role=role)


@command(user)
@tenant_option
@click.argument("name")
@click.argument("role")
async def withdraw(call: Invocation, slug: str, name: str, role: str) -> None:
    """Take the ROLE from the user NAME. Tokens that were issued before keep its scopes until they expire."""
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        await acts.withdraw(store, by(), found, role)
    call.output.say(f"{found.name} in {slug} has no role {role}", name=found.name, role=role)


@command(user)
@tenant_option
@click.argument("name")
async def disable(call: Invocation, slug: str, name: str) -> None:
    """Disable the user NAME: logins and tokens are refused everywhere within a second."""
    await _set_active(call, slug, name, active=False)


@command(user)
@tenant_option
@click.argument("name")
async def enable(call: Invocation, slug: str, name: str) -> None:
    """Enable the user NAME again. Tokens from before stay refused."""
    await _set_active(call, slug, name, active=True)


async def _set_active(call: Invocation, slug: str, name: str, *, active: bool) -> None:
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        await acts.set_active(store, by(), found, active)
    call.output.say(
        f"{'enabled' if active else 'disabled'} user {found.name} in {slug}", name=found.name, active=active
    )


def _read_password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().removesuffix("\n")
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text


async def _make_password(
    call: Invocation, text: str, tenant: Tenant, *, name: str, email: str | None, second_factor: bool
) -> HashedPassword:
    """The hash of a password that this user may have.

    Raises:
        Refused: with what to do instead.
    """
    settings = call.settings()
    async with hashing_pool(settings, helpers=1) as hashing:
        passwords = NewPasswords(hashing, Breaches.of(settings), common_passwords.load())
        made = await passwords.make(text, tenant=tenant, user_name=name, email=email, second_factor=second_factor)
    if isinstance(made, RefusedPassword):
        raise Refused(made.text)
    return made


def _requires_factor(tenant: Tenant, roles: Iterable[str]) -> bool:
    """Whether their login needs a second factor, so that a shorter password will do."""
    return tenant.people.otp == "required" or not set(roles).isdisjoint(tenant.people.otp_roles)


user.add_command(import_users)
