"""One request of a browser to a page of a tenant, parsed; and what a page answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from starlette.requests import Request

from gateway.form import Form
from gateway.pages.cookies import CookieKind
from gateway.pages.page import Page
from tenants.audit_event import Event, Outcome
from tenants.sessions import Session
from tenants.tenant import Tenant
from tenants.users import User
from tenants.visitor import Visitor

NO_COOKIES: Mapping[CookieKind, str | None] = {}


@dataclass(frozen=True, slots=True)
class Visit:
    """``issuer`` is the one by which it came; ``base`` is the path of its pages (``/t/acme``, or empty at an own host).
    ``form`` is empty for a GET. Secrets are unverified.
    """

    tenant_id: UUID
    slug: str
    issuer: str
    base: str
    request: Request
    form: Form
    query: Form
    visitor: Visitor
    request_id: str
    session_secret: str | None = field(repr=False)
    login_secret: str | None = field(repr=False)
    device_secret: str | None = field(repr=False)

    @property
    def path(self) -> str:
        """Of the page itself, as the browser knows it: routes are written below ``/t/{slug}``."""
        return self.base + str(self.request.scope["path"]).removeprefix(f"/t/{self.slug}")

    def event(
        self,
        kind: str,
        outcome: Outcome,
        *,
        reason: str | None = None,
        user: User | None = None,
        session: Session | None = None,
        client_id: str | None = None,
        **details: str | int | bool | list[str],
    ) -> Event:
        """An audit event about this visit."""
        return Event(
            type=kind,
            outcome=outcome,
            reason=reason,
            subject=None if user is None else str(user.id),
            user_name=None if user is None else user.name,
            session_id=None if session is None else str(session.id),
            client_id=client_id,
            request_id=self.request_id,
            address=self.visitor.address,
            details=details,
        )


@dataclass(frozen=True, slots=True)
class Show:
    """A page. ``cookies`` are set, or cleared where the value is None. Its forms are bound to ``form_secret``, and may
    end at ``form_origins`` beside our own.
    """

    tenant: Tenant
    page: Page
    form_secret: str = field(default="", repr=False)
    form_origins: tuple[str, ...] = ()
    cookies: Mapping[CookieKind, str | None] = field(default_factory=lambda: NO_COOKIES, repr=False)


@dataclass(frozen=True, slots=True)
class Go:
    """303 to an address that was checked: below our own base, or registered."""

    to: str
    cookies: Mapping[CookieKind, str | None] = field(default_factory=lambda: NO_COOKIES, repr=False)


Answer = Show | Go
