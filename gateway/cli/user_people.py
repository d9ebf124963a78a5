"""``yett user``: invitations, and what an operator does for somebody who cannot get in, or should not be in."""

import click

from gateway.cli.errors import Refused
from gateway.cli.group import require_groups
from gateway.cli.options import Invocation, by, command
from gateway.cli.people import find, tenant_option
from gateway.installation import utc_now
from tenants.acts import invitations
from tenants.acts import users as acts
from tenants.acts.invitations import Given
from tenants.tenant import Tenant


@command(None)
@tenant_option
@click.argument("email", required=False)
@click.option("--name", help="The name of the account. Default: the address.")
@click.option("--role", "roles", multiple=True, help="A role that the account gets; may be repeated.")
@click.option("--group", "groups", multiple=True, help="A group that the account is put into; may be repeated.")
@click.option(
    "--print-link",
    is_flag=True,
    help="Print the link, to be handed over by other means, and send no letter. EMAIL may be left out then.",
)
async def invite(
    call: Invocation,
    slug: str,
    email: str | None,
    name: str | None,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
    print_link: bool,
) -> None:
    """Invite somebody by a letter to EMAIL. Its link leads to where they choose a password, and works once.

    It takes the place of an invitation that went there before.
    """
    if email is None and not print_link:
        raise click.UsageError("name the EMAIL that the invitation goes to, or --print-link")
    if email is None and name is None:
        raise click.UsageError("without an EMAIL the account needs a --name")
    if not print_link:
        _require_mail(call, "the invitation", "use --print-link")
    called = name or email or ""
    async with call.tenant(slug) as (tenant, store):
        _require_active(tenant)
        await invitations.require_free(store, name=name, email=email)
        for role in roles:
            if await store.roles.get(role) is None:
                raise Refused(f"there is no role {role!r} in {slug}")
        await require_groups(store, slug, groups)
        lifetime, given = tenant.lifetimes.invitation, Given(roles, groups)
        secret = None
        if print_link:
            secret = await invitations.by_link(store, by(), email=email, name=name, given=given, lifetime=lifetime)
        else:
            await invitations.by_letter(store, by(), email=email or "", name=name, given=given)
    facts = {"name": called, "email": email, "roles": roles, "groups": groups}
    if secret is None:
        call.output.say(f"invited {called} to {slug}; the letter is on its way", **facts, link=None)
        return
    link, until = f"{tenant.issuer}/invite?token={secret}", utc_now() + lifetime
    said = f"{called} is invited to {slug} by this link, which works once, until {until.isoformat(timespec='minutes')}:"
    call.output.say(f"{said}\n{link}", **facts, link=link, expires_at=until)


@command(None)
@tenant_option
@click.argument("email", required=False)
@click.option("--name", help="The name that the invitation was made out to, where it went to no address.")
async def uninvite(call: Invocation, slug: str, email: str | None, name: str | None) -> None:
    """Withdraw the invitations that went to EMAIL, or that were made out to a name: their links work no more.

    A letter that waits to be sent still makes its link: if mail is down, say this once more when it is back.
    """
    if (email is None) == (name is None):
        raise click.UsageError("name the EMAIL that the invitation went to, or the --name that it was made out to")
    async with call.tenant(slug) as (_, store):
        ended = await invitations.withdraw(store, by(), email=email, name=name)
    whose = f"at {email}" if name is None else f"by the name {name}"
    said = f"withdrew the invitation of {email or name} to {slug}" if ended else f"nobody is invited to {slug} {whose}"
    call.output.say(f"{said}; {ended} links ended", email=email, name=name, links_ended=ended)


