"""Who gets which letter: what was put into the outbox, looked up at the moment of sending.

Each kind is one function that answers nobody, or a draft with the link that was made for it. Nobody is whoever is
unknown, disabled, without an address, or has had enough letters: that is silent, since a request must not show it.
Links are built from the tenant's issuer, which is configuration; no request's ``Host`` gets as far as this.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from gateway.durations import spoken
from gateway.mail.address import mailbox, shown
from gateway.mail.wording import TextName
from gateway.mail.writer import Draft
from policies.decision import Allow
from policies.throttle import Throttled
from tenants import throttles
from tenants.mail_links import Purpose
from tenants.mail_outbox import LetterKind, WaitingLetter
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User

_PATHS: Mapping[Purpose, str] = {"reset": "reset", "sign_up": "verify", "verify": "verify", "invite": "invite"}
_LONGEST_SHOWN = 300
_UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that this try has made. It ends with the try, if that fails."""

    purpose: Purpose
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Addressed:
    """A letter that somebody is to get. ``subject`` is the user, where they exist already."""

    draft: Draft
    subject: UUID | None
    made: MadeLink | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One claimed letter, opened, with the tenant's data around it."""

    store: TenantStore
    tenant: Tenant
    letter: WaitingLetter
    fields: Mapping[str, str] = field(repr=False)
    place_of: Callable[[str], str]


async def address(case: Case) -> Addressed | None:
    """Look up who the letter is for, and make its link; None: nobody.

    Raises:
        Unwritable: what was given as an address is none.
    """
    return await _KINDS[case.letter.kind](case)


async def _reset(case: Case) -> Addressed | None:
    """To the address on the account, confirmed or not: who was imported or made by an administrator has no other way
    in, and the link proves the address to whoever uses it.
    """
    user = await case.store.users.by_login(case.fields["identifier"])
    if user is None or not user.active or user.email is None or await _has_enough(case, user.email):
        return None
    await case.store.mail_links.end_all(user.id, "reset")
    return await _with_link(case, "reset", user.email, case.tenant.lifetimes.reset_link, user=user)


async def _sign_up(case: Case) -> Addressed | None:
    """An address that has an account already is told so, and its owner alone sees the difference."""
    if not case.tenant.people.sign_up:
        return None
    to = case.fields["email"]
    user = await case.store.users.by_email(to)
    if (user is not None and not user.active) or await _has_enough(case, to if user is None else user.email or to):
        return None
    if user is not None:
        return _to_user(case, user, "sign_up_known", to=user.email or to, page="login")
    return await _with_link(case, "sign_up", to, case.tenant.lifetimes.verification_link)


async def _verify(case: Case) -> Addressed | None:
    """Only while nothing has changed since it was asked for: a letter may wait for a day, and whoever asked may have
    been shut out meanwhile, by a new password or another address.
    """
    user, to = await _user(case), case.fields["email"]
    if user is None or (user.email_verified and user.email == to) or (user.email or "") != case.fields["asked_as"]:
        return None
    current = await case.store.credentials.password(user.id)
    if ("" if current is None else str(current.version)) != case.fields["password_version"]:
        return None
    if await _has_enough(case, to):
        return None
    await case.store.mail_links.end_all(user.id, "verify")
    return await _with_link(case, "verify", to, case.tenant.lifetimes.verification_link, user=user)


async def _invite(case: Case) -> Addressed | None:
    """Not counted against the address: an administrator asks for it, by name. Whatever it was promised before ends."""
    to = case.fields["email"]
    data = {name: value for name, value in case.fields.items() if name != "email"}
    await case.store.mail_links.end_for(to, "invite")
    return await _with_link(case, "invite", to, case.tenant.lifetimes.invitation, data=data)


async def _notice(case: Case) -> Addressed | None:
    """What an owner has to know, and no stranger can bring about; so it is not counted, either."""
    user = await _user(case)
    to = case.fields["old_email"] if case.letter.kind == "email_changed" else None if user is None else user.email
    if user is None or to is None:
        return None
    text, page = _NOTICES[case.letter.kind]
    return _to_user(case, user, text, to=to, page=page)


# The letter of each notice, and the page that helps whoever did not do it themselves.
_NOTICES: Mapping[LetterKind, tuple[TextName, str]] = {
    "new_device": ("new_device", "account"),
    "password_changed": ("password_changed", "forgot"),
    "factor_added": ("factor_added", "account"),
    "factor_removed": ("factor_removed", "account"),
    "email_changed": ("email_changed", "account"),
}
_KINDS: Mapping[LetterKind, Callable[[Case], Awaitable[Addressed | None]]] = {
    "reset": _reset,
    "sign_up": _sign_up,
    "verify": _verify,
    "invite": _invite,
    **dict.fromkeys(_NOTICES, _notice),
}


async def _user(case: Case) -> User | None:
    """The user whom the letter names, while they may log in."""
    user = await case.store.users.get(UUID(case.fields["user_id"]))
    return user if user is not None and user.active else None


async def _has_enough(case: Case, to: str) -> bool:
    """Whether this address has had so many letters that strangers ask for that it gets no more for a while."""
    if case.letter.attempts > 1:
        return False  # it was counted at the first try
    match await case.store.throttles.reserve(throttles.letter(to)):
        case Allow():
            return False
        case Throttled():
            return True


async def _with_link(
    case: Case,
    purpose: Purpose,
    to: str,
    lifetime: timedelta,
    *,
    user: User | None = None,
    data: Mapping[str, str] | None = None,
) -> Addressed:
    mailbox(to)  # before a link is made for it
    subject = None if user is None else user.id
    secret = await case.store.mail_links.make(purpose, lifetime=lifetime, user_id=subject, email=to, data=data)
    link = f"{case.tenant.issuer}/{_PATHS[purpose]}?token={secret}"
    values = _values(case, user, to) | {"expires": spoken(lifetime)}
    return Addressed(Draft(purpose, case.tenant, to, values, link), subject, MadeLink(purpose, secret))


def _to_user(case: Case, user: User, text: TextName, *, to: str, page: str) -> Addressed:
    return Addressed(Draft(text, case.tenant, to, _values(case, user, to), f"{case.tenant.issuer}/{page}"), user.id)


def _values(case: Case, user: User | None, to: str) -> dict[str, str]:
    """What a text may name. What a client said of itself is shown without anything that is no plain sign."""
    address, user_agent, invited_by = (
        shown(case.fields.get(name, ""))[:_LONGEST_SHOWN] for name in ("address", "user_agent", "invited_by")
    )
    place = shown(case.place_of(address)) if address else ""
    return {
        # Whose name was their address has another name by now, which the old mailbox has no need to know.
        "user": to if user is None or (case.letter.kind == "email_changed" and "@" in user.name) else shown(user.name),
        "email": to,
        "time": _moment(case.letter.created_at),
        "address": (f"{address} ({place})" if place else address) or _UNKNOWN,
        "user_agent": user_agent or _UNKNOWN,
        "invited_by": invited_by or "An administrator",
    }


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
