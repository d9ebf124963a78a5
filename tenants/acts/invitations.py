"""Inviting somebody who has no account yet: by a letter, or by a link that is handed over by other means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tenants.acts.by import By, administering
from tenants.audit_event import Details, Event
from tenants.errors import AlreadyExists, InvalidValue
from tenants.store import TenantStore
from tenants.user_names import address_key, is_address_key, name_key


@dataclass(frozen=True, slots=True)
class Given:
    """What an account gets that is made by an invitation: names of roles and of groups."""

    roles: Sequence[str] = ()
    groups: Sequence[str] = ()

    def stored(self) -> dict[str, str]:
        """As a link and a letter carry it."""
        return {"roles": " ".join(self.roles), "groups": " ".join(self.groups)}


async def require_free(store: TenantStore, *, name: str | None, email: str | None) -> None:
    """Whoever follows the link is to get this name and this address; that they cannot should be known before.

    Raises:
        AlreadyExists: somebody has one of them.
        InvalidValue: one of them cannot be one, or they contradict each other.
    """
    key = None if name is None else name_key(name)
    email_key = None if email is None else address_key(email)
    if key is not None and is_address_key(key) and email_key not in (None, key):
        raise InvalidValue("a user whose name is an address has no other address")
    for text in (name, email):
        if text is not None and (await store.users.by_name(text) or await store.users.by_email(text)):
            raise AlreadyExists("user", text)


async def by_letter(store: TenantStore, by: By, *, email: str, name: str | None, given: Given) -> None:
    """A letter whose link leads to where they choose a password. It takes the place of one that went there before."""
    data = {"name": name or "", **given.stored()}
    await store.mail_outbox.add("invite", {"email": email, "invited_by": "", **data})
    await _tell(store, by, name or email, way="letter", given=given)


async def by_link(
    store: TenantStore, by: By, *, email: str | None, name: str | None, given: Given, lifetime: timedelta
) -> str:
    """The link's secret, shown this once. It proves no mailbox."""
    data = {"name": name or "", **given.stored(), "printed": True}
    if email is not None:
        await store.mail_links.end_for(email, "invite")
    secret = await store.mail_links.make("invite", lifetime=lifetime, email=email, data=data)
    await _tell(store, by, name or email or "", way="link", given=given)
    return secret


async def withdraw(store: TenantStore, by: By, *, email: str | None = None, name: str | None = None) -> int:
    """End the invitations that went to this address, and those that were made out to this name, in any spelling; how
    many links that were.
    """
    ended = 0 if email is None else await store.mail_links.end_for(email, "invite")
    ended += 0 if name is None else await store.mail_links.end_named(name)
    await _told(store, by, "user.uninvited", email or name or "", {"links_ended": ended})
    return ended


async def _tell(store: TenantStore, by: By, called: str, *, way: str, given: Given) -> None:
    roles = [await store.roles.get(name) for name in given.roles]
    scopes = {scope for role in roles if role is not None for scope in role.scopes}
    for group in given.groups:
        scopes |= await store.groups.scopes_of(group)
    details: Details = {"way": way, "roles": list(given.roles), **administering(scopes)}
    if given.groups:
        details |= {"groups": list(given.groups)}
    await _told(store, by, "user.invited", called, details)


async def _told(store: TenantStore, by: By, type_: str, called: str, details: Details) -> None:
    """Of somebody who has no account, so there is a name and no subject."""
    await store.audit.add(
        Event(
            type=type_,
            outcome="success",
            user_name=called,
            actor=by.actor,
            request_id=by.request_id,
            address=by.address,
            details=details,
        )
    )
