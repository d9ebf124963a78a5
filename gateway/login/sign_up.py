"""``/signup`` and ``/forgot``: an address goes in, a letter goes out, and the page says the same to everybody.

Whether the address is anybody's is asked by the job that writes the letter, not by the request: both do the same work.
"""

from dataclasses import dataclass

from gateway.authn.signed_in import tenant_of
from gateway.errors import NotFound, TooManyLetters
from gateway.login.link_pages import bound
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Show, Visit
from policies.decision import Allow
from policies.throttle import Throttled
from tenants import throttles
from tenants.errors import InvalidValue
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.user_names import address_key

_LONGEST = 254


async def _count(store: TenantStore, visit: Visit) -> None:
    match await store.throttles.reserve(throttles.network(f"letters {visit.visitor.network}")):
        case Throttled() as throttled:
            raise TooManyLetters(reason="letters_throttled", retry_after=throttled.seconds)
        case Allow():
            pass


@dataclass(frozen=True, slots=True)
class SignUpPage:
    """Only where the tenant lets people sign up, and letters can be sent."""

    site: Site
    mail: bool

    async def show(self, visit: Visit) -> Answer:
        """The form."""
        async with self.site.step(visit, read_only=True) as store:
            return self._form(await self._open(store), visit)

    async def submit(self, visit: Visit) -> Answer:
        """Ask for a letter. The account is made by who follows its link: no address is taken before it was proved."""
        email = (visit.form.text("email") or "").strip()
        async with self.site.step(visit) as store:
            tenant = await self._open(store)
            try:
                address_key(email)
            except InvalidValue:
                return self._form(tenant, visit, email=email, error="That is no email address.", status=422)
            await _count(store, visit)
            await store.mail_outbox.add("sign_up", {"email": email})
            text = f"If {email} can be used, a letter with a link is on its way there. The link works for a day."
            return Show(tenant, Page("sent.html", "Check your mail", {"text": text}))

    async def _open(self, store: TenantStore) -> Tenant:
        tenant = await tenant_of(store)
        if not (self.mail and tenant.people.sign_up):
            raise NotFound(reason="sign_up_closed")
        return tenant

    def _form(
        self, tenant: Tenant, visit: Visit, *, email: str = "", error: str | None = None, status: int = 200
    ) -> Show:
        page = Page("sign_up.html", "Sign up", {"email": email[:_LONGEST], "error": error}, status)
        return bound(tenant, visit, page)


@dataclass(frozen=True, slots=True)
class ForgotPage:
    """Only where letters can be sent."""

    site: Site
    mail: bool

    async def show(self, visit: Visit) -> Answer:
        """The form."""
        async with self.site.step(visit, read_only=True) as store:
            return self._form(await self._open(store), visit)

    async def submit(self, visit: Visit) -> Answer:
        """Ask for a letter with a link."""
        identifier = (visit.form.text("identifier") or "").strip()
        async with self.site.step(visit) as store:
            tenant = await self._open(store)
            if not 0 < len(identifier) <= _LONGEST:
                error = "Enter your user name or your email address."
                return self._form(tenant, visit, identifier=identifier, error=error, status=422)
            await _count(store, visit)
            await store.mail_outbox.add("reset", {"identifier": identifier})
            text = "If there is such an account, a letter with a link is on its way. The link works for half an hour."
            return Show(tenant, Page("sent.html", "Check your mail", {"text": text}))

    async def _open(self, store: TenantStore) -> Tenant:
        if not self.mail:
            raise NotFound(reason="mail_not_configured")
        return await tenant_of(store)

    def _form(
        self, tenant: Tenant, visit: Visit, *, identifier: str = "", error: str | None = None, status: int = 200
    ) -> Show:
        page = Page("forgot.html", "Forgotten password", {"identifier": identifier[:_LONGEST], "error": error}, status)
        return bound(tenant, visit, page)
