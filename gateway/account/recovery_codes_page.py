"""``/account/recovery-codes``: ten new ones, shown this once. It takes a fresh login with the second factor that they
stand in for."""

from dataclasses import dataclass

from gateway.account.entry import Account, enter_fresh
from gateway.errors import NotFound
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class RecoveryCodesPage:
    """Only for who has a second factor: without one there is nothing to recover."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """How many are left, and a button."""
        async with self.site.step(visit) as store:
            account = await self._enter(store, visit)
            if isinstance(account, Go):
                return account
            left = await store.recovery_codes.left(account.user.id)
            context = {
                "heading": "Make new recovery codes?",
                "text": f"You have {left} left. They are worth nothing any more as soon as there are new ones.",
                "button": "Make new codes",
                "hidden": {},
                "cancel_url": f"{visit.base}/account",
            }
            return account.show("confirm.html", "Recovery codes", context)

    async def submit(self, visit: Visit) -> Answer:
        """Make them."""
        async with self.site.step(visit) as store:
            account = await self._enter(store, visit)
            if isinstance(account, Go):
                return account
            codes = await store.recovery_codes.make(account.user.id)
            await store.audit.add(
                visit.event("recovery_codes.made", "success", user=account.user, session=account.session)
            )
            context = {"codes": codes, "continue_url": f"{visit.base}/account"}
            return account.show("recovery_codes.html", "Your recovery codes", context)

    async def _enter(self, store: TenantStore, visit: Visit) -> Account | Go:
        account = await enter_fresh(store, visit, self.site.now())
        if isinstance(account, Account) and not account.facts.has_factor:
            raise NotFound(reason="factor_missing")
        return account
