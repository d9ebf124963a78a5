"""The short way to the endpoints that applications call by the thousand: by one look-up, past the router.

A router tries one pattern after the other and makes a request, a dependency tree and a stack of exits for each call,
which takes it longer than a whole grant of client credentials does here. What is not found so is the router's: pages,
addresses with a parameter of their own, methods that an address does not answer.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.oauth.endpoint import Endpoint

_TENANTS = "/t/"


class DirectEndpoints:
    """In front of ``router``, which has routes of the same endpoints."""

    def __init__(self, endpoints: Iterable[Endpoint], router: ASGIApp) -> None:
        self._router = router
        self._endpoints = {
            (method, endpoint.path): endpoint
            for endpoint in endpoints
            for method in endpoint.methods
            if "{" not in endpoint.path
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        path: str = scope["path"]
        if path.startswith(_TENANTS):
            slug, slash, below = path[len(_TENANTS) :].partition("/")
            endpoint = self._endpoints.get((scope["method"], slash + below))
            if endpoint is not None:
                scope["path_params"] = {"slug": slug}
                await endpoint(scope, receive, send)
                return
        await self._router(scope, receive, send)
