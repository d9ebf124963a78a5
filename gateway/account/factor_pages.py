"""``/account/factors/{id}/remove`` and ``/rename``: what becomes of an authenticator that somebody has.

The last one goes only where the account is safe without it: the tenant does not require one, and the password is long
enough to stand alone (NIST SP 800-63B-4 section 3.1.1.2).
"""

from dataclasses import dataclass

from gateway.account.entry import Account, enter, enter_fresh, id_of
from gateway.authn.new_password import NewPasswords
from gateway.errors import NotFound
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Show, Visit
from tenants.errors import InvalidValue
from tenants.store import TenantStore
from tenants.totp import Factor

_BAD_NAME = "That cannot be a name: 1 to 100 characters, all of them visible."


@dataclass(frozen=True, slots=True)
class RemoveFactorPage:
    """Asks, then removes. It takes a fresh login with a second factor."""

    site: Site
    passwords: NewPasswords

    async def show(self, visit: Visit) -> Answer:
        """The question, or what has to be done first."""
        async with self.site.step(visit) as store:
            account = await enter_fresh(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            factor = await _own_factor(store, account, visit)
            is_last = len(await store.factors.of_user(account.user.id)) == 1
            if is_last and (refused := await self._needed(store, account, visit)) is not None:
                return refused
            context = {
                "heading": f"Remove {factor.name}?",
                "text": _CONSEQUENCE[is_last],
                "button": "Remove it",
                "hidden": {},
                "cancel_url": f"{visit.base}/account",
            }
            return account.show("confirm.html", "Remove an authenticator", context)

    async def submit(self, visit: Visit) -> Answer:
        """Remove it; every other session ends, and with the last one all that it stood for."""
        async with self.site.step(visit) as store:
            account = await enter_fresh(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            user = account.user
            # Held, or two at once would each leave the other's factor, and a shorter password could come between.
            await store.credentials.password(user.id, hold=True)
            factor = await _own_factor(store, account, visit)
            is_last = len(await store.factors.of_user(user.id)) == 1
            if is_last and (refused := await self._needed(store, account, visit)) is not None:
                return refused
            if not await store.factors.remove(user.id, factor.id):
                raise NotFound(reason="factor_unknown")
            if is_last:
                await store.recovery_codes.remove_all(user.id)
                await store.devices.revoke_all(user.id)  # a trust that would outlive what it stood in for
            ended = await store.sessions.end_others(user.id, account.session.id)
            await store.mail_outbox.add("factor_removed", {"user_id": str(user.id)})
            await store.audit.add(
                visit.event(
                    "factor.removed",
                    "success",
                    user=user,
                    session=account.session,
                    factor=str(factor.id),
                    last=is_last,
                    sessions_ended=ended,
                )
            )
            return Go(f"{visit.base}/account")

    async def _needed(self, store: TenantStore, account: Account, visit: Visit) -> Show | None:
        """Why the last one cannot go yet, and what to do about it; None where it can."""
        if account.facts.rule.required_from is not None:
            text = f"{account.tenant.name} requires a second factor. Add another authenticator first."
            return _first(account, text, f"{visit.base}/account/factors/new", "Add an authenticator")
        password = await store.credentials.password(account.user.id)
        if password is not None and password.stands_alone:
            return None
        least = self.passwords.least_length(account.tenant, second_factor=False)
        text = (
            "Without a second factor your password has to protect your account alone, and it was not chosen for that. "
            f"Choose one of at least {least} characters first."
        )
        return _first(account, text, f"{visit.base}/account/password", "Choose a password")


_CONSEQUENCE = {
    True: "You log in with your password alone from then on. Your recovery codes are worth nothing any more, and no "
    "device is trusted. Everywhere else you are logged out.",
    False: "Its codes are worth nothing any more. Everywhere else you are logged out.",
}


@dataclass(frozen=True, slots=True)
class RenameFactorPage:
    """Another name for one of several."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """The form."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            factor = await _own_factor(store, account, visit)
            return self._form(account, factor.name)

    async def submit(self, visit: Visit) -> Answer:
        """Name it."""
        name = (visit.form.text("name") or "").strip()
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            factor = await _own_factor(store, account, visit)
            try:
                renamed = await store.factors.rename(account.user.id, factor.id, name)
            except InvalidValue:  # before anything was written
                return self._form(account, name, error=_BAD_NAME, status=422)
            if not renamed:
                raise NotFound(reason="factor_unknown")
            await store.audit.add(
                visit.event(
                    "factor.renamed", "success", user=account.user, session=account.session, factor=str(factor.id)
                )
            )
            return Go(f"{visit.base}/account")

    def _form(self, account: Account, name: str, *, error: str | None = None, status: int = 200) -> Show:
        return account.show(
            "account/factor_name.html", "Rename an authenticator", {"name": name[:100], "error": error}, status=status
        )


async def _own_factor(store: TenantStore, account: Account, visit: Visit) -> Factor:
    """The authenticator of the page's address.

    Raises:
        NotFound: it is none of this user's.
    """
    factor_id = id_of(visit)
    for factor in await store.factors.of_user(account.user.id):
        if factor.id == factor_id:
            return factor
    raise NotFound(reason="factor_unknown")


def _first(account: Account, text: str, url: str, link: str) -> Show:
    context = {"heading": "Not yet", "text": text, "link_url": url, "link_text": link}
    return account.show("message.html", "Not yet", context, status=409)
