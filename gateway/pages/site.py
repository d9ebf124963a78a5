"""What all pages of a tenant go through, in this order: tenant, limit, form, forgery check, the page, its cookies.

A page is an ``async`` function from a ``Visit`` to an ``Answer``; it cannot forget any of these. Owns them, and how
refusals look to a person. Not what any page shows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway import urls
from gateway.audit import Observation
from gateway.errors import (
    InvalidRequest,
    MethodNotAllowed,
    Overloaded,
    Refusal,
    TenantNotFound,
    TooManyRequests,
    Unavailable,
)
from gateway.form import NO_FORM, parse_form, parse_query, read_body
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.own_hosts import reached
from gateway.pages import forgery
from gateway.pages.cookies import Cookies
from gateway.pages.page import Page
from gateway.pages.renderer import Renderer
from gateway.pages.visit import Answer, Show, Visit
from gateway.tenancy import step
from gateway.web import problem_response, respond
from policies import issuer as own_issuers
from tenants.database import DATABASE_ERRORS
from tenants.issuers import Issuers
from tenants.snapshot import Snapshot, TenantFacts
from tenants.store import Store, TenantStore
from tenants.tenant import Tenant
from tenants.visitor import Visitor

_log = structlog.get_logger("yett.pages")
_DEVICE_AGE = 180 * 24 * 3600  # the row that it stands for has an age of its own

Handler = Callable[[Visit], Awaitable[Answer]]
Endpoint = Callable[[str, Request], Awaitable[Response]]
BoundTo = Literal["login", "session", "nothing"]
"""The cookie that a page's form is bound to. ``nothing``: other sites post here, so it must not act on a POST alone."""


