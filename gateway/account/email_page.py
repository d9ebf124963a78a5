"""``/account/email``: another address for letters. Nothing changes until the link in the letter to it is used.

Whether the address is somebody else's is found out by who reads its mail (``/verify``), and by nobody here.
"""

from dataclasses import dataclass

from gateway.account.entry import Account, enter_fresh, message
from gateway.errors import NotFound
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies.decision import Allow
from policies.throttle import Throttled
from tenants import throttles
from tenants.errors import InvalidValue
from tenants.store import TenantStore
from tenants.user_names import address_key, look_up_key

_LONGEST = 254
_TOO_MANY = "You have asked for many letters. Look into that mailbox, or try again later."


@dataclass(frozen=True, slots=True)
class EmailPage:
    """Who reads an account's letters can have a new password sent, so it takes a fresh login. Only where there is
    ``mail``.
    """

    site: Site
    mail: bool

    async def show(self, visit: Visit) -> Answer:
        """The form."""
        self._require_mail()
        async with self.site.step(visit) as store:
            account = await enter_fresh(store, visit, self.site.now())
            return account if isinstance(account, Go) else self._form(account, account.user.email or "")

    async def submit(self, visit: Visit) -> Answer:
        """Ask for a letter to the new address."""
        self._require_mail()
        email = (visit.form.text("email") or "").strip()
        async with self.site.step(visit) as store:
            account = await enter_fresh(store, visit, self.site.now())
            return account if isinstance(account, Go) else await self._ask(store, visit, account, email)

    async def _ask(self, store: TenantStore, visit: Visit, account: Account, email: str) -> Show:
        user = account.user
        try:
            key = address_key(email)
        except InvalidValue:
            return self._form(account, email, error="That is no email address.", status=422)
        if user.email_verified and key == look_up_key(user.email or ""):
            return self._form(account, email, error="That is your address already.", status=422)
        # By the user, not by their network: an office shares one. How many letters one mailbox gets is counted by
        # the job that sends them.
        match await store.throttles.reserve(throttles.letter(f"user:{user.id}")):
            case Throttled() as throttled:
                wait = {"Retry-After": str(throttled.seconds)}
                return self._form(account, email, error=_TOO_MANY, status=429, headers=wait)
            case Allow():
                pass
        current = await store.credentials.password(user.id)
        version = "" if current is None else str(current.version)
        fields = {"user_id": str(user.id), "email": email, "password_version": version, "asked_as": user.email or ""}
        await store.mail_outbox.add("verify", fields)
        await store.audit.add(visit.event("user.email_asked", "notice", user=user, session=account.session))
        text = f"A letter with a link is on its way to {email}. The address is yours once you have used the link."
        return message(account, visit, "Check your mail", text)

    def _require_mail(self) -> None:
        if not self.mail:
            raise NotFound(reason="mail_not_configured")

    def _form(
        self,
        account: Account,
        email: str,
        *,
        error: str | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Show:
        context = {"email": email[:_LONGEST], "is_name": "@" in account.user.name, "error": error}
        return account.show("account/email.html", "Email address", context, status=status, headers=headers)