@command(None, "reset-factors")
@tenant_option
@click.argument("name")
async def reset_factors(call: Invocation, slug: str, name: str) -> None:
    """Take the authenticators and recovery codes from the user NAME, who has lost them.

    Their sessions end and their devices are forgotten; the next login is by password alone, and enrols anew where a
    second factor is required. Make sure who is asking: this is how an attacker would get past it.
    """
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        gone = await acts.reset_factors(store, by(), found)
    call.output.say(
        f"{found.name} in {slug} has no second factor any more: {gone.factors} authenticators removed, {gone.devices} "
        f"devices forgotten, {gone.sessions_ended} sessions ended",
        name=found.name,
        factors=gone.factors,
        devices=gone.devices,
        sessions_ended=gone.sessions_ended,
    )


@command(None)
@tenant_option
@click.argument("name")
async def sessions(call: Invocation, slug: str, name: str) -> None:
    """List the sessions of the user NAME, the newest login first."""
    async with call.tenant(slug, read_only=True) as (_, store):
        found = await find(store, slug, name)
        rows = [
            {
                "id": session.id,
                "began": session.created_at,
                "authenticated": session.auth_time,
                "seen": session.seen_at,
                "expires": session.expires_at,
                "acr": session.acr,
                "amr": session.amr,
                "client_id": session.client_id,
                "address": session.visitor.address,
                "user_agent": session.visitor.user_agent,
            }
            for session in await store.sessions.of_user(found.id)
        ]
    call.output.table(rows, ["id", "authenticated", "seen", "amr", "client_id", "address", "user_agent"])


@command(None, "end-sessions")
@tenant_option
@click.argument("name")
async def end_sessions(call: Invocation, slug: str, name: str) -> None:
    """End every session of the user NAME, and refuse their tokens everywhere within a second. They may log in again."""
    async with call.tenant(slug) as (_, store):
        found = await find(store, slug, name)
        ended = await acts.end_sessions(store, by(), found)
    call.output.say(f"ended {ended} sessions of {found.name} in {slug}", name=found.name, sessions_ended=ended)


@command(None)
@tenant_option
@click.argument("name")
async def unlock(call: Invocation, slug: str, name: str) -> None:
    """Forget the failed logins and codes of the user NAME, so that they need not wait.

    A network that has failed too often, with whatever names, goes on waiting.
    """
    async with call.installation() as installation:
        tenant = await installation.directory.find(slug)
        if tenant is None:
            raise Refused(f"there is no tenant {slug!r}; `yett tenant list` shows those that there are")
        async with installation.store.for_tenant(tenant.id) as store:
            found = await find(store, slug, name)
            counters = await acts.unlock(store, by(), found)
        for counter in counters:  # each in a transaction of its own, as tenants.throttles wants it
            async with installation.store.for_tenant(tenant.id) as store:
                await store.throttles.clear(counter)
    call.output.say(f"unlocked {found.name} in {slug}", name=found.name)


@command(None, "send-reset")
@tenant_option
@click.argument("name")
async def send_reset(call: Invocation, slug: str, name: str) -> None:
    """Send the user NAME a letter with a link to a new password. The old one is good until it is used."""
    _require_mail(call, "the letter", "use `yett user set-password`")
    async with call.tenant(slug) as (tenant, store):
        _require_active(tenant)
        found = await find(store, slug, name)
        if not found.active:
            raise Refused(f"{found.name} in {slug} is disabled; `yett user enable` lets them log in again")
        if found.email is None:
            raise Refused(f"{found.name} in {slug} has no email address; use `yett user set-password`")
        await acts.send_reset(store, by(), found)
    call.output.say(
        f"a letter with a link is on its way to {found.name} in {slug}, {found.email}",
        name=found.name,
        email=found.email,
    )


def _require_mail(call: Invocation, what: str, instead: str) -> None:
    if not call.settings().mail.configured:
        raise Refused(f"no mail is configured, so {what} cannot be sent: set `mail`, or {instead}")


def _require_active(tenant: Tenant) -> None:
    if not tenant.active:
        raise Refused(f"{tenant.slug} is suspended, and its pages are closed; `yett tenant enable` resumes it")
