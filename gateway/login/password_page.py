"""``/login``: the name and the password; also where a session comes to be stepped up (RFC 9470)."""

import secrets
from dataclasses import dataclass, replace

from gateway import pace
from gateway.authn.password_attempt import PasswordCheck, WrongPassword
from gateway.authn.signed_in import SignedIn, signed_in, tenant_of
from gateway.errors import HashingBusy, Refusal, TooManyLogins
from gateway.login.progress import PATHS, go_on, refusal, retry_after, wait_for, waiting
from gateway.login.wish import Wish
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import acr, login
from policies.decision import Allow, Challenge, Deny
from policies.password import Unacceptable, normalise
from tenants.store import TenantStore
from tenants.tenant import Tenant

WRONG = "The user name or the password is wrong."


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """``mail``: letters can be sent, so that a forgotten password has a way back."""

    site: Site
    check: PasswordCheck
    mail: bool

    async def show(self, visit: Visit) -> Answer:
        """The form; or the page that a begun login, or a session that is to be stepped up, needs next."""
        now = self.site.now()
        tenant = await self.site.tenant(visit)
        async with self.site.step(visit, read_only=visit.session_secret is None) as store:
            wish = await Wish.read(store, visit.query, base=visit.base)
            if visit.query.text("again") is None:
                begun = await waiting(store, tenant, visit, now)
                if begun is not None and wish.leads_where(begun.wish, base=visit.base):
                    return Go(visit.base + PATHS[begun.step])
            here = await signed_in(store, tenant, visit, now)
            if here is not None and visit.query.text("again") is None:
                return await self._for_session(store, tenant, visit, here, wish)
            return self._form(tenant, visit, wish, name=visit.query.text("login_hint") or "")

    async def submit(self, visit: Visit) -> Answer:
        """Count the attempt, hash, decide."""
        came_at = pace.now()
        name, password = visit.form.text("username") or "", visit.form.text("password") or ""
        normal = normalise(password)
        try:
            if isinstance(normal, Unacceptable):
                async with self.site.step(visit, read_only=True) as store:
                    return await self._again(store, visit, name, "That is too long to be a password.", status=422)
            self.check.require_room()
            tenant = await self.site.tenant(visit)
            async with self.site.step(visit) as store:
                attempt = await self.check.begin(
                    store,
                    tenant,
                    name=name,
                    password=password,
                    visitor=visit.visitor,
                    device_secret=visit.device_secret,
                )
            attempt = await self.check.prove(attempt, lambda: self.site.step(visit))
        except (TooManyLogins, HashingBusy) as refused:
            self.site.tell(visit, refused)
            async with self.site.step(visit, read_only=True) as store:
                page = await self._again(store, visit, name, refused.public, status=refused.status, refusal=refused)
            await pace.no_sooner(came_at, refused.no_sooner)
            return page
        tenant = await self.site.tenant(visit)  # anew: a suspension may have been heard while the password was hashed
        async with self.site.step(visit) as store:
            wish = await Wish.read(store, visit.form, base=visit.base)
            proved = await self.check.conclude(store, tenant, attempt)
            if isinstance(proved, WrongPassword):
                told = visit.event("login.refused", "refused", reason=proved.reason, user=proved.user, way="page")
                if proved.account is not None:
                    told = told._replace(details={**told.details, "account": proved.account})
                await store.audit.add(told)
                return self._form(tenant, visit, wish, name=name, error=WRONG, status=400)
            return await go_on(
                store,
                tenant,
                visit,
                proved.user,
                proved={"pwd"},
                password_version=proved.version,
                wish=wish,
                now=self.site.now(),
            )

    async def _for_session(
        self, store: TenantStore, tenant: Tenant, visit: Visit, here: SignedIn, wish: Wish
    ) -> Answer:
        now, session, user = self.site.now(), here.session, here.user
        match login.step_up(here.facts, wanted_acr=wish.acr, max_age=wish.max_age, now=now):
            case Allow():
                return Go(wish.destination(visit.base))
            case Challenge(login.PASSWORD_STEP):
                return self._form(tenant, visit, wish, name=user.name)
            case Challenge(step):
                current = await store.credentials.password(user.id)
                if current is None:
                    return self._form(tenant, visit, wish, name=user.name)
                stronger = replace(wish, acr=acr.MFA)  # a trusted device is not asked here
                return await wait_for(
                    store,
                    tenant,
                    visit,
                    user,
                    step=step,
                    proved=frozenset({"pwd"}) & session.amr,
                    version=current.version,
                    wish=stronger,
                    here=session,
                )
            case Deny():
                return refusal(tenant, visit)

    async def _again(
        self, store: TenantStore, visit: Visit, name: str, error: str, *, status: int, refusal: Refusal | None = None
    ) -> Show:
        tenant = await tenant_of(store)
        wish = await Wish.read(store, visit.form, base=visit.base)
        return self._form(tenant, visit, wish, name=name, error=error, status=status, refusal=refusal)

    def _form(
        self,
        tenant: Tenant,
        visit: Visit,
        wish: Wish,
        *,
        name: str,
        error: str | None = None,
        status: int = 200,
        refusal: Refusal | None = None,
    ) -> Show:
        """A form needs a cookie to be bound to: the browser's, or a new one that stands for nothing."""
        secret = visit.login_secret or secrets.token_urlsafe(32)
        context = {
            "name": name[:254],
            "hidden": wish.hidden(),
            "can_sign_up": self.mail and tenant.people.sign_up,
            "can_reset": self.mail,
            "error": error,
        }
        page = Page("login.html", "Log in", context, status, retry_after(refusal))
        return Show(tenant, page, secret, wish.origins(), {} if visit.login_secret else {"login": secret})
