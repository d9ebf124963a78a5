"""``/account``: everything of an account on one page, and the ways to what can be changed."""

from dataclasses import dataclass

from gateway.account.activity_page import activity_lines
from gateway.account.devices_page import device_lines
from gateway.account.entry import enter
from gateway.account.sessions_page import session_lines
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from gateway.place import Places

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """``mail``: letters can be sent, so that an address can be changed."""

    site: Site
    places: Places
    mail: bool

    async def show(self, visit: Visit) -> Answer:
        """The page."""
        now = self.site.now()
        async with self.site.step(visit) as store:
            account = await enter(store, visit, now)
            if isinstance(account, Go):
                return account
            rule = account.facts.rule
            sessions = await session_lines(store, account, self.places)
            devices = await device_lines(store, account, self.places, now)
            context = {
                "user": account.user,
                "can_change_email": self.mail,
                "factors": await store.factors.of_user(account.user.id),
                "factor_offered": rule.offered,
                "factor_due": None if account.facts.has_factor else rule.required_from,
                "codes_left": await store.recovery_codes.left(account.user.id),
                "sessions": sessions[:_SHOWN],
                "session_count": len(sessions),
                "devices": devices[:_SHOWN],
                "device_count": len(devices),
                "activity": await activity_lines(store, account, self.places, limit=_SHOWN),
            }
            return account.show("account/overview.html", "Your account", context)
