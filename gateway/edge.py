"""Where a request of the public listener goes, by its ``Host`` alone: to the APIs, to identity, or nowhere (RFC 9110
section 7.4). The two never share a host, unless the configuration says so."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.settings import HostSet

_IDENTITY_PATHS = ("/t/", "/.well-known/oauth-authorization-server/")


class Edge:
    """The public listener's application."""

    def __init__(
        self, *, identity: ASGIApp, data_plane: ASGIApp, nowhere: ASGIApp, identity_hosts: HostSet, api_hosts: HostSet
    ) -> None:
        self._identity = identity
        self._data_plane = data_plane
        self._nowhere = nowhere
        self._identity_hosts = identity_hosts
        self._api_hosts = api_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        host = ""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1").lower()
                break
        if self._api_hosts.find(host) is not None:
            shared = self._identity_hosts.find(host) is not None and scope["path"].startswith(_IDENTITY_PATHS)
            await (self._identity if shared else self._data_plane)(scope, receive, send)
        elif self._identity_hosts.find(host) is not None:
            await self._identity(scope, receive, send)
        else:
            await self._nowhere(scope, receive, send)
