"""``/account/factors/new``: an authenticator is set up, and counts once it has shown a right code.

With the first of a user the account is another one: it has recovery codes, and who got in without a second factor has
to come again (rule 9).
"""

from dataclasses import dataclass
from uuid import UUID

from gateway.account.entry import Account, enter_fresh, id_in, message
from gateway.errors import NotFound
from gateway.pages.cookies import CookieKind
from gateway.pages.page import Page
from gateway.pages.qr import svg
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies import login
from tenants.errors import InvalidValue
from tenants.store import TenantStore
from tenants.totp import MAX_FACTORS, Enrolment, TooManyFactors

_WRONG = "That code is wrong, or another code was used in the last half minute. Enter the one that the app shows next."
_BAD_NAME = "That cannot be a name: up to 100 characters, all of them visible."
_NAME = "Authenticator"


@dataclass(frozen=True, slots=True)
class NewFactorPage:
    """Only where the user may have a second factor, and after a fresh login."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """A new secret, in the place of one that was shown before and not confirmed."""
        async with self.site.step(visit) as store:
            account = await self._enter(store, visit)
            if isinstance(account, Go):
                return account
            user = account.user
            try:
                enrolment = await store.factors.enrol(
                    user.id, name=_NAME, issuer_name=account.tenant.name, account=user.name
                )
            except TooManyFactors:
                text = f"An account has at most {MAX_FACTORS} authenticators. Remove one first."
                return message(account, visit, "That is enough", text, status=409)
            return self._form(account, visit, enrolment)

    async def submit(self, visit: Visit) -> Answer:
        """Confirm it. Wrong codes are not counted: who sees this page has the secret, and need not guess."""
        async with self.site.step(visit) as store:
            account = await self._enter(store, visit)
            if isinstance(account, Go):
                return account
            user, factor_id = account.user, id_in(visit.form.text("factor"))
            enrolment = await store.factors.enrolment(
                user.id, factor_id, issuer_name=account.tenant.name, account=user.name
            )
            if enrolment is None:  # confirmed or replaced meanwhile, or another's
                return Go(f"{visit.base}/account/factors/new")
            name = (visit.form.text("name") or "").strip() or _NAME
            try:
                right = await store.factors.confirm(user.id, factor_id, visit.form.text("otp") or "", name=name)
            except InvalidValue:  # before anything was written
                return self._form(account, visit, enrolment, name=name, error=_BAD_NAME, status=422)
            if not right:
                return self._form(account, visit, enrolment, name=name, error=_WRONG, status=400)
            return await self._added(store, visit, account, factor_id)

    async def _enter(self, store: TenantStore, visit: Visit) -> Account | Go:
        account = await enter_fresh(store, visit, self.site.now())
        if isinstance(account, Account) and not account.facts.rule.offered:
            raise NotFound(reason="factor_not_offered")
        return account

    async def _added(self, store: TenantStore, visit: Visit, account: Account, factor_id: UUID) -> Answer:
        """The user is held since the code was accepted, so nobody else adds the first one beside this."""
        user = account.user
        await store.mail_outbox.add("factor_added", {"user_id": str(user.id)})
        await store.audit.add(
            visit.event(
                "factor.added", "success", user=user, session=account.session, way="account", factor=str(factor_id)
            )
        )
        if len(await store.factors.of_user(user.id)) > 1:
            return Go(f"{visit.base}/account")
        codes = await store.recovery_codes.make(user.id)
        await store.sessions.end_others(user.id, account.session.id)
        # This session proved the new factor: stepped up, or it would be over, too.
        acr, amr = login.achieved(account.session.amr | {"otp"})
        renewed = await store.sessions.renew(account.session, acr=acr, amr=amr)
        cookies: dict[CookieKind, str | None] = {"session": None if renewed is None else renewed[1]}
        context = {"codes": codes, "continue_url": f"{visit.base}/account"}
        return Show(account.tenant, Page("recovery_codes.html", "Your recovery codes", context), cookies=cookies)

    def _form(
        self,
        account: Account,
        visit: Visit,
        enrolment: Enrolment,
        *,
        name: str = "",
        error: str | None = None,
        status: int = 200,
    ) -> Show:
        secret = enrolment.secret
        context = {
            "qr": svg(enrolment.uri),
            "uri": enrolment.uri,
            "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
            "hidden": {"factor": str(enrolment.factor_id)},
            "name": name[:100],
            "error": error,
            "skip_url": f"{visit.base}/account",
        }
        return account.show("enrol.html", "Set up an authenticator", context, status=status)
