"""What all endpoints of an issuer go through, in this order: tenant, preflight, limit, form, the endpoint, its headers.

An endpoint is an ``async`` function from a ``Call`` to a response; it cannot forget any of these. Owns them, and how
refusals look to an application. Not what any endpoint answers.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from gateway.audit import Observation
from gateway.authn.visitor import visitor_of
from gateway.context import RequestContext
from gateway.errors import InvalidRequest, OAuthError, Overloaded, Refusal, TenantNotFound, TooManyAttempts
from gateway.form import NO_FORM, Form, parse_form, parse_query, read_body
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.oauth import cors
from gateway.own_hosts import reached
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import Snapshot, TenantFacts
from tenants.visitor import Visitor

_log = structlog.get_logger("yett.oauth")
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 section 5.1: on whatever may carry a token."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of an endpoint, parsed. ``url`` is the endpoint's own, from the issuer and never from ``Host``.

    ``form`` is the body of a POST and the query of a GET; ``body`` is there for endpoints that take JSON.
    ``authorizations`` and ``proofs`` are the fields Authorization and DPoP, as many as there are; ``accept`` is Accept.
    ``parameters`` are those of the path, by name.
    """

    tenant: TenantFacts
    method: str
    url: str
    form: Form
    authorizations: tuple[str, ...] = field(repr=False)
    proofs: tuple[str, ...] = field(repr=False)
    body: bytes = field(repr=False)
    context: RequestContext
    visitor: Visitor
    accept: str = ""
    content_type: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[Call], Awaitable[Response]]


class Endpoints:
    """The parts that endpoints share. ``nonce`` is a tenant's, for the next DPoP proof."""

    def __init__(
        self,
        snapshot: Snapshot,
        limit: AddressLimit,
        observe: Callable[[Observation], None],
        nonce: Callable[[UUID], str],
    ) -> None:
        self._snapshot = snapshot
        self._limit = limit
        self._observe = observe
        self._nonce = nonce

    def add(
        self,
        router: APIRouter,
        path: str,
        handle: Handle,
        *,
        methods: Sequence[str] = ("POST",),
        event: str = "token",
        takes_json: bool = False,
    ) -> None:
        """Route an endpoint below the issuer. ``event`` names what is observed where it refuses.

        One route for all methods, so that a 405 names them.
        """

        async def endpoint(slug: str, request: Request) -> Response:
            tenant = self.tenant_of(slug, request, event)
            origin = request.headers.get("origin")
            if request.method == "OPTIONS":
                preflight = cors.preflight_headers(origin, tenant.origins, methods)
                return Response(status_code=204, headers=preflight)
            try:
                response = await handle(await self._call(tenant, path, request, takes_json))
            except OAuthError as error:
                return self._refused(error, request, tenant, event)
            except ClientDisconnect:  # nobody reads the answer; it is no fault of ours either
                return self._refused(InvalidRequest(reason="body_incomplete"), request, tenant, event)
            except DATABASE_ERRORS as error:
                _log.warning("database_unavailable", error=type(error).__name__)
                overloaded = Overloaded(reason="database_unavailable", retry_after=1)
                return self._refused(overloaded, request, tenant, event)
            response.headers.update({**NO_STORE, **self._answer_headers(request, tenant)})
            return response

        router.add_api_route(f"/t/{{slug}}{path}", endpoint, methods=[*methods, "OPTIONS"], response_model=None)

    def tenant_of(self, slug: str, request: Request, event: str = "request") -> TenantFacts:
        """The tenant of the path. A suspended one is refused everywhere in the same words as one that is not there."""
        tenant = reached(self._snapshot, slug, request.scope)
        if tenant is not None and tenant.active:
            return tenant
        refusal = TenantNotFound(reason=None if tenant is None else "tenant_suspended")
        self._observe(_observation(refusal, request, tenant, event))
        raise refusal

    async def _call(self, tenant: TenantFacts, path: str, request: Request, takes_json: bool) -> Call:
        seconds = self._limit.refused_for(request)
        if seconds is not None:
            raise TooManyAttempts(reason="address_limit", retry_after=seconds)
        body, form = b"", NO_FORM
        if request.method in ("GET", "HEAD", "DELETE"):
            form = parse_query(request.scope["query_string"])
        else:
            body = await read_body(request.stream(), request.headers.get("content-length"))
            if not takes_json and (body or request.headers.get("content-type")):
                form = parse_form(request.headers.get("content-type"), body)
        return Call(
            tenant=tenant,
            method=request.method,
            url=tenant.issuer + path.format_map(request.path_params),
            form=form,
            authorizations=tuple(request.headers.getlist("authorization")),
            proofs=tuple(request.headers.getlist("dpop")),
            body=body,
            context=context_of(request.scope),
            visitor=visitor_of(request),
            accept=",".join(request.headers.getlist("accept")),
            content_type=request.headers.get("content-type", ""),
            parameters=request.path_params,
        )

    def _refused(self, error: OAuthError, request: Request, tenant: TenantFacts, event: str) -> Response:
        if not error.told:
            self._observe(_observation(error, request, tenant, event))
        headers = {**error.headers(), **self._answer_headers(request, tenant)}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)

    def _answer_headers(self, request: Request, tenant: TenantFacts) -> dict[str, str]:
        headers = cors.answer_headers(request.headers.get("origin"), tenant.origins)
        if "dpop" in request.headers:
            headers["DPoP-Nonce"] = self._nonce(tenant.id)  # RFC 9449 section 8.2
        return headers


def _observation(error: Refusal, request: Request, tenant: TenantFacts | None, event: str) -> Observation:
    context = context_of(request.scope)
    return Observation(
        outcome="refused",
        event=event,
        reason=error.reason,
        status=error.status,
        route=None,
        method=request.method,
        path=request.scope["path"],
        request_id=context.request_id,
        address=str(context.address),
        tenant_id=None if tenant is None else tenant.id,
    )
