"""The HTTP side of an issuer: addresses, media types, cross-origin rules. What is decided stands in the pipeline."""

from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from gateway.audit import Observation
from gateway.authn.visitor import visitor_of
from gateway.errors import InvalidRequest, OAuthError, Overloaded, Refusal, TenantNotFound, TooManyAttempts
from gateway.form import parse_form, read_body
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.oauth import cors, metadata
from gateway.oauth.pipeline import TokenPipeline
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import Snapshot, TenantFacts

_log = structlog.get_logger("yett.oauth")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1
_READ = ["GET", "HEAD"]  # RFC 9110 section 9.1
_METADATA_CACHE = "public, max-age=300"


def oauth_router(
    snapshot: Snapshot,
    pipeline: TokenPipeline,
    limit: AddressLimit,
    observe: Callable[[Observation], None],
) -> APIRouter:
    """The routes below ``/t/{slug}`` and the well-known address of RFC 8414."""
    router = APIRouter()

    def tenant_of(slug: str, request: Request, event: str = "request") -> TenantFacts:
        """The tenant of the path. A suspended one is refused everywhere in the same words as one that is not there."""
        tenant = snapshot.by_slug(slug)
        if tenant is not None and tenant.active:
            return tenant
        refusal = TenantNotFound(reason=None if tenant is None else "tenant_suspended")
        observe(_refusal(refusal, request, tenant, event))
        raise refusal

    def cross_origin(request: Request, tenant: TenantFacts) -> dict[str, str]:
        return cors.answer_headers(request.headers.get("origin"), tenant.origins)

    def refused(error: OAuthError, request: Request, tenant: TenantFacts) -> Response:
        if not error.told:
            observe(_refusal(error, request, tenant, "token"))
        headers = {**error.headers(), **cross_origin(request, tenant)}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)

    @router.api_route("/t/{slug}/.well-known/openid-configuration", methods=_READ)
    @router.api_route("/.well-known/oauth-authorization-server/t/{slug}", methods=_READ)
    async def discovery(slug: str, request: Request) -> Response:
        document = metadata.server_metadata(tenant_of(slug, request))
        return JSONResponse(document, headers={"Cache-Control": _METADATA_CACHE, **cors.PUBLIC})

    @router.api_route("/t/{slug}/jwks", methods=_READ)
    async def jwks(slug: str, request: Request) -> Response:
        document = metadata.jwks(tenant_of(slug, request))
        headers = {"Cache-Control": metadata.JWKS_CACHE, **cors.PUBLIC}
        return JSONResponse(document, headers=headers, media_type="application/jwk-set+json")

    @router.api_route("/t/{slug}/token", methods=["POST", "OPTIONS"])  # one route, so that a 405 names both
    async def token(slug: str, request: Request) -> Response:
        tenant = tenant_of(slug, request, "token")
        if request.method == "OPTIONS":
            preflight = cors.preflight_headers(request.headers.get("origin"), tenant.origins)
            return Response(status_code=204, headers=preflight)
        try:
            seconds = await limit.refused_for(request)
            if seconds is not None:
                raise TooManyAttempts(reason="address_limit", retry_after=seconds)
            body = await read_body(request.stream(), request.headers.get("content-length"))
            form = parse_form(request.headers.get("content-type"), body)
            answer = await pipeline.run(
                tenant.id,
                form,
                request.headers.getlist("authorization"),
                context_of(request.scope),
                visitor_of(request),
            )
        except OAuthError as error:
            return refused(error, request, tenant)
        except ClientDisconnect:  # nobody reads the answer; it is no fault of ours either
            return refused(InvalidRequest(reason="body_incomplete"), request, tenant)
        except DATABASE_ERRORS as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            return refused(Overloaded(reason="database_unavailable", retry_after=1), request, tenant)
        return JSONResponse(answer.body(), headers={**_NO_STORE, **cross_origin(request, tenant)})

    return router


def _refusal(error: Refusal, request: Request, tenant: TenantFacts | None, event: str) -> Observation:
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
