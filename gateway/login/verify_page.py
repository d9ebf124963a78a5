"""``/verify``: where the link of a sign-up leads, or that of an address that a user wants to have.

``GET`` changes nothing, since mail scanners follow links; the form's ``POST`` uses the link up.
"""

from dataclasses import dataclass

from gateway.authn.signed_in import tenant_of
from gateway.errors import DeadLink
from gateway.login.link_pages import NewPasswordPage, bound, message
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Show, Visit
from tenants.errors import AlreadyExists
from tenants.mail_links import MailLink
from tenants.store import TenantStore
from tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class VerifyPage:
    """``/verify``: the end of a sign-up, or the proof of an address that a user wants to have."""

    site: Site
    sign_up: NewPasswordPage

    async def show(self, visit: Visit) -> Answer:
        """A button: the request that changes something is the one that it sends."""
        token = visit.query.text("token") or ""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            if await store.mail_links.find("sign_up", token) is None:
                link = await store.mail_links.find("verify", token)
                if link is None:
                    raise DeadLink(reason="link_unknown")
                return self._form(tenant, visit, link, token)
        return await self.sign_up.show(visit)

    async def submit(self, visit: Visit) -> Answer:
        """Use the link up; the address is the user's from now on."""
        token = visit.form.text("token") or ""
        try:
            async with self.site.step(visit) as store:
                tenant = await tenant_of(store)
                link = await store.mail_links.find("verify", token)
                if link is not None:
                    return await self._verify(store, tenant, visit, link)
        except AlreadyExists:
            return message(tenant, visit, "That address cannot be used", "Somebody else's account has it.", status=409)
        return await self.sign_up.submit(visit)

    async def _verify(self, store: TenantStore, tenant: Tenant, visit: Visit, link: MailLink) -> Answer:
        user = None if link.user_id is None else await store.users.get(link.user_id, hold=True)
        consumed = await store.mail_links.consume(link)
        if user is None or not user.active or link.email is None or not consumed:
            raise DeadLink(reason="link_used")
        before = user.email
        await store.users.set_email(user.id, link.email, verified=True)
        await store.mail_links.end_all(user.id, "reset", "verify")  # those of the address before this one
        await store.audit.add(visit.event("user.email_set", "success", user=user, way="link"))
        if before is not None and before != link.email:
            await store.mail_outbox.add("email_changed", {"user_id": str(user.id), "old_email": before})
        return message(tenant, visit, "Your address is confirmed", "Letters go there from now on.")

    def _form(self, tenant: Tenant, visit: Visit, link: MailLink, token: str) -> Show:
        context = {
            "heading": "Confirm your email address",
            "text": f"{link.email} is to be the address of your account.",
            "button": "Confirm",
            "hidden": {"token": token},
        }
        return bound(tenant, visit, Page("confirm.html", "Confirm your address", context))
