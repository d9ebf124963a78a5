"""The HTTP side of an issuer: addresses, media types, cross-origin rules. What is decided stands in the pipeline."""

from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway.audit import Observation
from gateway.errors import OAuthError, Overloaded, TenantNotFound, TooManyAttempts
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.oauth import cors, metadata
from gateway.oauth.form import parse_form, read_body
from gateway.oauth.pipeline import TokenPipeline
from tenants.database import DATABASE_ERRORS
from tenants.snapshot import Snapshot, TenantFacts

_log = structlog.get_logger("yett.oauth")
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1
_READ = ["GET", "HEAD"]
_METADATA_CACHE = "public, max-age=300"


def oauth_router(
    snapshot: Snapshot,
    pipeline: TokenPipeline,
    limit: AddressLimit,
    observe: Callable[[Observation], None],
) -> APIRouter:
    """The routes below ``/t/{slug}`` and the well-known address of RFC 8414."""
    router = APIRouter()

    def tenant_of(slug: str) -> TenantFacts:
        """The tenant of the path. A suspended one is refused everywhere in the same words as one that is not there."""
        tenant = snapshot.by_slug(slug)
        if tenant is None:
            raise TenantNotFound
        if not tenant.active:
            raise TenantNotFound(reason="tenant_suspended")
        return tenant

    def cross_origin(request: Request, tenant: TenantFacts) -> dict[str, str]:
        return cors.answer_headers(request.headers.get("origin"), tenant.origins)

    def refused(error: OAuthError, request: Request, tenant: TenantFacts) -> Response:
        if not error.told:
            observe(_refusal(error, request, tenant))
        headers = {**error.headers(), **cross_origin(request, tenant)}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)

    @router.api_route("/t/{slug}/.well-known/openid-configuration", methods=_READ)
    @router.api_route("/.well-known/oauth-authorization-server/t/{slug}", methods=_READ)
    async def discovery(slug: str) -> Response:
        document = metadata.server_metadata(tenant_of(slug))
        return JSONResponse(document, headers={"Cache-Control": _METADATA_CACHE, **cors.PUBLIC})

    @router.api_route("/t/{slug}/jwks", methods=_READ)
    async def jwks(slug: str) -> Response:
        headers = {"Cache-Control": metadata.JWKS_CACHE, **cors.PUBLIC}
        return JSONResponse(metadata.jwks(tenant_of(slug)), headers=headers, media_type="application/jwk-set+json")

    @router.options("/t/{slug}/token")
    async def token_preflight(slug: str, request: Request) -> Response:
        origins = tenant_of(slug).origins
        return Response(status_code=204, headers=cors.preflight_headers(request.headers.get("origin"), origins))

    @router.post("/t/{slug}/token")
    async def token(slug: str, request: Request) -> Response:
        tenant = tenant_of(slug)
        try:
            seconds = await limit.refused_for(request)
            if seconds is not None:
                raise TooManyAttempts(reason="address_limit", retry_after=seconds)
            body = await read_body(request.stream(), request.headers.get("content-length"))
            form = parse_form(request.headers.get("content-type"), body)
            answer = await pipeline.run(
                tenant.id, form, request.headers.getlist("authorization"), context_of(request.scope)
            )
        except OAuthError as error:
            return refused(error, request, tenant)
        except DATABASE_ERRORS as error:
            _log.warning("database_unavailable", error=type(error).__name__)
            return refused(Overloaded(reason="database_unavailable", retry_after=1), request, tenant)
        return JSONResponse(answer.body(), headers={**_NO_STORE, **cross_origin(request, tenant)})

    return router


def _refusal(error: OAuthError, request: Request, tenant: TenantFacts) -> Observation:
    context = context_of(request.scope)
    return Observation(
        outcome="refused",
        event="token",
        reason=error.reason,
        status=error.status,
        route=None,
        method=request.method,
        path=request.url.path,
        request_id=context.request_id,
        address=str(context.address),
        tenant_id=tenant.id,
    )
