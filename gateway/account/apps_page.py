"""``/account/apps``: which applications somebody lets into their account, and the end of it.

Owns what ends with a consent: all that the application has of it, access tokens that it holds included.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.account.entry import enter
from gateway.pages.scope_words import in_words
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from tenants.consents import ConsentedClient
from tenants.revocations import of_grant


@dataclass(frozen=True, slots=True)
class AppLine:
    """An application as its user sees it. ``asks`` is what it may do, in words."""

    client_id: str
    name: str
    asks: Sequence[str]
    since: datetime


@dataclass(frozen=True, slots=True)
class AppsPage:
    """Lists them; takes the consent back that the field ``client`` names."""

    site: Site

    async def show(self, visit: Visit) -> Answer:
        """The list."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            lines = [_line(found) for found in await store.consents.of_user(account.user.id)]
            return account.show("account/apps.html", "Applications", {"apps": lines})

    async def submit(self, visit: Visit) -> Answer:
        """Take it back. Of an application that has none, that is done already."""
        client_id = visit.form.text("client") or ""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            withdrawn = await store.consents.withdraw(account.user.id, client_id)
            known = withdrawn or await store.clients.get(client_id) is not None
            if withdrawn:
                ended = await store.refresh_tokens.revoke_of_client(account.user.id, client_id)
                await store.audit.add(
                    visit.event(
                        "consent.withdrawn",
                        "success",
                        user=account.user,
                        session=account.session,
                        client_id=client_id,
                        families_ended=ended,
                    )
                )
        if known:
            # In a step of its own, whose time is later than any at which the application can have got a token; and
            # again where it was taken back before, since that may have been cut off here.
            async with self.site.step(visit) as store:
                for session in await store.sessions.of_user(account.user.id):
                    await store.revocations.revoke("grant", of_grant(session.id, client_id))
        return Go(f"{visit.base}/account/apps")


def _line(found: ConsentedClient) -> AppLine:
    consent = found.consent
    return AppLine(consent.client_id, found.name, in_words(consent.scopes), consent.granted_at)
