"""What the public listener owes to clients that come by TLS of its own: an answer only under a certificate that is for
the host asked for (RFC 9110 section 4.2.2), and word that this host is to be had by https (RFC 6797).

A trusted proxy is asked neither: what its clients see is the proxy's certificate.
"""

from ipaddress import ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.context import Network, is_trusted, normalised
from gateway.server.certificates import covers
from gateway.server.tls import NAMES
from gateway.settings import Settings

_REMEMBERED = 1024
_LONGEST = 300
_FIELD = b"strict-transport-security"


class OverTls:
    """An ASGI application in front of the public one. ``hsts`` is in seconds, zero for none; ``nowhere`` answers where
    the certificate is for other hosts."""

    def __init__(self, app: ASGIApp, *, nowhere: ASGIApp, hsts: int, trusted_proxies: tuple[Network, ...]) -> None:
        self._app = app
        self._nowhere = nowhere
        self._known: dict[tuple[frozenset[str], bytes], tuple[bool, bool]] = {}
        self.tell(hsts)
        self.trust(trusted_proxies)

    @classmethod
    def of(cls, settings: Settings, app: ASGIApp, *, nowhere: ASGIApp) -> "OverTls | None":
        """As it is configured; None where something else ends TLS."""
        if not settings.tls.certificates:
            return None
        return cls(app, nowhere=nowhere, hsts=settings.tls.hsts_seconds, trusted_proxies=settings.trusted_proxies)

    def tell(self, hsts: int) -> None:
        """How long browsers are to come by https, from here on."""
        self._line = (_FIELD, b"max-age=%d" % hsts) if hsts else None

    def trust(self, proxies: tuple[Network, ...]) -> None:
        """These proxies' words count from here on."""
        self._trusted = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        names: frozenset[str] = scope["state"][NAMES]
        known = self._known.get((names, host))
        covered, told = self._judge(names, host) if known is None else known
        app = self._app if covered or self._from_a_proxy(scope) else self._nowhere
        if not told or self._line is None:
            await app(scope, receive, send)
            return
        line = self._line

        async def send_with_line(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", ())
                if not any(name.lower() == _FIELD for name, _ in headers):
                    message["headers"] = [*headers, line]
            await send(message)

        await app(scope, receive, send_with_line)

    def _judge(self, names: frozenset[str], host: bytes) -> tuple[bool, bool]:
        """Whether a certificate with these names is for this host, and whether browsers are told to come back so. They
        would take a loopback name's word for every port of the machine, and an address's not at all.
        """
        name = _name(host)
        covered = covers(names, name)
        found = covered, covered and not (_is_address(name) or name == "localhost" or name.endswith(".localhost"))
        if len(host) <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[names, host] = found
        return found

    def _from_a_proxy(self, scope: Scope) -> bool:
        client = scope["client"]
        if not self._trusted or client is None:
            return False
        try:
            return is_trusted(normalised(ip_address(client[0].partition("%")[0])), self._trusted)
        except ValueError:
            return False


def _name(host: bytes) -> str:
    """A ``Host`` in lower case, without its port and the dot of the root."""
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    return (name if colon and port.isdigit() else text).removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
