"""``/login/otp`` and ``/login/recovery``: the second factor of a login that has proved its password, or of a session
that is to be stepped up."""

from dataclasses import dataclass

from gateway.authn import second_factor
from gateway.authn.second_factor import OTP, RECOVERY, Code
from gateway.authn.signed_in import tenant_of
from gateway.errors import Refusal, TooManyCodes
from gateway.login.progress import PATHS, Waiting, go_on, retry_after, waiting
from gateway.pages.page import Page
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import login
from tenants.devices import Device
from tenants.tenant import Tenant

_TEMPLATES = {OTP: ("otp.html", "Enter your code"), RECOVERY: ("recovery.html", "Use a recovery code")}
_FIELDS = {OTP: "otp", RECOVERY: "recovery_code"}
_WRONG = {
    OTP: "That code is wrong, or was used already. Wait for the next one and try again.",
    RECOVERY: "That is none of your recovery codes, or it was used already.",
}


@dataclass(frozen=True, slots=True)
class CodePage:
    """One page per ``method``; both decide alike."""

    site: Site
    method: str

    async def show(self, visit: Visit) -> Answer:
        """The form, where it is its turn."""
        async with self.site.step(visit, read_only=True) as store:
            tenant = await tenant_of(store)
            begun = await waiting(store, tenant, visit, self.site.now())
            if begun is None or begun.step != login.CODE_STEP:
                return _elsewhere(visit, begun)
            return self._form(tenant, visit, begun)

    async def submit(self, visit: Visit) -> Answer:
        """Try the code. The fifth wrong one ends the login: the password has to be given again."""
        code = Code(self.method, visit.form.text(_FIELDS[self.method]) or "")
        async with self.site.step(visit) as store:
            tenant = await tenant_of(store)
            begun = await waiting(store, tenant, visit, self.site.now(), hold=True)
            if begun is None or begun.step != login.CODE_STEP:
                return _elsewhere(visit, begun)
            source = _source(begun.device)
            try:
                good = await second_factor.prove(store, begun.user, code, source=source)
            except TooManyCodes as refused:
                self.site.tell(visit, refused)
                return self._form(tenant, visit, begun, error=refused.public, refusal=refused)
            if not good:
                await store.logins.count_failure(begun.pending)
                await store.audit.add(
                    visit.event("login.refused", "refused", reason="wrong_code", user=begun.user, way="page")
                )
                if await waiting(store, tenant, visit, self.site.now()) is None:
                    return Go(f"{visit.base}/login", {"login": None})
                return self._form(tenant, visit, begun, error=_WRONG[self.method], status=400)
            if not await store.logins.consume(begun.pending):
                return Go(f"{visit.base}/login")
            return await go_on(
                store,
                tenant,
                visit,
                begun.user,
                proved=begun.pending.amr | {self.method},
                password_version=begun.pending.password_version or 0,
                wish=begun.wish,
                now=self.site.now(),
                trust_device=visit.form.optional("trust_device") is not None,
                step_up=begun.pending.session_id is not None,
            )

    def _form(
        self,
        tenant: Tenant,
        visit: Visit,
        begun: Waiting,
        *,
        error: str | None = None,
        status: int = 200,
        refusal: Refusal | None = None,
    ) -> Show:
        template, title = _TEMPLATES[self.method]
        context: dict[str, object] = {"hidden": {}, "error": error}
        if self.method == OTP:
            context["can_trust"] = tenant.people.trusted_devices and begun.pending.session_id is None
        page = Page(template, title, context, status if refusal is None else refusal.status, retry_after(refusal))
        return Show(tenant, page, visit.login_secret or "", begun.wish.origins())


def _elsewhere(visit: Visit, begun: Waiting | None) -> Go:
    """It is another page's turn."""
    return Go(visit.base + PATHS[login.PASSWORD_STEP if begun is None else begun.step])


def _source(device: Device | None) -> str:
    """A known device's own budget. One that only a reset has made has none: with a mailbox alone, any number of
    budgets could be had.
    """
    return "" if device is None or device.seen_at <= device.created_at else f"device:{device.id}"
