"""What identity and management count: requests by endpoint and how long they took.

An endpoint is a path below the issuer without what is a value in it. Only the product's own are told apart, so a
stranger who makes up paths makes no series.
"""

from collections.abc import Collection, Iterable, Iterator
from time import perf_counter

from fastapi import APIRouter
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.metrics import Counts, Durations, Family
from gateway.metrics.series import OTHER

_TENANTS = "/t/"
_BELOW = "/t/{slug}"
_WELL_KNOWN = "/.well-known/"


class IdentityMeter:
    """An ASGI application in front of ``app``. ``endpoints`` are the first segments of its paths below an issuer."""

    def __init__(self, app: ASGIApp, endpoints: Collection[str]) -> None:
        self._app = app
        self._endpoints = frozenset(endpoints)
        self._requests = Counts()
        self._durations = Durations()

    @classmethod
    def of(cls, app: ASGIApp, routers: Iterable[APIRouter]) -> "IdentityMeter":
        """In front of the application of these."""
        return cls(app, frozenset(_endpoints(routers)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        began, status = perf_counter(), 500  # what its server says where it fails

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            endpoint = self._endpoint(scope["path"])
            self._requests.add(endpoint, str(status))
            self._durations.add(endpoint, perf_counter() - began)

    def _endpoint(self, path: str) -> str:
        below = path[len(_TENANTS) :].partition("/")[2] if path.startswith(_TENANTS) else path[1:]
        if _WELL_KNOWN in path:
            return "discovery"
        first = below.partition("/")[0]
        return first if first in self._endpoints else OTHER

    def read(self) -> Iterator[Family]:
        """As of now."""
        yield Family(
            "yett_identity_requests",
            "Requests to identity that were answered, by endpoint and status.",
            "counter",
            ("endpoint", "status"),
            self._requests.values,
        )
        yield Family(
            "yett_identity_seconds",
            "How long requests to identity took, the hashing of a password and the wait for it included.",
            "histogram",
            ("endpoint",),
            self._durations.values,
        )


def _endpoints(routers: Iterable[APIRouter]) -> Iterator[str]:
    """The first segments of their paths, of those below a tenant what stands below it."""
    for router in routers:
        for route in router.routes:
            if isinstance(route, Route):
                first = route.path.removeprefix(_BELOW).removeprefix("/").partition("/")[0]
                if first and "{" not in first:
                    yield first
