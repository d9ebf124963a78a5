"""``/logout``: a question, then the end of this browser's session. The browser stays a known device."""

from dataclasses import dataclass

from gateway.authn.signed_in import tenant_of
from gateway.login.link_pages import message
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Show, Visit


@dataclass(frozen=True, slots=True)
class LogoutPage:
    """A page of another site can lead here, but not log anybody out."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """The question; who is not logged in is told so."""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            secret = visit.session_secret or ""
            if await store.sessions.by_secret(secret, idle=tenant.lifetimes.session_idle) is None:
                return message(tenant, visit, "You are logged out", "There is no session in this browser.")
            context = {
                "heading": "Log out?",
                "text": "Your session in this browser ends, with every token that came from it.",
                "button": "Log out",
                "hidden": {},
                "cancel_url": f"{visit.base}/account",
            }
            return Show(tenant, Page("confirm.html", "Log out", context), secret)

    async def submit(self, visit: Visit) -> Answer:
        """End it, whatever else it could still be used for."""
        secret = visit.session_secret or ""  # the form was bound to it
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            session = await store.sessions.by_secret(secret, idle=tenant.lifetimes.session_idle)
            if session is not None:
                await store.sessions.end(session.id)
                user = await store.users.get(session.user_id)
                await store.audit.add(visit.event("logout", "success", user=user, session=session))
            told = message(tenant, visit, "You are logged out", "Your session has ended.")
            return Show(tenant, told.page, cookies={"session": None, "login": None})
