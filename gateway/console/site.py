"""What all pages of the console go through, in this order, so that none can forget a step:

    place -> limit -> form and forgery check -> the session's token -> the page, which asks the API -> its look

Where the API wants a login, or a stronger one, the reader is sent there and back. Owns that order, and how refusals
look. It decides nothing about rights.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import urls
from gateway.console.api import Api, ApiRefused
from gateway.console.assets import asset
from gateway.console.place import Place
from gateway.console.rendering import rendered
from gateway.console.visit import Go, Page, Show, Visit
from gateway.errors import InvalidRequest, MethodNotAllowed, Refusal, TenantNotFound, TooManyRequests
from gateway.form import NO_FORM, Form, parse_form, parse_query, read_body
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.own_hosts import reached
from gateway.pages import forgery
from gateway.web import problem_response, respond
from tenants.snapshot import Snapshot

CONSOLE, ADMIN = "/console", "/t/{slug}/admin"
_ACR = re.compile(r'acr_values="([^"]*)"')
_STEP_UP = "insufficient_user_authentication"


class SignIn(Protocol):
    """Logins of the console's readers, as a client of the tenant's own issuer. Tokens stay behind it."""

    def origin(self, scope: Scope) -> str:
        """The console's own, as the browser knows it."""

    def secret(self, scope: Scope, place: Place) -> str | None:
        """The cookie's value, which forms are bound to."""

    async def token(self, scope: Scope, place: Place) -> str | None:
        """The access token of the session; None where there is none, or none any more. Raises Refusal."""

    async def begin(self, scope: Scope, place: Place, acr_values: tuple[str, ...] | None) -> Response:
        """To the login, and back to this page. None: a login as any other."""

    async def finish(self, scope: Scope, place: Place) -> Response:
        """Take the login's answer."""

    async def end(self, scope: Scope, place: Place) -> tuple[bytes, bytes]:
        """End the session, here and at the issuer: the field that has the browser forget it. Raises Refusal."""


