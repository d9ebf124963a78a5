"""Forward auth: another proxy asks whether it may pass a request on (nginx ``auth_request``, Traefik ``ForwardAuth``,
Caddy ``forward_auth``, Envoy ``ext_authz``).

The decision is the gate's, about the request that the proxy describes. 200 with identity fields means yes, and nothing
else does. It has a listener of its own, which nobody but those proxies reaches: behind a shared one, their clients
could ask through them. Owns who may ask and what is answered; not how a request is described (original_request.py).
"""

from collections.abc import Callable

from gateway.audit import Observation
from gateway.context import Network, client_address, is_trusted, vouched_hops
from gateway.errors import NotFound, encode
from gateway.proxy import refusal
from gateway.proxy.access_log import now_twice
from gateway.proxy.forward import Receive, Send
from gateway.proxy.headers import HeaderReader, misleads
from gateway.proxy.identity import IdentityLines, IdSource, Origins, RequestIds
from gateway.proxy.observing import observation, shadowed
from gateway.proxy.original_request import PATH, OriginalRequest, original_request
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane import DataPlane
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal, nonce_field
from gateway.proxy.request import ProxiedRequest, Scope
from gateway.settings import HostSet

_PATH = PATH.encode()
_NO_STORE = (b"cache-control", b"no-store")
_EMPTY = (b"content-length", b"0")
_NOBODYS = Refusal(refusal.ORIGINAL_UNCLEAR, "original_source")
_UNDERSTOOD = (401, 403)


class ForwardAuth:
    """``plane`` decides. ``peers`` are the networks of the proxies that may ask, ``trusted_proxies`` those of further
    ones in front of them.
    """

    def __init__(
        self,
        plane: DataPlane,
        *,
        peers: tuple[Network, ...],
        trusted_proxies: tuple[Network, ...],
        api_hosts: HostSet,
        observe: Callable[[Observation], None],
    ) -> None:
        self._plane = plane
        self._peers = peers
        self._observe = observe
        self._headers = HeaderReader()
        self._identity = IdentityLines()
        self._ids = IdSource()
        self.serve(api_hosts, trusted_proxies)

    def serve(self, api_hosts: HostSet, trusted_proxies: tuple[Network, ...]) -> None:
        """These hosts and proxies from here on."""
        self._api_hosts = api_hosts
        self._proxies = (*trusted_proxies, *self._peers)
        self._origins = Origins(self._proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI; bodies stay unread
        """An ASGI application."""
        if scope["type"] != "http":
            raise TypeError(f"forward auth answers http, not {scope['type']}")
        ids, path = self._ids.draw(), scope["raw_path"]
        peer = scope["client"][0] if scope["client"] else ""
        at_home = path == _PATH or path.startswith(_PATH + b"/")
        if not at_home or not is_trusted(client_address(peer, (), ()), self._peers):
            await _nothing_here(ids, send)
            return
        config = self._plane.config
        access_log = config.access_log
        began = now_twice()
        asked = original_request(scope)
        request = self._request(scope, peer, ids, asked if isinstance(asked, OriginalRequest) else None)
        if isinstance(asked, OriginalRequest):
            outcome = await self._decide(request, config) if self._says_who(request, peer) else _NOBODYS
            plain = asked.only_401_and_403
        else:
            outcome, plain = Refusal(refusal.ORIGINAL_UNCLEAR, asked), False
        status = 200 if outcome is None else outcome.problem.status
        shown = 403 if plain and status not in (200, *_UNDERSTOOD) else status
        if access_log is not None:
            access_log.told(request, outcome, began, asked=shown)
        self._plane.meter.asked(request, outcome, shown, began)
        if outcome is None:
            await self._allow(request, send, config.digest)
        else:
            await self._refuse(request, outcome, shown, send, config.digest)

    def _request(self, scope: Scope, peer: str, ids: RequestIds, asked: OriginalRequest | None) -> ProxiedRequest:
        """As if it had come here itself. One that is not described is the question, for the audit log."""
        inbound = self._headers.read(scope["headers"])
        inbound.length = None  # a body is not sent along
        if asked is not None:
            inbound.host, inbound.forwarded_proto = asked.host, (asked.proto,)
            scope = {
                "type": "http",
                "method": asked.method,
                "raw_path": asked.raw_path,
                "query_string": asked.query,
                "scheme": scope["scheme"],
                "headers": scope["headers"],
            }
        return ProxiedRequest(scope, inbound, self._origins.of(peer, scope["scheme"], inbound), ids)

    def _says_who(self, request: ProxiedRequest, peer: str) -> bool:
        """Whether the proxy says where the request came from: else its own address would stand for every client's."""
        if not is_trusted(request.origin.address, self._proxies):
            return True
        said = [value.decode("latin-1") for value in request.inbound.forwarded_for]
        hops = vouched_hops(peer, said, self._proxies)
        client, proxy, count = hops[0], hops[-1], sum(value.count(",") + 1 for value in said)
        return 0 < count < len(hops) and (client != proxy or client.is_loopback)  # one machine may be both

    async def _decide(self, request: ProxiedRequest, config: PlaneConfig) -> Refusal | None:
        if any(misleads(name) for name, _ in request.scope["headers"]):
            return Refusal(refusal.MISLEADING_FIELD, "misleading_field")
        if self._api_hosts.find(request.inbound.host.decode("latin-1").lower()) is None:
            return Refusal(refusal.ROUTE_NOT_FOUND, "host_unknown")
        outcome = self._plane.gate.decide(request, config)
        if isinstance(outcome, OwnAnswer):  # resource metadata, a preflight: 200 here would let the request through
            return Refusal(refusal.ROUTE_NOT_FOUND, "reserved_path")
        if outcome is None and request.matched is not None and request.matched.route.signed_identity:
            return await self._plane.vouch(request)
        return outcome

    async def _allow(self, request: ProxiedRequest, send: Send, digest: str) -> None:
        matched, principal = request.matched, request.principal
        if matched is None:
            raise AssertionError("what is let through has a route")
        headers = [_EMPTY, _NO_STORE, (b"x-request-id", request.ids.request_id)]
        if request.would is not None:
            self._observe(shadowed(request, request.would, digest))
        if principal is not None and not matched.route.anonymous and not request.nameless:
            headers += _fields(self._identity.of(principal) + request.identity)
        if request.nonce is not None:
            headers.append(nonce_field(request.nonce))
        headers += request.quota
        if matched.route.audit_allow:
            self._observe(observation(request, "allowed", "allowed", 200, digest))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _refuse(self, request: ProxiedRequest, refused: Refusal, status: int, send: Send, digest: str) -> None:
        headers, body = refusal.answer(refused, request.ids.request_id, request.nonce)
        headers += request.quota
        if status != refused.problem.status:
            headers.append((b"x-yett-status", b"%d" % refused.problem.status))
        self._observe(observation(request, "refused", refused.reason, status, digest))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _nothing_here(ids: RequestIds, send: Send) -> None:
    """To a stranger, and at every other address: the same."""
    body = encode(NotFound().body(ids.text))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        _NO_STORE,
        (b"x-request-id", ids.request_id),
    ]
    await send({"type": "http.response.start", "status": NotFound.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _fields(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Finished header lines as fields."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]
