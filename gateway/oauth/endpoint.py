"""What all endpoints of an issuer go through, in this order: tenant, preflight, limit, form, the endpoint, its headers.

An endpoint is an ``async`` function from a ``Call`` to a response; it cannot forget any of these. Owns them, and how
refusals look to an application. Not what any endpoint answers, nor how one is found (gateway/direct.py).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gateway import pace
from gateway.audit import Observation
from gateway.context import RequestContext
from gateway.errors import (
    InvalidRequest,
    OAuthError,
    Overloaded,
    Refusal,
    TenantNotFound,
    TooManyAttempts,
)
from gateway.form import NO_FORM, Form, parse_form, parse_query, read_body
from gateway.header_fields import Fields
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.oauth import cors
from gateway.own_hosts import reached
from gateway.web import respond
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import Snapshot, TenantFacts
from tenants.visitor import Visitor

_log = structlog.get_logger("yett.oauth")
_NO_STORE = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))  # RFC 6749 section 5.1: it may carry a token
_NO_PARAMETERS: Final[Mapping[str, str]] = MappingProxyType({})
_FIELDS = frozenset(
    {b"accept", b"authorization", b"content-length", b"content-type", b"dpop", b"origin", b"user-agent"}
)


class Call(NamedTuple):
    """One request of an endpoint, parsed. ``url`` is the endpoint's own, from the issuer and never from ``Host``.

    ``form`` is the body of a POST and the query of a GET; ``body`` is there for endpoints that take JSON.
    ``authorizations`` and ``proofs`` are the fields Authorization and DPoP, as many as there are; ``accept`` is Accept.
    ``parameters`` are those of the path, by name.
    """

    tenant: TenantFacts
    method: str
    url: str
    form: Form
    authorizations: tuple[str, ...]
    proofs: tuple[str, ...]
    body: bytes
    context: RequestContext
    visitor: Visitor
    accept: str = ""
    content_type: str = ""
    parameters: Mapping[str, str] = _NO_PARAMETERS

    def __repr__(self) -> str:
        return f"Call({self.method} {self.url}, {self.form!r})"  # most of the rest is secret


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

    def tenant_of(self, slug: str, scope: Scope, event: str = "request") -> TenantFacts:
        """The tenant of the path. A suspended one is refused everywhere in the same words as one that is not there."""
        tenant = reached(self._snapshot, slug, scope)
        if tenant is not None and tenant.active:
            return tenant
        refusal = TenantNotFound(reason=None if tenant is None else "tenant_suspended")
        self.observe(refusal, scope, tenant, event)
        raise refusal

    def admit(self, scope: Scope) -> None:
        """Count a call. Raises TooManyAttempts."""
        seconds = self._limit.refused_for(context_of(scope).address)
        if seconds is not None:
            raise TooManyAttempts(reason="address_limit", retry_after=seconds)

    def observe(self, error: Refusal, scope: Scope, tenant: TenantFacts | None, event: str) -> None:
        """Tell of a refusal that no event in the database tells of."""
        context = context_of(scope)
        self._observe(
            Observation(
                outcome="refused",
                event=event,
                reason=error.reason,
                status=error.status,
                route=None,
                method=scope["method"],
                path=scope["path"],
                request_id=context.request_id,
                address=str(context.address),
                tenant_id=None if tenant is None else tenant.id,
            )
        )

    def answer_headers(self, fields: Fields, tenant: TenantFacts) -> dict[str, str]:
        """What every answer has. Whoever sends DPoP proofs learns the nonce of the next one (RFC 9449 section 8.2)."""
        headers = cors.answer_headers(fields.first(b"origin"), tenant.origins)
        if fields.first(b"dpop") is not None:
            headers["DPoP-Nonce"] = self._nonce(tenant.id)
        return headers


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address below an issuer, as an ASGI application. ``event`` names what is observed where it refuses."""

    shared: Endpoints
    path: str
    handle: Handle
    methods: Sequence[str] = ("POST",)
    event: str = "token"
    takes_json: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. The path's parameters are in ``scope``, as a router leaves them there."""
        await respond(self._respond(scope, receive), scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        tenant = self.shared.tenant_of(scope["path_params"]["slug"], scope, self.event)
        came_at = pace.now()
        fields = Fields.of(scope, _FIELDS)
        if scope["method"] == "OPTIONS":
            preflight = cors.preflight_headers(fields.first(b"origin"), tenant.origins, self.methods)
            return Response(status_code=204, headers=preflight)
        try:
            self.shared.admit(scope)
            response = await self.handle(await self._call(tenant, scope, fields, receive))
        except OAuthError as error:
            await pace.no_sooner(came_at, error.no_sooner)
            return self._refused(error, scope, tenant, fields)
        except ClientDisconnect:  # nobody reads the answer; it is no fault of ours either
            return self._refused(InvalidRequest(reason="body_incomplete"), scope, tenant, fields)
        except DATABASE_ERRORS as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            overloaded = Overloaded(reason="database_unavailable", retry_after=1)
            return self._refused(overloaded, scope, tenant, fields)
        ours = self.shared.answer_headers(fields, tenant)
        response.raw_headers += _NO_STORE
        response.raw_headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in ours.items()]
        return response

    async def _call(self, tenant: TenantFacts, scope: Scope, fields: Fields, receive: Receive) -> Call:
        body, form = b"", NO_FORM
        content_type = fields.first(b"content-type")
        if scope["method"] in ("GET", "HEAD", "DELETE"):
            form = parse_query(scope["query_string"])
        else:
            body = await read_body(receive, fields.first(b"content-length"))
            if not self.takes_json and (body or content_type):
                form = parse_form(content_type, body)
        context = context_of(scope)
        return Call(
            tenant=tenant,
            method=scope["method"],
            url=tenant.issuer + self.path.format_map(scope["path_params"]),
            form=form,
            authorizations=fields.all(b"authorization"),
            proofs=fields.all(b"dpop"),
            body=body,
            context=context,
            visitor=Visitor.of(context.address, fields.first(b"user-agent") or ""),
            accept=",".join(fields.all(b"accept")),
            content_type=content_type or "",
            parameters=scope["path_params"],
        )

    def _refused(self, error: OAuthError, scope: Scope, tenant: TenantFacts, fields: Fields) -> Response:
        if not error.told:
            self.shared.observe(error, scope, tenant, self.event)
        headers = {**error.headers(), **self.shared.answer_headers(fields, tenant)}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)
