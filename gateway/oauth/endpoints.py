"""The addresses of an issuer that applications call."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from gateway.oauth import cors, metadata
from gateway.oauth.device_endpoint import DeviceEndpoint
from gateway.oauth.endpoint import Call, Endpoints
from gateway.oauth.introspection import Introspection
from gateway.oauth.par import PushedAuthorization
from gateway.oauth.pipeline import TokenPipeline
from gateway.oauth.registration import Registration
from gateway.oauth.revocation import Revocation
from gateway.oauth.userinfo import UserInfo

_READ = ["GET", "HEAD"]  # RFC 9110 section 9.1
_METADATA_CACHE = "public, max-age=300"


def oauth_router(
    endpoints: Endpoints,
    pipeline: TokenPipeline,
    userinfo: UserInfo,
    introspection: Introspection,
    revocation: Revocation,
    device: DeviceEndpoint,
    pushed: PushedAuthorization,
    registration: Registration,
) -> APIRouter:
    """The routes below ``/t/{slug}`` and the well-known address of RFC 8414."""
    router = APIRouter()

    @router.api_route("/t/{slug}/.well-known/openid-configuration", methods=_READ)
    @router.api_route("/t/{slug}/.well-known/oauth-authorization-server", methods=_READ)  # RFC 8414's, of an own host
    @router.api_route("/.well-known/oauth-authorization-server/t/{slug}", methods=_READ)
    async def discovery(slug: str, request: Request) -> Response:
        document = metadata.server_metadata(endpoints.tenant_of(slug, request))
        return JSONResponse(document, headers={"Cache-Control": _METADATA_CACHE, **cors.PUBLIC})

    @router.api_route("/t/{slug}/jwks", methods=_READ)
    async def jwks(slug: str, request: Request) -> Response:
        document = metadata.jwks(endpoints.tenant_of(slug, request))
        headers = {"Cache-Control": metadata.JWKS_CACHE, **cors.PUBLIC}
        return JSONResponse(document, headers=headers, media_type="application/jwk-set+json")

    async def token(call: Call) -> Response:
        return JSONResponse((await pipeline.run(call)).body())

    endpoints.add(router, "/token", token)
    endpoints.add(router, "/userinfo", userinfo.answer, methods=("GET", "HEAD", "POST"), event="userinfo")
    endpoints.add(router, "/introspect", introspection.answer)
    endpoints.add(router, "/revoke", revocation.revoke)
    endpoints.add(router, "/device", device.start)
    endpoints.add(router, "/par", pushed.push)
    endpoints.add(router, "/register", registration.register, event="registration", takes_json=True)
    endpoints.add(
        router,
        "/register/{client_id}",
        registration.manage,
        methods=("GET", "PUT", "DELETE"),
        event="registration",
        takes_json=True,
    )
    return router
