"""The ASGI connection scope of a request (ASGI HTTP spec, version 2.4)."""

import asyncio
from typing import Any
from urllib.parse import unquote

from gateway.server.asgi import Scope
from gateway.server.head import Request


class Endpoints:
    """Both ends of a connection, in the form that a scope shows them."""

    __slots__ = ("client", "scheme", "server")

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"

    @property
    def peer(self) -> str:
        """The client's address, as ``peer_of`` has it."""
        return self.client[0] if self.client else ""


def http_scope(request: Request, ends: Endpoints, state: dict[str, Any]) -> Scope:
    """``raw_path`` is what the client sent, byte for byte; ``path`` is for applications that do not ask for more."""
    path = request.raw_path.decode("ascii")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": ends.scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": request.raw_path,
        "query_string": request.query_string,
        "root_path": "",
        "headers": request.fields,
        "client": ends.client,
        "server": ends.server,
        "state": state.copy(),
    }


def peer_of(name: Any) -> str:
    """The address in a socket's name, without a port; of a Unix socket its path, mostly empty."""
    address = _address(name)
    return address[0] if address else ""


def _address(name: Any) -> tuple[str, int | None] | None:
    """An internet address as (host, port), a Unix socket's path as (path, None), an unnamed socket as None."""
    if isinstance(name, (tuple, list)):
        return str(name[0]), int(name[1])
    return (str(name), None) if name else None
