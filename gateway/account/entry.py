"""The way into an account page: with a session, and where the page changes what protects the account, a fresh one.

Every page asks here first, in the transaction that it acts in; who may not come in is sent to the login and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from gateway.authn.signed_in import signed_in, tenant_of
from gateway.errors import NotFound
from gateway.pages.page import Page
from gateway.pages.visit import Go, Show, Visit
from policies import acr, login
from policies.decision import Allow, Challenge, Deny
from policies.login import SessionFacts
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.users import User


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody in their own account, as everything is in this transaction. ``secret`` is the session's, for forms."""

    tenant: Tenant
    user: User
    session: Session
    facts: SessionFacts
    secret: str = field(repr=False)

    def show(
        self,
        template: str,
        title: str,
        context: Mapping[str, object],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Show:
        """A page whose forms are bound to this session."""
        return Show(self.tenant, Page(template, title, context, status, headers or {}), self.secret)


async def enter(store: TenantStore, visit: Visit, now: datetime) -> Account | Go:
    """The account of this browser's session; without one, the login.

    The user is held, before anything of theirs is: whoever changes the same account waits here, and not half way. To
    look at a page is to be seen. What a form does may have to wait for other sessions' rows, so it holds none before:
    else two forms at once could each wait for the other.
    """
    tenant = await tenant_of(store)
    here = await signed_in(store, tenant, visit, now, hold=True)
    if here is None or visit.session_secret is None:
        return _login(visit)
    if visit.request.method != "POST":
        await store.sessions.touch(here.session)
    return Account(tenant, here.user, here.session, here.facts, visit.session_secret)


async def enter_fresh(store: TenantStore, visit: Visit, now: datetime) -> Account | Go:
    """``enter``, for who has authenticated within the last minutes, with their second factor where they have one."""
    account = await enter(store, visit, now)
    if isinstance(account, Go):
        return account
    wanted = acr.MFA if account.facts.has_factor else None
    match login.step_up(account.facts, wanted_acr=wanted, max_age=login.FRESH, now=now):
        case Allow():
            return account
        case Challenge() | Deny():
            asked = {"max_age": str(int(login.FRESH.total_seconds()))}
            return _login(visit, **(asked if wanted is None else asked | {"acr_values": wanted}))


def id_in(text: str | None) -> UUID:
    """An id as we write it.

    Raises:
        NotFound: it is none, so it is nobody's.
    """
    try:
        found = UUID(text or "")
    except ValueError:
        raise NotFound(reason="id_malformed") from None
    if str(found) != text:  # braces, capitals, digits of other scripts: never a link of ours
        raise NotFound(reason="id_malformed")
    return found


def id_of(visit: Visit) -> UUID:
    """The id in the page's own address.

    Raises:
        NotFound: it is none.
    """
    return id_in(visit.request.path_params["id"])


def message(account: Account, visit: Visit, heading: str, text: str, *, status: int = 200) -> Show:
    """A page that says what came of it, and leads back."""
    context = {"heading": heading, "text": text, "link_url": f"{visit.base}/account", "link_text": "Go to your account"}
    return account.show("message.html", heading, context, status=status)


def _login(visit: Visit, **asked: str) -> Go:
    """To the login, and from there back to this page. It looks at the address itself: what is none is dropped there."""
    return Go(f"{visit.base}/login?{urlencode({**asked, 'return_to': visit.path})}")
