"""``/account/sessions``: where somebody is logged in, and the end of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gateway.account.entry import Account, enter, id_in
from gateway.account.user_agent import summary
from gateway.errors import NotFound
from gateway.pages.site import Site
from gateway.pages.visit import Answer, Go, Visit
from gateway.place import Places
from tenants.sessions import Session
from tenants.store import TenantStore


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as its owner sees it. ``device`` is in words; ``app`` names the client of one without a browser."""

    id: UUID
    device: str
    app: str | None
    address: str
    place: str
    since: datetime
    seen: datetime
    is_this: bool


async def session_lines(store: TenantStore, account: Account, places: Places) -> Sequence[SessionLine]:
    """The sessions that live: this one first, then the last seen."""
    found = await store.sessions.of_user(account.user.id)
    apps = {client_id: await _app(store, client_id) for client_id in {session.client_id for session in found}}
    lines = [_line(session, account, places, app=apps[session.client_id]) for session in found]
    return sorted(lines, key=lambda line: (line.is_this, line.seen), reverse=True)


async def _app(store: TenantStore, client_id: str | None) -> str | None:
    client = None if client_id is None else await store.clients.get(client_id)
    return client_id if client is None else client.name


def _line(session: Session, account: Account, places: Places, *, app: str | None) -> SessionLine:
    return SessionLine(
        id=session.id,
        device=summary(session.visitor.user_agent),
        app=app,
        address=session.visitor.address,
        place=places.of(session.visitor.address),
        since=session.created_at or session.auth_time,
        seen=session.seen_at or session.auth_time,
        is_this=session.id == account.session.id,
    )


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """Lists them; ends the one in the field ``session``, or with ``others`` all but this one."""

    site: Site
    places: Places

    async def show(self, visit: Visit) -> Answer:
        """The list."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            lines = await session_lines(store, account, self.places)
            return account.show("account/sessions.html", "Sessions", {"sessions": lines})

    async def submit(self, visit: Visit) -> Answer:
        """End what was asked for. To end this one is to log out."""
        async with self.site.step(visit) as store:
            account = await enter(store, visit, self.site.now())
            if isinstance(account, Go):
                return account
            if visit.form.optional("others") is not None:
                await self._end_others(store, visit, account)
                return Go(f"{visit.base}/account/sessions")
            session = await store.sessions.get(id_in(visit.form.text("session")))
            if session is None or session.user_id != account.user.id:
                raise NotFound(reason="session_unknown")
            if await store.sessions.end(session.id):  # else it has ended meanwhile, which is what was wanted
                await store.audit.add(visit.event("session.ended", "success", user=account.user, session=session))
            if session.id == account.session.id:
                return Go(f"{visit.base}/login", {"session": None, "login": None})
            return Go(f"{visit.base}/account/sessions")

    async def _end_others(self, store: TenantStore, visit: Visit, account: Account) -> None:
        ended = await store.sessions.end_others(account.user.id, account.session.id)
        await store.audit.add(
            visit.event("session.ended", "success", reason="all_others", user=account.user, sessions_ended=ended)
        )
