"""``/account/password``: the current password and a new one. Every other session ends with the old password."""

from dataclasses import dataclass
from typing import Literal

from gateway.account.entry import Account, enter, message
from gateway.authn.new_password import HashedPassword, NewPasswords, RefusedPassword
from gateway.authn.password_attempt import PasswordCheck, WrongPassword
from gateway.errors import HashingBusy, Refusal, TooManyLogins
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from policies.password import Unacceptable, normalise

Field = Literal["current_password", "password"]

_WRONG = "Your current password is another one."
_MEANWHILE = "Your password was changed meanwhile. Begin again with the new one."
_ALONE = "Your second factor was removed meanwhile, and this password is too short without it. Choose a longer one."


@dataclass(frozen=True, slots=True)
class PasswordPage:
    """The current password is tried as at the login, on the same counters: a session is no way to guess it."""

    site: Site
    check: PasswordCheck
    passwords: NewPasswords

    async def show(self, visit: Visit) -> Answer:
        """The form."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            return account if isinstance(account, Go) else self._form(account)

    async def submit(self, visit: Visit) -> Answer:
        """Prove the current one, then judge and hash the new one, then set it: each in a step of its own."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
        if isinstance(account, Go):
            return account
        current = visit.form.text("current_password") or ""
        if isinstance(normalise(current), Unacceptable):
            return self._form(account, error=_WRONG, wrong="current_password", status=422)
        try:
            version = await self._prove(visit, account, current)
            if version is None:
                return self._form(account, error=_WRONG, wrong="current_password", status=400)
            made = await self.passwords.make(
                visit.form.text("password") or "",
                tenant=account.tenant,
                user_name=account.user.name,
                email=account.user.email,
                second_factor=account.facts.has_factor,
            )
        except (TooManyLogins, HashingBusy) as refused:
            return self._form(account, error=refused.public, status=refused.status, refusal=refused)
        if isinstance(made, RefusedPassword):
            return self._form(account, error=made.text, wrong="password", status=422)
        return await self._set(visit, version, made, for_two=account.facts.has_factor)

    async def _prove(self, visit: Visit, account: Account, current: str) -> int | None:
        """The version of the password, where it is this one.

        Raises:
            HashingBusy: it was not tried, and does not count.
            TooManyLogins: it was not tried: too many wrong ones before it.
        """
        self.check.require_room()
        async with self.site.step(visit) as store:
            attempt = await self.check.begin(
                store,
                account.tenant,
                name=account.user.name,
                password=current,
                visitor=visit.visitor,
                device_secret=visit.device_secret,
                session_id=account.session.id,
            )
        attempt = await self.check.prove(attempt, lambda: self.site.step(visit))
        async with self.site.step(visit) as store:
            proved = await self.check.conclude(store, account.tenant, attempt)
            if isinstance(proved, WrongPassword):
                await store.audit.add(
                    visit.event(
                        "login.refused",
                        "refused",
                        reason=proved.reason,
                        user=account.user,
                        session=account.session,
                        way="account",
                    )
                )
                return None
            return proved.version

    async def _set(self, visit: Visit, version: int, made: HashedPassword, *, for_two: bool) -> Answer:
        """``for_two``: it was judged as one of two factors, and may be shorter for that."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            user = account.user
            held = await store.credentials.password(user.id, hold=True)
            if held is None or held.version != version:
                return self._form(account, error=_MEANWHILE, wrong="current_password", status=409)
            # Asked again now that the password is held, as who removes the last factor holds it, too.
            if for_two and not made.stands_alone and not await store.factors.has_any(user.id):
                return self._form(account, error=_ALONE, wrong="password", status=409)
            await store.credentials.set_password(user.id, made.hash, stands_alone=made.stands_alone)
            await store.logins.end_all(user.id)
            await store.mail_links.end_all(user.id, "reset", "verify")
            ended = await store.sessions.end_others(user.id, account.session.id)
            await store.mail_outbox.add("password_changed", {"user_id": str(user.id)})
            await store.audit.add(
                visit.event(
                    "user.password_set",
                    "success",
                    user=user,
                    session=account.session,
                    way="account",
                    sessions_ended=ended,
                )
            )
            secret = await store.sessions.change_secret(account.session)
            told = message(account, visit, "Your password is changed", "Everywhere else you are logged out.")
            return Show(account.tenant, told.page, cookies={"session": secret})

    def _form(
        self,
        account: Account,
        *,
        error: str | None = None,
        wrong: Field | None = None,
        status: int = 200,
        refusal: Refusal | None = None,
    ) -> Show:
        """``wrong`` is the field that the error is of; None where waiting helps, and nothing was wrong."""
        context = {
            "user_name": account.user.name,
            "min_length": self.passwords.least_length(account.tenant, second_factor=account.facts.has_factor),
            "error": error,
            "wrong": wrong,
        }
        wait = None if refusal is None or refusal.retry_after is None else refusal.retry_after
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return account.show("account/password.html", "Password", context, status=status, headers=headers)
