"""Whether a request is the handshake that its route answers (RFC 6455 section 4.2.1): of a WebSocket, or of none.

Owns what is refused of it, and by which pages it may be sent. Not the form of a handshake (policies/websocket.py).
"""

from collections.abc import Callable, Set
from uuid import UUID

from gateway.proxy import refusal
from gateway.proxy.headers import Inbound
from gateway.proxy.refusal import Refusal
from gateway.proxy.request import ProxiedRequest, Scope
from policies import websocket
from policies.cross_origin import PageRules
from policies.route import Route
from policies.websocket import Handshake, NoHandshake

Registered = Callable[[UUID | None], Set[str]]


def asks(inbound: Inbound) -> bool:
    """Whether it asks for a WebSocket, in whatever form."""
    return inbound.upgrade is not None and b"websocket" in inbound.upgrade.lower()


def read(scope: Scope) -> Handshake | NoHandshake:
    """The handshake that a request is."""
    return websocket.read(scope["method"], scope["http_version"], scope["headers"])


def take_token(request: ProxiedRequest) -> Refusal | None:
    """A token among the subprotocols is as good as one in ``Authorization``, and stands in its place from here on."""
    found = read(request.scope)
    if isinstance(found, NoHandshake) or not found.tokens:
        return None
    inbound = request.inbound
    if inbound.authorization is not None or len(found.tokens) > 1:
        return Refusal(refusal.AUTHORIZATION_REPEATED, "authorization_repeated")
    inbound.authorization = b"Bearer " + found.tokens[0]
    return None


def refused(request: ProxiedRequest, route: Route, registered: Registered) -> Refusal | None:
    """Of a request that asks for a WebSocket, or whose route is for them. ``registered`` are the web origins of a
    tenant's clients, or of all tenants'.
    """
    if not route.websocket:
        return Refusal(refusal.UPGRADE_REFUSED, "upgrade_refused")
    if not asks(request.inbound):
        return refusal.UPGRADE_MISSING
    found = read(request.scope)
    if isinstance(found, NoHandshake):
        return refusal.VERSION_UNKNOWN if found.reason == "version" else refusal.HANDSHAKE_MALFORMED
    if not _may_connect(request, route, registered):
        return Refusal(refusal.ORIGIN_REFUSED, "origin_refused")
    return None


def cookies(request: ProxiedRequest, route: Route, registered: Registered) -> tuple[bytes, ...]:
    """Those that go along. A browser sends them with every handshake, whoever's page asks for it, and no preflight
    comes before: so from a foreign page only where the route allows credentials.
    """
    origins, sent = _origins(request), request.inbound.cookies
    if not sent or not origins or _own(request, origins):
        return sent
    rules = _rules(request, route, origins[0], registered)
    return sent if rules is not None and rules.credentials else ()


def _may_connect(request: ProxiedRequest, route: Route, registered: Registered) -> bool:
    """No browser leaves ``Origin`` out, and no page can change it. One of the API's own host is no foreign one."""
    origins = _origins(request)
    if not origins:
        return True
    if len(origins) > 1:
        return False
    return _own(request, origins) or _rules(request, route, origins[0], registered) is not None


def _origins(request: ProxiedRequest) -> list[bytes]:
    return [value for name, value in request.scope["headers"] if name == b"origin"]


def _own(request: ProxiedRequest, origins: list[bytes]) -> bool:
    return origins == [b"%b://%b" % (request.origin.proto, request.inbound.host.lower())]


def _rules(request: ProxiedRequest, route: Route, origin: bytes, registered: Registered) -> PageRules | None:
    principal = request.principal
    of_clients = registered(None if principal is None else principal.tenant_id)
    return None if route.pages is None else route.pages.find(origin.decode("latin-1"), of_clients)