class Site:
    """The parts that pages share. ``public_url`` and tenants' own hosts are the only source of our own origin."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        store: Store,
        issuers: Issuers,
        renderer: Renderer,
        limit: AddressLimit,
        observe: Callable[[Observation], None],
        clock: Callable[[], datetime],
        public_url: str,
    ) -> None:
        self._snapshot = snapshot
        self._store = store
        self._issuers = issuers
        self._renderer = renderer
        self._limit = limit
        self._observe = observe
        self._public_url = public_url
        self.now = clock

    def step(self, visit: Visit, *, read_only: bool = False) -> AbstractAsyncContextManager[TenantStore]:
        """One transaction for the tenant that is visited."""
        return step(self._store, visit.tenant_id, read_only=read_only)

    async def tenant(self, visit: Visit) -> Tenant:
        """The tenant that is visited, from this process's memory: as old as the change feed at most (rule 5).

        Raises:
            TenantNotFound: it was suspended or deleted.
        """
        issuer = await self._issuers.get(visit.tenant_id, under=visit.issuer)
        if issuer is None or not issuer.tenant.active:
            raise TenantNotFound(reason="tenant_suspended")
        return issuer.tenant

    def endpoint(self, handler: Handler, *, bound_to: BoundTo) -> Endpoint:
        """The page as a route's function. A POST has to carry the form token of the cookie that it is bound to."""

        async def endpoint(slug: str, request: Request) -> Response:
            tenant = self.tenant_of(slug, request)
            try:
                visit = await self._visit(tenant, request)
                if request.method == "POST" and bound_to != "nothing":
                    secret = visit.login_secret if bound_to == "login" else visit.session_secret
                    forgery.check(
                        request,
                        public_origin=self._origin(tenant),
                        secret=secret,
                        presented=visit.form.text("form_token"),
                    )
                answer = await handler(visit)
            except Refusal as refusal:
                return await self._refused(refusal, request, tenant)
            except ClientDisconnect:  # nobody reads the answer; it is no fault of ours either
                return await self._refused(InvalidRequest(reason="body_incomplete"), request, tenant)
            except DATABASE_ERRORS as error:
                _log.warning("database_unavailable", error=type(error).__name__)
                return await self._refused(Overloaded(reason="database_unavailable", retry_after=1), request, tenant)
            if isinstance(answer, Show):
                await asyncio.sleep(0)  # to render takes as long as to decide what: others have their turn between
            return self._response(answer, tenant)

        return endpoint

    def tell(self, visit: Visit, refusal: Refusal) -> None:
        """Observe a refusal that a page shows in its form: strangers decide how many there are of these."""
        self._observe(_observation(refusal, visit.request, self._snapshot.by_id(visit.tenant_id)))

    def add(
        self,
        router: APIRouter,
        path: str,
        show: Handler,
        submit: Handler,
        *,
        bound_to: BoundTo,
        methods: Sequence[str] = ("GET", "HEAD", "POST"),
    ) -> None:
        """Route a page: ``show`` answers GET and HEAD, ``submit`` POST. One route, so that a 405 names all of them."""

        async def page(visit: Visit) -> Answer:
            return await (submit if visit.request.method == "POST" else show)(visit)

        endpoint = Routed(self.endpoint(page, bound_to=bound_to), methods)
        router.routes.append(Route(f"/t/{{slug}}{path}", endpoint, methods=list(methods)))

    def tenant_of(self, slug: str, request: Request) -> TenantFacts:
        """The tenant of the path. A suspended one is refused in the same words as one that is not there."""
        tenant = reached(self._snapshot, slug, request.scope)
        if tenant is not None and tenant.active:
            return tenant
        refusal = TenantNotFound(reason=None if tenant is None else "tenant_suspended")
        self._observe(_observation(refusal, request, tenant))
        raise refusal

    async def _visit(self, tenant: TenantFacts, request: Request) -> Visit:
        seconds = self._limit.refused_for(context_of(request.scope).address)
        if seconds is not None:
            raise TooManyRequests(reason="address_limit", retry_after=seconds)
        form = NO_FORM
        if request.method == "POST":
            body = await read_body(request.receive, request.headers.get("content-length"))
            form = parse_form(request.headers.get("content-type"), body)
        context = context_of(request.scope)
        cookies = Cookies(self._origin(tenant))
        return Visit(
            tenant_id=tenant.id,
            slug=tenant.slug,
            issuer=tenant.issuer,
            base=urls.base(tenant.issuer),
            request=request,
            form=form,
            query=parse_query(request.scope["query_string"]),
            visitor=Visitor.of(context.address, request.headers.get("user-agent", "")),
            request_id=context.request_id,
            session_secret=cookies.read(request, tenant.slug, "session"),
            login_secret=cookies.read(request, tenant.slug, "login"),
            device_secret=cookies.read(request, tenant.slug, "device"),
        )

    def _origin(self, tenant: TenantFacts) -> str:
        """Of the pages by which the request came."""
        return self._public_url if own_issuers.own_host(tenant.issuer) is None else tenant.issuer

    def _response(self, answer: Answer, tenant: TenantFacts) -> Response:
        if isinstance(answer, Show):
            token = forgery.form_token(answer.form_secret) if answer.form_secret else ""
            shown = replace(answer.tenant, issuer=tenant.issuer)
            response = self._renderer.response(
                answer.page, tenant=shown, form_token=token, form_origins=answer.form_origins
            )
        else:
            response = RedirectResponse(answer.to, status_code=303, headers={"Cache-Control": "no-store"})
        cookies = Cookies(self._origin(tenant))
        for kind, value in answer.cookies.items():
            if value is None:
                cookies.clear(response, tenant.slug, kind)
            else:
                cookies.set(response, tenant.slug, kind, value, max_age=_DEVICE_AGE if kind == "device" else None)
        return response

    async def _refused(self, refusal: Refusal, request: Request, tenant: TenantFacts) -> Response:
        """A page that says what is wrong; without a database, the bare problem."""
        if not refusal.told:
            self._observe(_observation(refusal, request, tenant))
        if isinstance(refusal, TooManyRequests):  # the limit is there to protect the database, too
            return problem_response(request, refusal)
        found: Tenant | None = None
        try:
            async with step(self._store, tenant.id, read_only=True) as store:
                found = await store.settings.get()
        except DATABASE_ERRORS as error:
            _log.warning("database_unavailable", error=type(error).__name__)
        if found is None:
            return problem_response(request, Unavailable(retry_after=refusal.retry_after))
        context = {
            "heading": refusal.heading,
            "text": refusal.public,
            "request_id": context_of(request.scope).request_id,
        }
        page = Page("error.html", "Error", context, refusal.status, refusal.headers())
        return self._renderer.response(page, tenant=replace(found, issuer=tenant.issuer))


@dataclass(frozen=True, slots=True)
class Routed:
    """A page as an ASGI application, so that it is found by one look-up (gateway/direct.py)."""

    endpoint: Endpoint
    allowed: Sequence[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. The path's parameters are in ``scope``, as a router leaves them there."""
        if scope["method"] not in self.allowed:  # a router takes HEAD for asked where GET is
            refused = problem_response(Request(scope), MethodNotAllowed(), {"Allow": ", ".join(sorted(self.allowed))})
            await refused(scope, receive, send)
            return
        response = self.endpoint(scope["path_params"]["slug"], Request(scope, receive))
        await respond(response, scope, receive, send)


def _observation(refusal: Refusal, request: Request, tenant: TenantFacts | None) -> Observation:
    context = context_of(request.scope)
    return Observation(
        outcome="refused",
        event="page",
        reason=refusal.reason,
        status=refusal.status,
        route=None,
        method=request.method,
        path=request.scope["path"],
        request_id=context.request_id,
        address=str(context.address),
        tenant_id=None if tenant is None else tenant.id,
    )
