"""What is done to a user: made, changed, shut out, helped back in, deleted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tenants import throttles
from tenants.acts.by import By, administering
from tenants.errors import InvalidValue, NotFound
from tenants.store import TenantStore
from tenants.throttles import Counter
from tenants.users import User


@dataclass(frozen=True, slots=True)
class FactorsReset:
    """How much of each is gone."""

    factors: int
    devices: int
    sessions_ended: int


@dataclass(frozen=True, slots=True)
class StoredPassword:
    """The hash of a password. ``stands_alone`` as ``Password`` has it; ``must_change``: the next login asks for another
    one.
    """

    hash: str = field(repr=False)
    stands_alone: bool
    must_change: bool = False


async def create(
    store: TenantStore,
    by: By,
    name: str,
    *,
    email: str | None,
    roles: Iterable[str],
    groups: Iterable[str] = (),
    email_verified: bool = False,
) -> User:
    """A new user, without a password.

    Raises:
        AlreadyExists, InvalidValue, NotFound: as ``Users.create``, ``Roles.assign`` and ``Groups.add``.
    """
    made = await store.users.create(name, email=email, email_verified=email_verified)
    given = list(dict.fromkeys(roles))
    for role in given:
        await store.roles.assign(made.id, role)
    joined = list(dict.fromkeys(groups))
    for group in joined:
        await store.groups.add(group, made.id)
    told = administering(await store.roles.scopes_of(made.id)) | ({"groups": joined} if joined else {})
    await by.tell_of(store, "user.created", made, roles=given, **told)
    return made


async def set_first_password(store: TenantStore, made: User, password: StoredPassword) -> None:
    """Of an account that was made in this transaction, whose event tells of it."""
    await store.credentials.set_password(
        made.id, password.hash, stands_alone=password.stands_alone, must_change=password.must_change
    )


async def set_password(
    store: TenantStore, by: By, found: User, password: StoredPassword, *, end_sessions: bool = True
) -> int:
    """Another password, by an administrator. What somebody began with the old one ends, and a letter tells of it; how
    many sessions ended.
    """
    await store.credentials.set_password(
        found.id, password.hash, stands_alone=password.stands_alone, must_change=password.must_change
    )
    await store.mail_links.end_all(found.id, "reset", "verify")
    await store.logins.end_all(found.id)
    ended = await store.sessions.end_all(found.id) if end_sessions else 0
    await store.mail_outbox.add("password_changed", {"user_id": str(found.id)})
    told = {"must_change": True} if password.must_change else {}
    await by.tell_of(store, "user.password_set", found, way="administrator", sessions_ended=ended, **told)
    return ended


async def set_email(store: TenantStore, by: By, found: User, address: str, *, verified: bool) -> User:
    """Another address. Links that went to the old one, and those that somebody asked for, end.

    Raises:
        AlreadyExists, InvalidValue, NotFound: as ``Users.set_email``.
    """
    await store.users.set_email(found.id, address, verified=verified)
    await store.mail_links.end_all(found.id, "reset", "verify")
    changed = await store.users.get(found.id)
    if changed is None:
        raise NotFound("user", str(found.id))
    await by.tell_of(store, "user.email_set", found, verified=verified, name=changed.name)
    return changed


async def set_active(store: TenantStore, by: By, found: User, active: bool) -> None:
    """Disable, or enable again."""
    await store.users.set_active(found.id, active)
    await by.tell_of(store, "user.enabled" if active else "user.disabled", found)


async def end_sessions(store: TenantStore, by: By, found: User) -> int:
    """End all of them, with what somebody in one of them may have begun; says how many."""
    ended = await store.sessions.end_all(found.id)
    await store.logins.end_all(found.id)
    await store.mail_links.end_all(found.id, "reset", "verify")
    await by.tell_of(store, "user.sessions_ended", found, sessions_ended=ended)
    return ended


async def end_session(store: TenantStore, by: By, found: User, session_id: UUID) -> None:
    """End one.

    Raises:
        NotFound: the user has no such session that lives.
    """
    session = await store.sessions.get(session_id)
    if session is None or session.user_id != found.id or not await store.sessions.end(session_id):
        raise NotFound("session", str(session_id))
    await by.tell_of(store, "user.sessions_ended", found, sessions_ended=1, session=str(session_id))


async def reset_factors(store: TenantStore, by: By, found: User) -> FactorsReset:
    """Take authenticators and recovery codes from who has lost them. Sessions end, devices are forgotten, and a letter
    tells of it.
    """
    factors = await store.factors.remove_all(found.id)
    await store.recovery_codes.remove_all(found.id)
    await store.logins.end_all(found.id)
    await store.mail_links.end_all(found.id, "reset", "verify")
    devices = await store.devices.revoke_all(found.id)
    ended = await store.sessions.end_all(found.id)
    if factors:
        await store.mail_outbox.add("factor_removed", {"user_id": str(found.id)})
    await by.tell_of(store, "user.factors_reset", found, factors=factors, devices=devices, sessions_ended=ended)
    return FactorsReset(factors, devices, ended)


async def send_reset(store: TenantStore, by: By, found: User) -> None:
    """A letter with a link to a new password, to the address that they have. Strangers may have used up what is sent
    there; an administrator's letter does not wait for that.
    """
    if found.email is None:
        raise InvalidValue(f"{found.name} has no email address")
    await store.throttles.clear(throttles.letter(found.email))
    await store.mail_outbox.add("reset", {"identifier": found.email})
    await by.tell_of(store, "user.reset_sent", found)


async def unlock(store: TenantStore, by: By, found: User) -> Sequence[Counter]:
    """All that slows this account down, at its known devices and networks, too: to be cleared when this is committed,
    each counter in a transaction of its own (``tenants.throttles``). A network that failed with whatever names stays.
    """
    sources = {f"device:{device.id}" for device in await store.devices.of_user(found.id)}
    sources |= {f"network:{network}" for network in await store.devices.networks_of(found.id)}
    await by.tell_of(store, "user.unlocked", found)
    return [
        *(throttles.account(text) for text in {found.name, found.email} if text is not None),
        *(throttles.known(found.id, source) for source in sources),
        *(throttles.factor(found.id, source) for source in ("", *sources)),
    ]


async def assign(store: TenantStore, by: By, found: User, role: str) -> None:
    """Give a role.

    Raises:
        NotFound: there is no such role.
    """
    await store.roles.assign(found.id, role)
    given = await store.roles.get(role)
    told = administering(() if given is None else given.scopes)
    await by.tell_of(store, "user.role_assigned", found, role=role, **told)


async def withdraw(store: TenantStore, by: By, found: User, role: str) -> None:
    """Take a role away."""
    await store.roles.withdraw(found.id, role)
    await by.tell_of(store, "user.role_withdrawn", found, role=role)


async def delete(store: TenantStore, by: By, found: User) -> None:
    """Delete the account, with all that hangs on it; what it got is refused at once. The log keeps what it tells."""
    await store.users.set_active(found.id, False)
    await store.users.delete(found.id)
    await by.tell_of(store, "user.deleted", found)
