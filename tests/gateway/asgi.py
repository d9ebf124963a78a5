"""Small ASGI applications and calls for the tests of what stands around one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.context import Network
from gateway.middleware import WithContext


def named(name: str) -> ASGIApp:
    """An application that answers with its name."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(name)(scope, receive, send)

    return app


@asynccontextmanager
async def calling(app: ASGIApp, *, address: str = "203.0.113.7", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of this application; an exception becomes the answer that a caller would get."""
    transport = httpx.ASGITransport(app, client=(address, 40000), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", **options) as client:
        yield client


async def request_with_context(
    address: str, *, forwarded: str | None = None, trusted: tuple[Network, ...] = ()
) -> Request:
    """A request as a handler behind ``WithContext`` sees it."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await PlainTextResponse("")(scope, receive, send)

    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    async with calling(WithContext(app, trusted), address=address) as client:
        await client.get("/", headers=headers)
    return Request(seen[0])
