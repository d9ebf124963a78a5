"""The dispatcher of a login: from stored state to the page that is next, and from a proof to what follows it.

No page calls another: each ends here, and each asks here first whether it is its turn.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from gateway.authn.completion import factor_facts, start_in_browser
from gateway.authn.signed_in import signed_in
from gateway.errors import Refusal
from gateway.login.wish import Wish
from gateway.pages.cookies import CookieKind
from gateway.pages.page import Page
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import login
from policies.decision import Allow, Challenge, Deny
from tenants.devices import Device
from tenants.logins import PendingLogin
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User

PATHS: Mapping[str, str] = {
    login.PASSWORD_STEP: "/login",
    login.CODE_STEP: "/login/otp",
    login.ENROLMENT_STEP: "/login/enrol",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A login that this browser has begun. ``step`` is what it needs next."""

    pending: PendingLogin
    user: User
    device: Device | None
    step: str
    wish: Wish


async def waiting(
    store: TenantStore, tenant: Tenant, visit: Visit, now: datetime, *, hold: bool = False
) -> Waiting | None:
    """The browser's pending login, if everything it stands on still holds. ``hold`` keeps the user from being disabled
    until this transaction ends.
    """
    pending = None if visit.login_secret is None else await store.logins.find("page", visit.login_secret)
    user = None if pending is None else await store.users.get(pending.user_id, hold=hold)
    if pending is None or user is None or not user.active:
        return None
    current = await store.credentials.password(user.id)
    if current is None or current.version != pending.password_version:
        return None
    if pending.session_id is not None:
        begun_in = await signed_in(store, tenant, visit, now)
        if begun_in is None or begun_in.session.id != pending.session_id:
            return None
    wish = Wish.from_stored(pending.request)
    device = await store.devices.find(user.id, visit.device_secret)
    facts = await factor_facts(
        store, tenant, user, proved=pending.amr, device=_trusted(device, wish), wanted_acr=wish.acr, now=now
    )
    match login.next_step(facts, now):
        case Challenge(step):
            return Waiting(pending, user, device, step, wish)
        case Allow() | Deny():  # the rules became milder meanwhile: begin again, and be let in by them
            return None


async def go_on(
    store: TenantStore,
    tenant: Tenant,
    visit: Visit,
    user: User,
    *,
    proved: Set[str],
    password_version: int,
    wish: Wish,
    now: datetime,
    trust_device: bool = False,
    step_up: bool = False,
) -> Answer:
    """Something was proved in this transaction: complete the login, or send on to what it still needs.

    ``step_up``: what was proved is worth something only together with the session that it began in.
    """
    device = await store.devices.find(user.id, visit.device_secret)
    here = await signed_in(store, tenant, visit, now)
    facts = await factor_facts(
        store, tenant, user, proved=proved, device=_trusted(device, wish), wanted_acr=wish.acr, now=now
    )
    match login.next_step(facts, now):
        case Allow() if not step_up and await _must_change(store, user):
            # All that is asked was proved. The link works once, as that of a letter; then the login begins anew.
            await store.mail_links.end_all(user.id, "reset")
            token = await store.mail_links.make("reset", lifetime=tenant.lifetimes.login, user_id=user.id)
            await store.audit.add(
                visit.event("login.challenged", "notice", reason="password_must_change", user=user, way="page")
            )
            return Go(f"{visit.base}/reset?{urlencode({'token': token})}", {"login": None})
        case Allow():
            begun = await start_in_browser(
                store,
                tenant,
                user,
                facts=facts,
                visitor=visit.visitor,
                device_secret=visit.device_secret,
                trust_device=trust_device,
                running=None if here is None else here.session,
                step_up=step_up,
                now=now,
            )
            if begun is None:
                return Go(visit.base + PATHS[login.PASSWORD_STEP], {"login": None})
            await store.audit.add(
                visit.event(
                    "login.succeeded",
                    "success",
                    user=user,
                    session=begun.session,
                    way="page",
                    amr=sorted(begun.session.amr),
                    new_device=begun.new_device,
                )
            )
            cookies: dict[CookieKind, str | None] = {
                "session": begun.session_secret,
                "device": begun.device_secret,
                "login": None,
            }
            return Go(wish.destination(visit.base), cookies)
        case Challenge(step):
            return await wait_for(
                store, tenant, visit, user, step=step, proved=proved, version=password_version, wish=wish, here=None
            )
        case Deny(reason):
            await store.audit.add(visit.event("login.refused", "refused", reason=reason, user=user, way="page"))
            return refusal(tenant, visit)


async def wait_for(
    store: TenantStore,
    tenant: Tenant,
    visit: Visit,
    user: User,
    *,
    step: str,
    proved: Set[str],
    version: int,
    wish: Wish,
    here: Session | None,
) -> Go:
    """Keep what was proved under a new secret and send on. ``here`` is the session that is to be stepped up."""
    secret = await store.logins.begin(
        "page",
        user.id,
        amr=proved,
        lifetime=tenant.lifetimes.login,
        request=wish.stored(),
        password_version=version,
        session_id=None if here is None else here.id,
    )
    await store.audit.add(visit.event("login.challenged", "notice", reason=step, user=user, session=here, way="page"))
    return Go(visit.base + PATHS[step], {"login": secret})


def refusal(tenant: Tenant, visit: Visit) -> Show:
    """What was asked for cannot be had here."""
    context = {
        "heading": "This cannot be done here",
        "text": "What you came for needs a second factor, and this organisation does not offer one.",
        "link_url": f"{visit.base}/account",
        "link_text": "Go to your account",
    }
    return Show(tenant, Page("message.html", "Not possible", context, 403))


def retry_after(refusal: Refusal | None) -> dict[str, str]:
    """The field that says when to try again, where a form is shown in place of an error (RFC 9110 section 10.2.3)."""
    return {} if refusal is None or refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}


async def _must_change(store: TenantStore, user: User) -> bool:
    current = await store.credentials.password(user.id)
    return current is not None and current.must_change


def _trusted(device: Device | None, wish: Wish) -> Device | None:
    """A trusted device never stands in where somebody asked how long ago the login was (rule 9)."""
    return device if wish.max_age is None else None
