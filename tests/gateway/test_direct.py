"""The short way to an endpoint: the same answers as by the router, for what is not found that way too."""

import pytest
from fastapi import APIRouter
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.direct import DirectRoutes


class Seen:
    """Applications that say that they were called."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def endpoint(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        self.reached.append(f"endpoint {scope['path_params']['slug']}")

    async def router(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        self.reached.append("router")


class Application:
    """An instance, since a router takes functions for something else."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._seen.endpoint(scope, receive, send)


@pytest.mark.parametrize(
    ("method", "path", "reached"),
    [
        ("POST", "/t/acme/token", "endpoint acme"),
        ("POST", "/t//token", "endpoint "),
        ("GET", "/t/acme/token", "router"),
        ("OPTIONS", "/t/acme/token", "router"),
        ("POST", "/t/acme/token/", "router"),
        ("POST", "/t/acme/TOKEN", "router"),
        ("POST", "/t/acme", "router"),
        ("POST", "/token", "router"),
        ("POST", "/t/acme/t/globex/token", "router"),
        ("POST", "/x/t/acme/token", "router"),
        ("GET", "/t/acme/register/one", "router"),
    ],
)
async def test_only_the_exact_address_and_method_of_an_endpoint_goes_the_short_way(
    method: str, path: str, reached: str
) -> None:
    async def never(_message: object = None) -> dict[str, object]:
        raise AssertionError("nothing is read or sent here")

    seen = Seen()
    routes = APIRouter()
    for template, methods in (("/t/{slug}/token", ["POST"]), ("/t/{slug}/register/{client_id}", ["GET"])):
        routes.routes.append(Route(template, Application(seen), methods=methods))
    await DirectRoutes([routes], seen.router)({"type": "http", "method": method, "path": path}, never, never)
    assert seen.reached == [reached]
