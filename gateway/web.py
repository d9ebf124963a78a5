"""The FastAPI applications: refusals rendered in one place, nothing published that was not asked for."""

from collections.abc import Awaitable

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import (
    InternalError,
    MethodNotAllowed,
    Misdirected,
    NotFound,
    OAuthError,
    PathNotCanonical,
    Problem,
    Refusal,
    encode,
)
from gateway.middleware import context_of
from policies.path import NotCanonical, canonical

_PROBLEM = "application/problem+json"


def application(*routers: APIRouter) -> ASGIApp:
    """An application of these routers, to stand behind ``WithContext``. OpenAPI belongs to the admin API."""
    app = FastAPI(title="Yett", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes if isinstance(route, Route)]
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(Exception, _bug)
    return app


async def respond(response: Awaitable[Response], scope: Scope, receive: Receive, send: Send) -> None:
    """Send it; or what it raised, as the applications here render that. For routes that are applications themselves."""
    try:
        found = await response
    except Problem as refusal:
        found = problem_response(Request(scope), refusal)
    except Exception:
        await problem_response(Request(scope), InternalError())(scope, receive, send)
        raise
    await found(scope, receive, send)


class CanonicalPath:
    """Refuses paths that could be read in two ways (rule 8) before a router decodes them: a tenant is never folded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        try:
            canonical(scope["raw_path"])
        except NotCanonical as error:
            await problem_response(Request(scope), PathNotCanonical(reason=error.reason))(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of a host that is nobody's."""
    await problem_response(Request(scope), Misdirected())(scope, receive, send)


def problem_response(request: Request, refusal: Problem, headers: dict[str, str] | None = None) -> Response:
    """RFC 9457, with the request's id."""
    body = refusal.body(context_of(request.scope).request_id)
    headers = {"Cache-Control": "no-store", **refusal.headers(), **(headers or {})}
    return Response(encode(body), refusal.status, headers, media_type=_PROBLEM)


async def _refusal(request: Request, refusal: Exception) -> Response:
    if isinstance(refusal, OAuthError):
        return JSONResponse(refusal.body(), status_code=refusal.status, headers=refusal.headers())
    if isinstance(refusal, Problem):
        return problem_response(request, refusal)
    raise refusal


async def _http_exception(request: Request, error: Exception) -> Response:
    """The router's own: no such address, no such method."""
    if isinstance(error, HTTPException) and error.status_code == MethodNotAllowed.status:
        return problem_response(request, MethodNotAllowed(), {"Allow": ", ".join(_methods_at(request))})
    if isinstance(error, HTTPException) and error.status_code == NotFound.status:
        return problem_response(request, NotFound())
    raise error


def _methods_at(request: Request) -> list[str]:
    """What every route of this address answers (RFC 9110 section 10.2.1): two may share one, each with its methods."""
    routes: list[Route] = request.app.state.routes
    there = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in there for method in getattr(route.app, "allowed", route.methods) or ()})


async def _bug(request: Request, _error: Exception) -> Response:
    """The error itself goes on to the server, which logs it; the caller learns the request id."""
    return problem_response(request, InternalError())
