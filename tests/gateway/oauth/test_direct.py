"""The short way to an endpoint: the same answers as by the router, for what is not found that way too."""

import pytest
from starlette.types import Receive, Scope, Send

from gateway.oauth.direct import DirectEndpoints
from gateway.oauth.endpoint import Endpoint

SEEN: list[str] = []


class Recorded(Endpoint):
    """An endpoint that answers nothing and says that it was called."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        SEEN.append(f"endpoint {scope['path_params']['slug']}")


async def router(scope: Scope, receive: Receive, send: Send) -> None:
    SEEN.append("router")


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

    async def handle(_call: object) -> None:
        raise AssertionError("nothing is handled here")

    endpoints = [
        Recorded(None, "/token", handle),  # type: ignore[arg-type] - what is never reached
        Recorded(None, "/register/{client_id}", handle, ("GET",)),  # type: ignore[arg-type]
    ]
    SEEN.clear()
    await DirectEndpoints(endpoints, router)({"type": "http", "method": method, "path": path}, never, never)
    assert [reached] == SEEN
