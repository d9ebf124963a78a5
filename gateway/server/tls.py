"""TLS on a listener: accepts connections and sees each through its handshake; then it is one of HTTP like any other
(RFC 8446, RFC 9110 section 4.2.2).

A connection takes its place in the room from its first moment, so that nobody holds more of them by never finishing a
handshake, and the handshake has the time that a request's head has. What is not TLS is closed. ``asyncio`` could accept
for us, but it tells nobody of handshakes that fail.
"""

import asyncio
import errno
import ssl
from socket import socket
from typing import Any, Final, cast

import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.certificates import Certificates, ServerContext
from gateway.server.configured import HttpProtocols
from gateway.server.scope import peer_of

NAMES: Final = "yett.tls_names"
"""In a scope's ``state``: the names of the certificate that the connection was made with."""

_AT_ONCE: Final = 64  # connections accepted before others have a turn
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST: Final = 1.0  # seconds without accepting, where the system has nothing left to accept with

log = structlog.get_logger("yett.tls")


class TlsListener:
    """Stands where uvicorn has an ``asyncio.Server``, on an open socket that is closed by who opened it."""

    def __init__(
        self,
        listening: socket,
        certificates: Certificates,
        protocol: HttpProtocols,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
    ) -> None:
        self.certificates = certificates
        self.protocol = protocol
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.loop = asyncio.get_running_loop()
        self._listening = listening
        self._rest: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._listening.setblocking(False)
        self._listening.listen(self.config.backlog)
        self._resume()

    def close(self) -> None:
        """Accept no more. Connections go on."""
        if self._rest is not None:
            self._rest.cancel()
        self.loop.remove_reader(self._listening)

    async def wait_closed(self) -> None:
        """uvicorn asks; ``close`` has done it all."""

    def _resume(self) -> None:
        self._rest = None
        self.loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, name = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                log.error("accept_failed", reason=error.strerror)
                self.loop.remove_reader(self._listening)
                self._rest = self.loop.call_later(_REST, self._resume)
                return
            self._take(connection, peer_of(name))

    def _take(self, connection: socket, peer: str) -> None:
        if self.protocol.room.enter(peer, len(self.server_state.connections)):
            _Handshake(self, connection, peer)
        else:
            connection.close()


class _Handshake(asyncio.Protocol):
    """A connection until its handshake is done. Among uvicorn's connections, so that the end of the server is its end,
    too."""

    def __init__(self, listener: TlsListener, connection: socket, peer: str) -> None:
        self._listener = listener
        self._peer = peer
        self._in_the_room = True
        listener.server_state.connections.add(cast(Any, self))
        self._task = listener.loop.create_task(self._run(connection))

    async def _run(self, connection: socket) -> None:
        listener, limits = self._listener, self._listener.protocol.limits
        connection.setblocking(False)
        try:
            await listener.loop.connect_accepted_socket(
                lambda: self,
                connection,
                ssl=listener.certificates.context,
                ssl_handshake_timeout=limits.head_time.total_seconds(),
                ssl_shutdown_timeout=limits.linger_time.total_seconds(),
            )
        except OSError as error:  # ssl.SSLError, a reset and the end of the time among them
            log.debug("tls_handshake_failed", address=self._peer, reason=_reason(error))
        finally:
            self._leave()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done, and nothing of what follows it was read yet."""
        self._leave()
        listener, encrypted = self._listener, cast(asyncio.Transport, transport)
        context = cast(ServerContext, encrypted.get_extra_info("ssl_object").context)
        state = {**listener.app_state, NAMES: context.names}
        protocol = listener.protocol(listener.config, listener.server_state, state, listener.loop)
        encrypted.set_protocol(protocol)
        protocol.connection_made(encrypted)

    def _leave(self) -> None:
        if self._in_the_room:
            self._in_the_room = False
            self._listener.server_state.connections.discard(cast(Any, self))
            self._listener.protocol.room.leave(self._peer)

    def shutdown(self) -> None:
        """Called by uvicorn when the server stops: no request has come yet, so there is nothing to finish."""
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._task.cancel()


def _reason(error: OSError) -> str:
    return str(error.reason) if isinstance(error, ssl.SSLError) and error.reason else type(error).__name__
