"""``yett user``: invitations, and what an operator does for somebody who cannot get in, or should not be in."""

import click

from gateway.cli.errors import Refused
from gateway.cli.options import Invocation, actor, command
from gateway.cli.people import administering, find, tell, tenant_option
from gateway.installation import utc_now
from tenants import throttles
from tenants.audit_event import Details, Event
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.throttles import Counter
from tenants.user_names import address_key, is_address_key, name_key
from tenants.users import User


@command(None)
@tenant_option
@click.argument("email", required=False)
@click.option("--name", help="The name of the account. Default: the address.")
@click.option("--role", "roles", multiple=True, help="A role that the account gets; may be repeated.")
@click.option(
    "--print-link",
    is_flag=True,
    help="Print the link, to be handed over by other means, and send no letter. EMAIL may be left out then.",
)
async def invite(
    call: Invocation, slug: str, email: str | None, name: str | None, roles: tuple[str, ...], print_link: bool
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
        await _require_free(store, slug, name, email)
        scopes: set[str] = set()
        for role in roles:
            given = await store.roles.get(role)
            if given is None:
                raise Refused(f"there is no role {role!r} in {slug}")
            scopes |= given.scopes
        data = {"name": name or "", "roles": " ".join(roles)}
        lifetime = tenant.lifetimes.invitation
        secret = None
        if print_link:
            printed = {**data, "printed": True}
            if email is not None:
                await store.mail_links.end_for(email, "invite")
            secret = await store.mail_links.make("invite", lifetime=lifetime, email=email, data=printed)
        else:
            await store.mail_outbox.add("invite", {"email": email or "", "invited_by": "", **data})
        way: Details = {"way": "letter" if secret is None else "link", "roles": list(roles), **administering(scopes)}
        await store.audit.add(
            Event(type="user.invited", outcome="success", user_name=called, actor=actor(), details=way)
        )
    facts = {"name": called, "email": email, "roles": roles}
    if secret is None:
        call.output.say(f"invited {called} to {slug}; the letter is on its way", **facts, link=None)
        return
    link, until = f"{tenant.issuer}/invite?token={secret}", utc_now() + lifetime
    said = f"{called} is invited to {slug} by this link, which works once, until {until.isoformat(timespec='minutes')}:"
    call.output.say(f"{said}\n{link}", **facts, link=link, expires_at=until)


@command(None)
@tenant_option
@click.argument("email")
async def uninvite(call: Invocation, slug: str, email: str) -> None:
    """Withdraw the invitations that went to EMAIL: their links work no more.

    A letter that waits to be sent still makes its link: if mail is down, say this once more when it is back.
    """
    async with call.tenant(slug) as (_, store):
        ended = await store.mail_links.end_for(email, "invite")
        told: Details = {"links_ended": ended}
        await store.audit.add(
            Event(type="user.uninvited", outcome="success", user_name=email, actor=actor(), details=told)
        )
    said = f"withdrew the invitation of {email} to {slug}" if ended else f"nobody is invited to {slug} at {email}"
    call.output.say(f"{said}; {ended} links ended", email=email, links_ended=ended)


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
        factors = await store.factors.remove_all(found.id)
        await store.recovery_codes.remove_all(found.id)
        await store.logins.end_all(found.id)
        await store.mail_links.end_all(found.id, "reset", "verify")
        devices = await store.devices.revoke_all(found.id)
        ended = await store.sessions.end_all(found.id)
        if factors:
            await store.mail_outbox.add("factor_removed", {"user_id": str(found.id)})
        await tell(store, "user.factors_reset", found, factors=factors, devices=devices, sessions_ended=ended)
    call.output.say(
        f"{found.name} in {slug} has no second factor any more: {factors} authenticators removed, {devices} devices "
        f"forgotten, {ended} sessions ended",
        name=found.name,
        factors=factors,
        devices=devices,
        sessions_ended=ended,
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
        ended = await store.sessions.end_all(found.id)
        await store.logins.end_all(found.id)
        await store.mail_links.end_all(found.id, "reset", "verify")  # what somebody in one of them may have asked for
        await tell(store, "user.sessions_ended", found, sessions_ended=ended)
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
            counters = await _counters(store, found)
            await tell(store, "user.unlocked", found)
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
        # Strangers may have used up what is sent to this address; an operator's letter does not wait for that.
        await store.throttles.clear(throttles.letter(found.email))
        await store.mail_outbox.add("reset", {"identifier": found.email})
        await tell(store, "user.reset_sent", found)
    call.output.say(
        f"a letter with a link is on its way to {found.name} in {slug}, {found.email}",
        name=found.name,
        email=found.email,
    )


async def _counters(store: TenantStore, found: User) -> list[Counter]:
    """All that slow this account down, at its known devices and networks, too."""
    sources = {f"device:{device.id}" for device in await store.devices.of_user(found.id)}
    sources |= {f"network:{network}" for network in await store.devices.networks_of(found.id)}
    return [
        *(throttles.account(text) for text in {found.name, found.email} if text is not None),
        *(throttles.known(found.id, source) for source in sources),
        *(throttles.factor(found.id, source) for source in ("", *sources)),
    ]


async def _require_free(store: TenantStore, slug: str, name: str | None, email: str | None) -> None:
    """Whoever follows the link is to get this name and this address; that they cannot should be known before."""
    key = None if name is None else name_key(name)
    email_key = None if email is None else address_key(email)
    if key is not None and is_address_key(key) and email_key not in (None, key):
        raise Refused("a user whose name is an address has no other address")
    for text in (name, email):
        taken = text is not None and (await store.users.by_name(text) or await store.users.by_email(text))
        if taken:
            raise Refused(f"there is a user {text!r} in {slug} already")


def _require_mail(call: Invocation, what: str, instead: str) -> None:
    if not call.settings().mail.configured:
        raise Refused(f"no mail is configured, so {what} cannot be sent: set `mail`, or {instead}")


def _require_active(tenant: Tenant) -> None:
    if not tenant.active:
        raise Refused(f"{tenant.slug} is suspended, and its pages are closed; `yett tenant enable` resumes it")
