"""The addresses of an issuer that applications call."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Route

from gateway.errors import encode
from gateway.oauth import cors, metadata
from gateway.oauth.device_endpoint import DeviceEndpoint
from gateway.oauth.endpoint import Call, Endpoint, Endpoints
from gateway.oauth.introspection import Introspection
from gateway.oauth.par import PushedAuthorization
from gateway.oauth.pipeline import TokenPipeline
from gateway.oauth.registration import Registration
from gateway.oauth.revocation import Revocation
from gateway.oauth.userinfo import UserInfo

_READ = ["GET", "HEAD"]  # RFC 9110 section 9.1
_METADATA_CACHE = "public, max-age=300"


def oauth_endpoints(
    shared: Endpoints,
    pipeline: TokenPipeline,
    userinfo: UserInfo,
    introspection: Introspection,
    revocation: Revocation,
    device: DeviceEndpoint,
    pushed: PushedAuthorization,
    registration: Registration,
) -> Sequence[Endpoint]:
    """What applications post to, and read with a token."""

    async def token(call: Call) -> Response:
        return Response(encode((await pipeline.run(call)).body()), media_type="application/json")

    managed = ("GET", "PUT", "DELETE")
    return (
        Endpoint(shared, "/token", token),
        Endpoint(shared, "/userinfo", userinfo.answer, ("GET", "HEAD", "POST"), event="userinfo"),
        Endpoint(shared, "/introspect", introspection.answer),
        Endpoint(shared, "/revoke", revocation.revoke),
        Endpoint(shared, "/device", device.start),
        Endpoint(shared, "/par", pushed.push),
        Endpoint(shared, "/register", registration.register, event="registration", takes_json=True),
        Endpoint(shared, "/register/{client_id}", registration.manage, managed, event="registration", takes_json=True),
    )


def oauth_router(shared: Endpoints, endpoints: Sequence[Endpoint]) -> APIRouter:
    """The routes below ``/t/{slug}`` and the well-known address of RFC 8414."""
    router = APIRouter()

    @router.api_route("/t/{slug}/.well-known/openid-configuration", methods=_READ)
    @router.api_route("/t/{slug}/.well-known/oauth-authorization-server", methods=_READ)  # RFC 8414's, of an own host
    @router.api_route("/.well-known/oauth-authorization-server/t/{slug}", methods=_READ)
    async def discovery(slug: str, request: Request) -> Response:
        document = metadata.server_metadata(shared.tenant_of(slug, request.scope))
        return JSONResponse(document, headers={"Cache-Control": _METADATA_CACHE, **cors.PUBLIC})

    @router.api_route("/t/{slug}/jwks", methods=_READ)
    async def jwks(slug: str, request: Request) -> Response:
        document = metadata.jwks(shared.tenant_of(slug, request.scope))
        headers = {"Cache-Control": metadata.JWKS_CACHE, **cors.PUBLIC}
        return JSONResponse(document, headers=headers, media_type="application/jwk-set+json")

    for endpoint in endpoints:  # one route for all its methods, so that a 405 names them
        methods = [*endpoint.methods, "OPTIONS"]
        router.routes.append(Route(f"/t/{{slug}}{endpoint.path}", endpoint, methods=methods))
    return router
