"""What every answer of the identity and management sides has: a request context, an id in log and answer, headers that
tell a browser to do less."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import telemetry
from gateway.context import Network, RequestContext, new_request_id, vouched_hops
from gateway.header_fields import Fields

_CONTEXT = "yett.context"
_READ = frozenset({b"host", b"x-forwarded-for"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


def context_of(scope: Scope) -> RequestContext:
    """The context that ``WithContext`` put there."""
    context: RequestContext = scope[_CONTEXT]
    return context


class WithContext:
    """Gives each request its context before anything else sees it."""

    def __init__(self, app: ASGIApp, trusted_proxies: tuple[Network, ...]) -> None:
        self._app = app
        self._trusted = trusted_proxies

    def trust(self, proxies: tuple[Network, ...]) -> None:
        """These from here on."""
        self._trusted = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        context = self._context(scope)
        scope[_CONTEXT] = context
        request_id = (b"x-request-id", context.request_id.encode())

        async def send_identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name.lower() for name, _ in headers}  # of two policies a browser keeps to both
                headers += [field for field in _HEADERS if field[0] not in said]
                headers.append(request_id)
                message["headers"] = headers
            await send(message)

        with telemetry.request(context.request_id):
            await self._app(scope, receive, send_identified)

    def _context(self, scope: Scope) -> RequestContext:
        peer = scope["client"][0] if scope.get("client") else ""
        fields = Fields.of(scope, _READ)
        hops = vouched_hops(peer, fields.all(b"x-forwarded-for"), self._trusted)
        host = fields.first(b"host") or ""
        return RequestContext(new_request_id(), hops[0], scope.get("scheme", "http"), host, hops)
