"""Where a request of the public listener goes, by its ``Host`` alone: to the APIs, to identity, or nowhere (RFC 9110
section 7.4). The two never share a host, unless the configuration says so.

Configured hosts go first and are remembered; every other one is asked for each time, since tenants come and go.
"""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.own_hosts import OwnHosts, below_slug
from gateway.settings import HostSet

_REMEMBERED = 1024  # hosts; a stranger can send any, as long as they are, and does not decide what is kept
_LONGEST = 300
_IDENTITY_PATHS = ("/t/", "/.well-known/oauth-authorization-server/")


class Edge:
    """The public listener's application."""

    def __init__(
        self,
        *,
        identity: ASGIApp,
        data_plane: ASGIApp,
        nowhere: ASGIApp,
        identity_hosts: HostSet,
        api_hosts: HostSet,
        own_hosts: OwnHosts,
    ) -> None:
        self._identity = identity
        self._data_plane = data_plane
        self._nowhere = nowhere
        self._identity_hosts = identity_hosts
        self._api_hosts = api_hosts
        self._own_hosts = own_hosts
        self._known: dict[bytes, tuple[ASGIApp, bool]] = {}

    def serve(self, identity_hosts: HostSet, api_hosts: HostSet) -> None:
        """These hosts from here on."""
        self._identity_hosts, self._api_hosts = identity_hosts, api_hosts
        self._known.clear()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """An ASGI application. Not a coroutine itself: it hands over the chosen one's."""
        host = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                break
        known = self._known.get(host)
        if known is None:
            known = self._choose(host)
            if known[0] is self._nowhere:
                tenant = self._own_hosts.find(_lowered(host))
                if tenant is not None:
                    return self._identity(below_slug(scope, tenant), receive, send)
        app, shared = known
        if shared and scope["path"].startswith(_IDENTITY_PATHS):
            app = self._identity
        return app(scope, receive, send)

    def _choose(self, host: bytes) -> tuple[ASGIApp, bool]:
        """The application of a host, and whether identity's paths are its exception."""
        name = _lowered(host)
        identity = self._identity_hosts.find(name) is not None
        if self._api_hosts.find(name) is not None:
            chosen = self._data_plane, identity
        else:
            chosen = self._identity if identity else self._nowhere, False
        if chosen[0] is not self._nowhere and len(host) <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[host] = chosen
        return chosen


def _lowered(host: bytes) -> str:
    return host.decode("latin-1").lower()
