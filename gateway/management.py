"""The guard of the management listener: only hosts that are on the list (DNS rebinding), only so many requests.

The probes and scrapes come by pod address, tell no secret and are counted by nobody.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import Misdirected, TooManyRequests
from gateway.limits import AddressLimit
from gateway.middleware import context_of
from gateway.settings import HostSet
from gateway.web import problem_response

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class ManagementGuard:
    """An ASGI application in front of the management one. It expects a request context in the scope."""

    def __init__(self, app: ASGIApp, *, hosts: HostSet, limit: AddressLimit) -> None:
        self._app = app
        self._hosts = hosts
        self._limit = limit

    def answer_to(self, hosts: HostSet) -> None:
        """These from here on."""
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http" and scope["path"] not in _PROBES:
            request = Request(scope)
            if self._hosts.find(request.headers.get("host", "").lower()) is None:
                await problem_response(request, Misdirected())(scope, receive, send)
                return
            seconds = self._limit.refused_for(context_of(request.scope).address)
            if seconds is not None:
                refusal = TooManyRequests(reason="address_limit", retry_after=seconds)
                await problem_response(request, refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)
