"""``/account/activity``: what happened in somebody's account lately, in words, from the audit log.

Owns the words. What has none here is left out: it concerns others, or says nothing to the person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.account.entry import Account, enter
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from gateway.place import Places
from tenants.activity import Happening
from tenants.store import TenantStore

SHOWN = 50

_REFUSED: Mapping[str, str] = {
    "wrong_password": "Wrong password",
    "wrong_code": "Wrong code of the second factor",
    "user_disabled": "Login refused: the account is disabled",
}
_CHALLENGED: Mapping[str, str] = {
    "code": "Right password, the second factor was asked for",
    "mfa_required": "Right password, the second factor was asked for",
    "enrolment": "Right password, a second factor had to be set up",
}
_WORDS: Mapping[str, Callable[[Happening], str | None]] = {
    "login.succeeded": lambda what: f"Logged in through {what.client_id}" if what.client_id else "Logged in",
    "login.refused": lambda what: _REFUSED.get(what.reason or "", "Login refused"),
    # In a session it is a step-up, which its end tells enough of; without one, somebody knows the password.
    "login.challenged": lambda what: None if what.session_id else _CHALLENGED.get(what.reason or ""),
    "logout": lambda _: "Logged out",
    "session.ended": lambda what: "All other sessions ended" if what.reason == "all_others" else "A session ended",
    "device.approved": lambda what: f"A device of {what.client_id} allowed in",
    "device.denied": lambda what: f"A device of {what.client_id} refused",
    "device.revoked": lambda what: "All devices forgotten" if what.reason == "all" else "A device forgotten",
    "consent.granted": lambda what: f"{what.client_id} let in",
    "consent.withdrawn": lambda what: f"{what.client_id} let in no more",
    "user.created": lambda _: "Account made",
    "user.enabled": lambda _: "Account enabled",
    "user.disabled": lambda _: "Account disabled",
    "user.password_set": lambda _: "Password changed",
    "user.email_asked": lambda _: "Another email address asked for",
    "user.email_set": lambda _: "Email address changed",
    "user.role_assigned": lambda what: f"Role {what.details.get('role', '')} given",
    "user.role_withdrawn": lambda what: f"Role {what.details.get('role', '')} taken away",
    "group.member_added": lambda what: f"Put into the group {what.details.get('group', '')}",
    "group.member_removed": lambda what: f"Taken out of the group {what.details.get('group', '')}",
    "factor.added": lambda _: "Authenticator added",
    "factor.renamed": lambda _: "Authenticator renamed",
    "factor.removed": lambda _: "Authenticator removed",
    "recovery_codes.made": lambda _: "New recovery codes made",
}


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """One event, as its owner reads it. ``alarming``: somebody did not get in, and it may have been another."""

    at: datetime
    text: str
    address: str
    place: str
    alarming: bool


async def activity_lines(store: TenantStore, account: Account, places: Places, *, limit: int) -> Sequence[ActivityLine]:
    """The newest, newest first."""
    found = await store.activity.of(account.user.id, types=_WORDS.keys(), limit=limit)
    return [
        ActivityLine(what.at, text, what.address, places.of(what.address), alarming=what.outcome == "refused")
        for what in found
        if (text := _in_words(what)) is not None
    ]


def _in_words(what: Happening) -> str | None:
    text = _WORDS[what.type](what)
    return text if text is None or what.actor is None else f"{text}, by an administrator"


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """The list."""

    site: Site
    places: Places

    async def show(self, visit: Visit) -> Answer:
        """The list."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            lines = await activity_lines(store, account, self.places, limit=SHOWN)
            return account.show("account/activity.html", "Recent activity", {"activity": lines})
