"""The short way to what is asked for most: by one look-up, past the router.

A router tries one pattern after the other and makes a request, a dependency tree and a stack of exits for each call,
which takes it longer than a whole grant of client credentials does here. What is not found so is the router's:
addresses with a parameter of their own, methods that an address does not answer.
"""

from collections.abc import Iterable, Iterator

from fastapi import APIRouter
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

_TENANTS = "/t/"
_BELOW = "/t/{slug}"


class DirectRoutes:
    """In front of ``otherwise``, which has the routes of the same ``routers``."""

    def __init__(self, routers: Iterable[APIRouter], otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        self._apps: dict[tuple[str, str], ASGIApp] = {
            (method, route.path.removeprefix(_BELOW)): route.app
            for route in _plain(routers)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        path: str = scope["path"]
        if path.startswith(_TENANTS):
            slug, slash, below = path[len(_TENANTS) :].partition("/")
            app = self._apps.get((scope["method"], slash + below))
            if app is not None:
                scope["path_params"] = {"slug": slug}
                await app(scope, receive, send)
                return
        await self._otherwise(scope, receive, send)


def _plain(routers: Iterable[APIRouter]) -> Iterator[Route]:
    """Routes below a tenant's address that are applications themselves, and not functions of FastAPI's."""
    for router in routers:
        for route in router.routes:
            if type(route) is Route and route.path.startswith(_BELOW) and set(route.param_convertors) == {"slug"}:
                yield route
