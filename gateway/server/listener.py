"""Where the gateway listens: an address, or a socket that somebody else has opened (a supervisor, systemd)."""

import socket
from dataclasses import dataclass, field
from os import strerror

from gateway.server.asgi import App
from gateway.server.certificates import Certificates
from gateway.server.configured import HttpProtocols, http_protocol

BACKLOG = 2048


class CannotListen(Exception):
    """A listener cannot be opened. Its text is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Listener:
    """An application and where it is served. ``port`` 0 lets the system choose.

    ``inherited`` is an open, bound stream socket, or its file descriptor, which is taken over; address and port say
    nothing then.
    """

    name: str
    app: App
    host: str = "127.0.0.1"
    port: int = 0
    inherited: socket.socket | int | None = None
    protocol: HttpProtocols = field(default_factory=http_protocol)
    backlog: int = BACKLOG
    certificates: Certificates | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """What a listener became: the address that clients can reach."""

    name: str
    host: str
    port: int


def open_socket(listener: Listener) -> socket.socket:
    """Open and bind; the socket listens, so that whoever connects from here on waits in the kernel's queue.

    Raises ``CannotListen``.
    """
    given = listener.inherited
    if given is None:
        return open_address(listener.name, listener.host, listener.port, backlog=listener.backlog)
    try:
        return socket.socket(fileno=given) if isinstance(given, int) else given
    except (OSError, OverflowError) as error:
        raise _cannot(f"the inherited socket {given}", listener.name, error) from error


def open_address(name: str, host: str, port: int, *, backlog: int = BACKLOG) -> socket.socket:
    """A listening socket of this address, for the listener that is called ``name``.

    Raises ``CannotListen``.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=backlog)
    except (OSError, OverflowError) as error:
        raise _cannot(f"{host}:{port}", name, error) from error


def bound(listener: Listener, opened: socket.socket) -> Bound:
    """The address of an open socket; of a Unix socket the path, with port 0."""
    name = opened.getsockname()
    if isinstance(name, tuple):
        return Bound(listener.name, str(name[0]), int(name[1]))
    return Bound(listener.name, str(name), 0)


def _cannot(where: str, name: str, error: Exception) -> CannotListen:
    return CannotListen(f"Cannot listen on {where} ({name}): {_reason(error)}.")


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, OSError) and error.errno is not None:
        return strerror(error.errno).lower()
    return str(error)
