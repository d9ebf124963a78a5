"""``/logout``: a question, then the end of this browser's session. The browser stays a known device.

It is the page of people and the ``end_session_endpoint`` of applications (OpenID Connect RP-Initiated Logout 1.0). An
application that brings the ID token of this very session has it ended unasked; every other one can only lead here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.authn.id_token_hint import IdTokenHints
from gateway.authn.signed_in import tenant_of
from gateway.errors import InvalidRequest
from gateway.login.link_pages import message
from gateway.login.logout_wish import FOR_DEVELOPERS, LogoutWish, as_query
from gateway.pages.cookies import CookieKind
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import logout
from policies.decision import Allow, Challenge
from tenants.sessions import Session
from tenants.store import TenantStore
from tenants.tenant import Tenant

_PATH = "/logout"
_ASKED_AT = "/logout/confirm"
_SESSION_ENDS = "Your session in this browser ends, with every token that came from it."


@dataclass(frozen=True, slots=True)
class LogoutPage:
    """A page of another site can lead here, but log nobody out without an ID token of theirs."""

    site: Site
    hints: IdTokenHints

    async def show(self, visit: Visit) -> Answer:
        """The question; the end at once for who brings the session's ID token; who is not logged in is told so, with a
        way back to the application, or sent back by who brings an ID token.
        """
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            try:
                wish = await LogoutWish.read(store, visit.query, visit, self.hints)
            except InvalidRequest as error:
                return self._refuse(tenant, visit, error)
            session = await _session(store, tenant, visit)
        if wish.hint_refused is not None:
            self.site.tell(visit, InvalidRequest(reason=wish.hint_refused))
        if session is None:
            return _nobody(tenant, visit, wish)
        match logout.may_end(wish.hint, session_id=str(session.id), subject=str(session.user_id)):
            case Allow() if visit.request.method == "GET":  # a HEAD changes nothing
                return await self._end(visit, wish)
            case Allow() | Challenge():
                return _ask(tenant, visit, wish)

    async def arrive(self, visit: Visit) -> Answer:
        """The POST of an application. It is to come again as a GET: with a POST of another site a browser sends no
        cookie, so there would be no session to end.
        """
        return Go(f"{visit.base}{_PATH}?{as_query(visit.form)}")

    async def back(self, visit: Visit) -> Answer:
        """The answer to the question has no page of its own."""
        return Go(visit.base + _PATH)

    async def submit(self, visit: Visit) -> Answer:
        """The person said yes: end it, whatever else it could still be used for."""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            try:
                wish = await LogoutWish.read(store, visit.form, visit, self.hints)
            except InvalidRequest as error:
                return self._refuse(tenant, visit, error)
        return await self._end(visit, wish)

    async def _end(self, visit: Visit, wish: LogoutWish) -> Answer:
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            session = await _session(store, tenant, visit)
            if session is not None and await store.sessions.end(session.id):
                user = await store.users.get(session.user_id)
                event = visit.event("logout", "success", user=user, session=session)
                client_id = None if wish.client is None else wish.client.client_id
                await store.audit.add(event._replace(client_id=client_id))
            return _after(tenant, visit, wish, "Your session has ended.", {"session": None, "login": None})

    def _refuse(self, tenant: Tenant, visit: Visit, error: InvalidRequest) -> Show:
        """A developer's mistake: nobody is logged out, and nobody is sent anywhere."""
        self.site.tell(visit, error)
        context = {
            "code": error.code,
            "reason": error.reason,
            "text": FOR_DEVELOPERS.get(error.reason, error.public),
            "request_id": visit.request_id,
        }
        return Show(tenant, Page("authorize_error.html", "Error", context, error.status))


async def _session(store: TenantStore, tenant: Tenant, visit: Visit) -> Session | None:
    """The browser's session, though it may not go on (a second factor is missing for by now): it can end."""
    return await store.sessions.by_secret(visit.session_secret or "", idle=tenant.lifetimes.session_idle)


def _ask(tenant: Tenant, visit: Visit, wish: LogoutWish) -> Show:
    who = "" if wish.client is None else f"{wish.client.name} asks to log you out. "
    context = {
        "heading": "Log out?",
        "text": who + _SESSION_ENDS,
        "button": "Log out",
        "hidden": wish.hidden(),
        "action": visit.base + _ASKED_AT,
        "cancel_url": f"{visit.base}/account",
    }
    return Show(tenant, Page("confirm.html", "Log out", context), visit.session_secret or "", wish.origins())


def _nobody(tenant: Tenant, visit: Visit, wish: LogoutWish) -> Answer:
    """Without an ID token anybody can make such an address: nobody is sent on from here by it, who does not want to."""
    text, to = "There is no session in this browser.", wish.destination()
    if wish.hint is not None or wish.client is None or to is None:
        return _after(tenant, visit, wish, text, {})
    context = {
        "heading": "You are logged out",
        "text": text,
        "link_url": to,
        "link_text": f"Back to {wish.client.name}",
    }
    return Show(tenant, Page("message.html", "You are logged out", context))


def _after(
    tenant: Tenant, visit: Visit, wish: LogoutWish, text: str, cookies: Mapping[CookieKind, str | None]
) -> Answer:
    """There is no session any more: back to the application that asked for it, or a page that says so."""
    to = wish.destination()
    if to is not None:
        return Go(to, cookies)
    return Show(tenant, message(tenant, visit, "You are logged out", text).page, cookies=cookies)
