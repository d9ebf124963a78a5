"""``/login/enrol``: who has to have a second factor and has none sets one up before the login is complete."""

from dataclasses import dataclass
from uuid import UUID

from gateway.authn.signed_in import tenant_of
from gateway.login.progress import PATHS, Waiting, go_on, waiting
from gateway.pages.page import Page
from gateway.pages.qr import svg
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import login
from tenants.store import TenantStore
from tenants.tenant import Tenant
from tenants.totp import Enrolment

_WRONG = "That code is wrong, or another code was used in the last half minute. Enter the one that the app shows next."
_NAME = "Authenticator"


@dataclass(frozen=True, slots=True)
class EnrolPage:
    """Shows a secret as a QR code and as text, and confirms it by its first code."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """The form, where it is its turn."""
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            begun = await waiting(store, tenant, visit, self.site.now())
            if begun is None or begun.step != login.ENROLMENT_STEP:
                return _elsewhere(visit, begun)
            enrolment = await store.factors.enrol(
                begun.user.id, name=_NAME, issuer_name=tenant.name, account=begun.user.name
            )
            return self._form(tenant, visit, begun, enrolment)

    async def submit(self, visit: Visit) -> Answer:
        """Confirm; then the recovery codes, which are shown this once, and the login goes on."""
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            begun = await waiting(store, tenant, visit, self.site.now(), hold=True)
            if begun is None or begun.step != login.ENROLMENT_STEP:
                return _elsewhere(visit, begun)
            factor_id = _uuid(visit.form.text("factor"))
            enrolment = await store.factors.enrolment(
                begun.user.id, factor_id, issuer_name=tenant.name, account=begun.user.name
            )
            if enrolment is None:
                return Go(visit.base + PATHS[login.ENROLMENT_STEP])
            name = _named(visit.form.text("name") or "")
            code = visit.form.text("otp") or ""
            if not await store.factors.confirm(begun.user.id, factor_id, code, name=name):
                await store.logins.count_failure(begun.pending)
                if await waiting(store, tenant, visit, self.site.now()) is None:
                    return Go(f"{visit.base}/login", {"login": None})
                return self._form(tenant, visit, begun, enrolment, name=name, error=_WRONG, status=400)
            if not await store.logins.consume(begun.pending):
                return Go(f"{visit.base}/login")
            return await self._enrolled(store, tenant, visit, begun)

    async def _enrolled(self, store: TenantStore, tenant: Tenant, visit: Visit, begun: Waiting) -> Answer:
        user = begun.user
        codes = await store.recovery_codes.make(user.id)
        await store.mail_outbox.add("factor_added", {"user_id": str(user.id)})
        # Whoever got in before without a second factor is to bring it now (rule 9).
        if begun.pending.session_id is None:
            ended = await store.sessions.end_all(user.id)
        else:
            ended = await store.sessions.end_others(user.id, begun.pending.session_id)
        await store.audit.add(visit.event("factor.added", "success", user=user, way="login", sessions_ended=ended))
        answer = await go_on(
            store,
            tenant,
            visit,
            user,
            proved=begun.pending.amr | {"otp"},
            password_version=begun.pending.password_version or 0,
            wish=begun.wish,
            now=self.site.now(),
            step_up=begun.pending.session_id is not None,
        )
        context = {"codes": codes, "continue_url": begun.wish.destination(visit.base)}
        return Show(tenant, Page("recovery_codes.html", "Your recovery codes", context), cookies=answer.cookies)

    def _form(
        self,
        tenant: Tenant,
        visit: Visit,
        begun: Waiting,
        enrolment: Enrolment,
        *,
        name: str = "",
        error: str | None = None,
        status: int = 200,
    ) -> Show:
        context = {
            "qr": svg(enrolment.uri),
            "uri": enrolment.uri,
            "secret": _grouped(enrolment.secret),
            "hidden": {"factor": str(enrolment.factor_id)},
            "name": name,
            "error": error,
        }
        page = Page("enrol.html", "Set up a second factor", context, status)
        return Show(tenant, page, visit.login_secret or "", begun.wish.origins())


def _elsewhere(visit: Visit, begun: Waiting | None) -> Go:
    return Go(visit.base + PATHS[login.PASSWORD_STEP if begun is None else begun.step])


def _grouped(secret: str) -> str:
    """In fours, for who types it."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))


def _named(text: str) -> str:
    """What the authenticator is called; what cannot be a name is replaced, since it can be changed later."""
    name = text.strip()[:100].strip()
    return name if name and name.isprintable() else _NAME


def _uuid(text: str | None) -> UUID:
    """An id from a form; what is none is nobody's."""
    try:
        return UUID(text or "")
    except ValueError:
        return UUID(int=0)