@dataclass(frozen=True, slots=True)
class Console:
    """``operators``: on the management listener; ``api`` is the admin API's application there."""

    operators: bool
    api: ASGIApp
    sign_in: SignIn
    snapshot: Snapshot
    limit: AddressLimit

    def place(self, scope: Scope) -> Place:
        """Where this request is.

        Raises:
            TenantNotFound: at no tenant's that is served.
        """
        slug = urls.PLATFORM if self.operators else str(scope["path_params"].get("slug", ""))
        tenant = self.snapshot.by_slug(slug) if self.operators else reached(self.snapshot, slug, scope)
        if tenant is None or not tenant.active or (tenant.slug == urls.PLATFORM) != self.operators:
            raise TenantNotFound(reason="tenant_unknown")
        path = scope["raw_path"].decode("ascii")
        if self.operators:
            return Place(tenant, True, CONSOLE, path)
        base = urls.base(tenant.issuer)
        return Place(tenant, False, f"{base}/admin", base + path.removeprefix(f"/t/{slug}"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address, as an ASGI application."""

    console: Console
    page: Page

    @property
    def allowed(self) -> list[str]:
        """The methods that are answered."""
        return [*(("GET", "HEAD") if self.page.show else ()), *(("POST",) if self.page.submit else ())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["method"] not in self.allowed:
            headers = {"Allow": ", ".join(self.allowed)}
            await problem_response(Request(scope), MethodNotAllowed(), headers)(scope, receive, send)
            return
        await respond(self._respond(scope, receive), scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        console, sign_in = self.console, self.console.sign_in
        place = console.place(scope)
        try:
            limited(console, scope)
            form = NO_FORM
            if scope["method"] == "POST":
                form = await checked_form(sign_in, place, scope, receive)
            token = await sign_in.token(scope, place)
            if token is None:
                return await self._login(scope, place, None)
            slug = place.tenant.slug if not self.page.of_tenant else str(scope["path_params"]["slug"])
            if not urls.is_slug(slug):
                raise TenantNotFound(reason="slug_malformed")
            api = Api(console.api, scope, place, token)
            visit = Visit(place, api, slug, scope["path_params"], parse_query(scope["query_string"]), form)
            handler = self.page.submit if scope["method"] == "POST" else self.page.show
            if handler is None:
                raise MethodNotAllowed
            answer = await handler(visit)
        except ApiRefused as refused:
            if refused.status == 401:
                found = _ACR.search(refused.challenge) if refused.code == _STEP_UP else None
                return await self._login(scope, place, None if found is None else tuple(found[1].split()))
            heading = "You may not see this" if refused.status == 403 else "This cannot be shown"
            return said(place, heading, refused.told, refused.status)
        except Refusal as refusal:
            return said(place, "This cannot be done", refusal.public, refusal.status)
        except ClientDisconnect:  # nobody reads the answer; it is no fault of ours either
            return said(place, "This cannot be done", InvalidRequest.public, InvalidRequest.status)
        if isinstance(answer, Go):
            return RedirectResponse(answer.to, 303, {"Cache-Control": "no-store"})
        secret = sign_in.secret(scope, place)
        return rendered(answer, place, slug=slug, form_token="" if secret is None else forgery.form_token(secret))

    async def _login(self, scope: Scope, place: Place, acr_values: tuple[str, ...] | None) -> Response:
        """A form that was sent is not sent again after a login: its page leads there."""
        if scope["method"] == "POST":
            return said(place, "Your session has ended", "Nothing was changed. Go back to the console.", 401)
        return await self.console.sign_in.begin(scope, place, acr_values)


@dataclass(frozen=True, slots=True)
class Callback:
    """Where a login comes back."""

    console: Console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await respond(self._respond(scope), scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        place = self.console.place(scope)
        try:
            limited(self.console, scope)
            return await self.console.sign_in.finish(scope, place)
        except Refusal as refusal:
            return said(place, "Nobody was logged in", refusal.public, refusal.status)


@dataclass(frozen=True, slots=True)
class SignOut:
    """The end of a session."""

    console: Console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await respond(self._respond(scope, receive), scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        place = self.console.place(scope)
        try:
            limited(self.console, scope)
            await checked_form(self.console.sign_in, place, scope, receive)
            cookie = await self.console.sign_in.end(scope, place)
        except Refusal as refusal:
            return said(place, "This cannot be done", refusal.public, refusal.status)
        answer = said(place, "You are logged out", "Your session has ended, here and where you logged in.", 200)
        answer.raw_headers.append(cookie)
        return answer


@dataclass(frozen=True, slots=True)
class File:
    """A file that pages load."""

    console: Console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        await respond(self._respond(scope), scope, receive, send)

    async def _respond(self, scope: Scope) -> Response:
        self.console.place(scope)
        return asset(str(scope["path_params"]["name"]))


def limited(console: Console, scope: Scope) -> None:
    """Raises TooManyRequests: this address has asked too often."""
    seconds = console.limit.refused_for(context_of(scope).address)
    if seconds is not None:
        raise TooManyRequests(reason="address_limit", retry_after=seconds)


async def checked_form(sign_in: SignIn, place: Place, scope: Scope, receive: Receive) -> Form:
    """The form of a POST.

    Raises:
        Refusal: it cannot be read, or none of our own pages has sent it.
    """
    request = Request(scope)
    body = await read_body(receive, request.headers.get("content-length"))
    form = parse_form(request.headers.get("content-type"), body)
    secret, presented = sign_in.secret(scope, place), form.text("form_token")
    forgery.check(request, public_origin=sign_in.origin(scope), secret=secret, presented=presented)
    return form


def said(place: Place, heading: str, text: str, status: int) -> Response:
    """A page that says no more than this, with the way back."""
    return rendered(Show("said.html", heading, {"heading": heading, "text": text}, status), place, slug=None)
