"""``/.yett/logout``: the person's session ends, here and at the issuer, with every token that came of it.

A GET asks, so that no link of another site logs anybody out; the form that it shows, and any of the application's own
pages, may post.
"""

from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from gateway.browser import cookies
from gateway.browser.login import host_of, is_secure
from gateway.browser.sealed import Seals
from gateway.proxy import refusal
from gateway.proxy.browser_app import BrowserApp
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest
from gateway.tenancy import step
from tenants.audit_event import Event
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import TenantFacts
from tenants.store import Store

PATH: Final = b"/.yett/logout"
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<main><h1>{title}</h1>{body}</main></html>
"""
_ASK = _PAGE.format(
    title="Log out?",
    body="<p>Your session ends, here and where you logged in.</p>"
    '<form method="post" action="/.yett/logout"><button>Log out</button></form>',
).encode()
_DONE = _PAGE.format(title="You are logged out", body="<p>Your session has ended.</p>").encode()
_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)

TenantOf = Callable[[str], TenantFacts | None]


class BrowserLogout:
    """Ends sessions."""

    def __init__(self, store: Store, seals: Seals, tenant_of: TenantOf) -> None:
        self._store = store
        self._seals = seals
        self._tenant_of = tenant_of

    def ask(self) -> OwnAnswer:
        """The question."""
        return _page(_ASK)

    async def end(self, request: ProxiedRequest, apps: Mapping[str, BrowserApp]) -> OwnAnswer | Refusal:
        """All of them that this browser has at this host. The caller has seen to it that a page of this origin asks."""
        host, secure = host_of(request), is_secure(request)
        forgotten = []
        for slug in apps:
            name, tenant = cookies.name(slug, "app", secure=secure), self._tenant_of(slug)
            value = cookies.read(request.inbound.cookies, name)
            if value is None:
                continue
            forgotten.append(cookies.field(name, b"", secure=secure, max_age=0))
            session = None if tenant is None else self._seals.opened_session(value, tenant_id=tenant.id, host=host)
            if tenant is not None and session is not None:
                try:
                    await self.end_one(request, tenant, UUID(session.session_id), session.client_id)
                except DATABASE_ERRORS:
                    return refusal.retry_later(refusal.BROWSER_UNAVAILABLE, "database_unavailable")
        return _page(_DONE, *forgotten)

    async def end_one(self, request: ProxiedRequest, tenant: TenantFacts, session_id: UUID, client_id: str) -> None:
        """This session. Raises DATABASE_ERRORS."""
        async with step(self._store, tenant.id) as store:
            session = await store.sessions.get(session_id)
            if session is None or not await store.sessions.end(session.id):
                return
            user = await store.users.get(session.user_id)
            await store.audit.add(
                Event(
                    type="logout",
                    outcome="success",
                    subject=str(session.user_id),
                    user_name=None if user is None else user.name,
                    session_id=str(session.id),
                    client_id=client_id,
                    request_id=request.ids.text,
                    address=request.origin.text,
                )
            )


def _page(body: bytes, *fields: tuple[bytes, bytes]) -> OwnAnswer:
    return OwnAnswer(200, "browser_logout", (*_HEADERS, (b"content-length", b"%d" % len(body)), *fields), body)
