"""The data plane: an ASGI application that decides about each API request and passes it on, or refuses it.

The order of the checks is the order of ``_decide``. Everything that it needs is in this process's memory: no SQL, no
hashing, no awaiting before the decision is taken. What it was told to, it observes; it stores nothing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

import structlog

from gateway.audit import Observation
from gateway.authn.dpop import Possession
from gateway.context import Network
from gateway.proxy import refusal
from gateway.proxy.caller import Authenticate, Callers
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.cross_origin import CrossOrigin, preflighted, replaced
from gateway.proxy.forward import NO_BODY, Exchange, Receive, RequestBody, Send
from gateway.proxy.headers import HeaderReader, Inbound, without_our_cookies
from gateway.proxy.identity import IdentityLines, IdSource, Origins
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.refusal import Refusal, nonce_field
from gateway.proxy.request import ProxiedRequest, Scope
from gateway.proxy.resource_metadata import NO_RESOURCES, Resources
from gateway.proxy.upstream import ClientGone, UpstreamFault
from policies.access import decide
from policies.decision import Allow, Challenge, Deny
from policies.path import NotCanonical
from policies.route import Matched, MethodNotAllowed, NotFound, Route
from policies.route_table import RouteTable

log = structlog.get_logger("yett.proxy")
_CLIENT_CLOSED = 499  # for the audit log: nobody was there to be answered
_WELL_KNOWN = (".well-known", "oauth-protected-resource")
_RESERVED = frozenset({".yett", ".well-known"})  # first segments worth a closer look


class AnswerBroken(Exception):
    """The upstream failed in the middle of an answer. Raised to the server, so that it breaks the connection off."""


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """The routes and the upstreams that they name. Replaced whole: ``plane.config = PlaneConfig(...)``."""

    table: RouteTable
    upstreams: Mapping[str, UpstreamPool]
    resources: Resources = NO_RESOURCES
    cross_origin: CrossOrigin | None = None

    def __post_init__(self) -> None:
        for route in self.table.routes:
            pool = self.upstreams.get(route.upstream)
            if pool is None:
                raise ValueError(f"route {route.name} names upstream {route.upstream}, which there is not")
            if pool.upstream.audience is None and not route.anonymous:
                raise ValueError(f"route {route.name} needs a token, but upstream {route.upstream} has no audience")


class DataPlane:
    """``authenticate`` verifies an access token, ``possession`` that its sender holds the key which it is bound to;
    ``feed_fresh`` says whether revocations are heard (rule 5).

    ``now`` is epoch seconds. ``observe`` gets every refusal, and what routes with ``audit_allow`` let through.
    """

    def __init__(
        self,
        config: PlaneConfig,
        *,
        authenticate: Authenticate,
        possession: Possession,
        feed_fresh: Callable[[], bool],
        observe: Callable[[Observation], None],
        trusted_proxies: tuple[Network, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._identify = Callers(authenticate, possession).identify
        self._feed_fresh = feed_fresh
        self._observe = observe
        self._now = now
        self._headers = HeaderReader()
        self._origins = Origins(trusted_proxies)
        self._identity = IdentityLines()
        self._ids = IdSource()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise TypeError(f"the data plane answers http, not {scope['type']}")
        inbound = self._headers.read(scope["headers"])
        client = scope["client"]
        origin = self._origins.of(client[0] if client else "", scope["scheme"], inbound)
        request = ProxiedRequest(scope, inbound, origin, self._ids.draw())
        config = self.config
        if config.cross_origin is not None:
            request.permission = config.cross_origin.permission(scope["headers"])
        outcome = self._decide(request, config)
        if outcome is None:
            if request.matched is not None:
                await self._forward(request, request.matched.route, config.upstreams, receive, send)
        elif isinstance(outcome, OwnAnswer):
            await _tell(outcome, request, send)
        else:
            self._note(request, "refused", outcome.reason, outcome.problem.status)
            await _answer(outcome, request, send)

    def _decide(self, request: ProxiedRequest, config: PlaneConfig) -> Refusal | OwnAnswer | None:
        """None lets the request through; then ``request.matched`` says where to."""
        scope, inbound, table = request.scope, request.inbound, config.table
        method: str = scope["method"]
        host = inbound.host.decode("latin-1")
        try:
            segments = table.segments(scope["raw_path"])
            if inbound.authorizations > 1:
                return Refusal(refusal.AUTHORIZATION_REPEATED, "authorization_repeated")
            if len(inbound.proofs) > 1:
                return Refusal(refusal.PROOF_REPEATED, "dpop_repeated")
            if segments and segments[0] in _RESERVED:
                if segments[0] == ".yett":
                    return Refusal(refusal.ROUTE_NOT_FOUND, "reserved_path")
                if segments[:2] == _WELL_KNOWN:
                    query = scope["query_string"].decode("latin-1")
                    return config.resources.answer(method, host, scope["raw_path"].decode("latin-1"), query)
            if inbound.upgrade is not None and b"websocket" in inbound.upgrade.lower():
                return Refusal(refusal.UPGRADE_REFUSED, "upgrade_refused")
            cross_origin = config.cross_origin
            wanted = None if cross_origin is None else preflighted(method, scope["headers"])
            found = table.match(host, wanted or method, segments, None)
            if cross_origin is not None and wanted is not None and isinstance(found, Matched):
                return cross_origin.preflight(scope["headers"])
            if isinstance(found, Matched) and found.route.anonymous and not found.tenant_decides:
                request.matched = found
                return None
            # Whose token it is may change which route answers, and whether there is one.
            token_refused = self._identify(request)
            if request.principal is not None and not (isinstance(found, Matched) and not found.tenant_decides):
                found = table.match(host, method, segments, request.principal.tenant)
        except NotCanonical as error:
            return Refusal(refusal.PATH_NOT_CANONICAL, error.reason)
        match found:
            case Matched(route):
                request.matched = found
                if route.anonymous:
                    return None
                audience = config.upstreams[route.upstream].upstream.audience
                refused = token_refused or self._judge(request, route, audience)
                return None if refused is None else refusal.with_metadata(refused, config.resources.url(audience))
            case MethodNotAllowed(allowed):
                return refusal.method_not_allowed(allowed)
            case NotFound():
                return Refusal(refusal.ROUTE_NOT_FOUND, "route_not_found")
            case _:
                assert_never(found)

    def _judge(self, request: ProxiedRequest, route: Route, audience: str | None) -> Refusal | None:
        """What a verified token is good for here."""
        principal = request.principal
        if principal is None:
            return refusal.token_missing()
        if audience not in principal.audiences:
            return refusal.invalid_token("audience_mismatch", request.scheme)
        if not self._feed_fresh():
            return refusal.retry_later(refusal.REVOCATIONS_STALE, "revocations_stale")
        decision = decide(route.rule, principal, source=request.origin.address, now=int(self._now()))
        match decision:
            case Allow():
                return None
            case Deny("insufficient_scope", scopes):
                return refusal.insufficient_scope(scopes, request.scheme)
            case Deny(reason):
                return Refusal(refusal.ACCESS_DENIED, reason)
            case Challenge(reason, acr_values, max_age):
                return refusal.step_up(reason, acr_values, max_age, request.scheme)
            case _:
                assert_never(decision)

    async def _forward(
        self, request: ProxiedRequest, route: Route, upstreams: Mapping[str, UpstreamPool], receive: Receive, send: Send
    ) -> None:
        inbound = request.inbound
        exchange = Exchange(
            upstreams[route.upstream],
            self._outgoing(request, route),
            method=request.scope["method"],
            body=_body(inbound),
            receive=receive,
            send=send,
        )
        status = _CLIENT_CLOSED
        try:
            connection = await exchange.open()
            status = connection.status
            await exchange.relay(connection, _answer_headers(connection, request))
        except UpstreamFault as fault:
            log.warning(
                "upstream_failed",
                upstream=route.upstream,
                code=fault.code,
                detail=str(fault),
                route=route.name,
                request_id=request.ids.text,
                answered=exchange.started,
            )
            if exchange.started:
                raise AnswerBroken(fault.code) from fault
            status = fault.status
            await _answer(_fault(fault), request, send)
        except (ClientGone, OSError):
            log.debug("client_gone", route=route.name, request_id=request.ids.text)
        finally:
            if route.audit_allow:
                self._note(request, "allowed", "allowed", status)
            if not exchange.settled:
                await exchange.close()

    def _outgoing(self, request: ProxiedRequest, route: Route) -> bytes:
        """The head of the request as the upstream sees it."""
        scope, inbound, origin = request.scope, request.inbound, request.origin
        pieces = [scope["method"].encode("ascii"), b" ", scope["raw_path"]]
        query: bytes = scope["query_string"]
        if query:
            pieces += (b"?", query)
        pieces += (b" HTTP/1.1\r\nhost: ", inbound.host, b"\r\n")
        pieces += inbound.kept
        for cookies in inbound.cookies:
            if left := without_our_cookies(cookies):
                pieces += (b"cookie: ", left, b"\r\n")
        if inbound.coded:
            pieces.append(b"transfer-encoding: chunked\r\n")
        elif inbound.length is not None:
            pieces += (b"content-length: ", inbound.length, b"\r\n")
        if route.pass_authorization and inbound.authorization is not None:
            pieces += (b"authorization: ", inbound.authorization, b"\r\n")
            for proof in inbound.proofs:
                pieces += (b"dpop: ", proof, b"\r\n")
        if origin.trusted:
            pieces += inbound.vouched
        pieces.append(origin.lines)
        if request.principal is not None and not route.anonymous:
            pieces.append(self._identity.of(request.principal))
        pieces += (request.ids.lines(inbound), b"\r\n")
        return b"".join(pieces)

    def _note(self, request: ProxiedRequest, outcome: Literal["refused", "allowed"], reason: str, status: int) -> None:
        principal, matched = request.principal, request.matched
        self._observe(
            Observation(
                outcome=outcome,
                reason=reason,
                status=status,
                route=matched.route.name if matched else None,
                method=request.scope["method"],
                path=request.scope["raw_path"].decode("latin-1"),
                request_id=request.ids.text,
                address=request.origin.text,
                tenant_id=principal.tenant_id if principal else request.proved_tenant,
                subject=principal.subject if principal else None,
                client_id=principal.client_id if principal else None,
            )
        )


def _body(inbound: Inbound) -> RequestBody:
    if inbound.coded:
        return RequestBody(length=None, chunked=True)
    return RequestBody(length=int(inbound.length), chunked=False) if inbound.length else NO_BODY


def _answer_headers(connection: UpstreamConnection, request: ProxiedRequest) -> list[tuple[bytes, bytes]]:
    headers = connection.head.fields
    if request.nonce is not None:  # one of the upstream's own is none that we would take
        headers = [field for field in headers if field[0] != b"dpop-nonce"]
        headers.append(nonce_field(request.nonce))
    headers.append((b"x-request-id", request.ids.request_id))
    return replaced(headers, request.permission) if request.permission else headers


def _fault(fault: UpstreamFault) -> Refusal:
    problem = refusal.FAULTS[fault.code]
    return refusal.retry_later(problem, fault.code) if fault.status == 503 else Refusal(problem, fault.code)


async def _answer(refused: Refusal, request: ProxiedRequest, send: Send) -> None:
    headers, body = refusal.answer(refused, request.ids.request_id, request.nonce)
    headers += request.permission
    await send({"type": "http.response.start", "status": refused.problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _tell(answer: OwnAnswer, request: ProxiedRequest, send: Send) -> None:
    headers = [*answer.headers, (b"x-request-id", request.ids.request_id)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
