"""The data plane: an ASGI application that decides about each API request and passes it on, or refuses it.

It reads a request, lets the gate decide, and passes it on as the upstream is to see it. What it was told to, it
observes; it stores nothing.
"""

import time
from collections.abc import Callable, Set
from uuid import UUID

import structlog

from gateway.audit import Observation
from gateway.authn.dpop import Possession
from gateway.context import Network
from gateway.proxy import handshake, refusal
from gateway.proxy.access_log import Began, Way, now_twice
from gateway.proxy.answer_headers import of_a_session
from gateway.proxy.answering import answer, of_fault, tell
from gateway.proxy.browsers import Browsers
from gateway.proxy.caller import Authenticate
from gateway.proxy.connection import UpstreamConnection
from gateway.proxy.cross_origin import Rules, permission, replaced
from gateway.proxy.forward import Exchange, Receive, Send
from gateway.proxy.gate import Gate
from gateway.proxy.headers import HeaderReader, holds_api_key, without_our_cookies
from gateway.proxy.identity import IdentityLines, IdSource, Origins
from gateway.proxy.identity_token import RETRY_AFTER, IdentityTokens, Unsigned
from gateway.proxy.long_answer import StreamEnded
from gateway.proxy.meter import Meter
from gateway.proxy.observing import observation, shadowed
from gateway.proxy.own_answer import OwnAnswer
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.refusal import Refusal, nonce_field
from gateway.proxy.registered_origins import nobody
from gateway.proxy.request import ProxiedRequest, Scope
from gateway.proxy.request_body import body_of
from gateway.proxy.route_limits import RouteLimits, in_place_of_theirs
from gateway.proxy.streams import Ended, Standings, Streams
from gateway.proxy.tenant_upstream import subject_key
from gateway.proxy.tracer import Tracer
from gateway.proxy.upstream import BodyTooLarge, ClientGone, UpstreamFault
from gateway.proxy.websocket import WebSocketExchange
from policies.principal import Principal
from policies.route import Route

log = structlog.get_logger("yett.proxy")
_CLIENT_CLOSED = 499  # for the audit log: nobody was there to be answered


class AnswerBroken(Exception):
    """The upstream failed in the middle of an answer. Raised to the server, so that it breaks the connection off."""


class DataPlane:
    """``authenticate`` verifies an access token, ``possession`` that its sender holds the key which it is bound to;
    ``feed_fresh`` says whether revocations are heard (rule 5), ``standings`` whether a token still counts,
    ``identities`` vouches for callers to upstreams.

    ``config`` may be replaced at any time; what runs goes on where the new one would let it. ``registered`` are the web
    origins of a tenant's clients, or of all tenants'. ``now`` is epoch seconds; ``counters`` and ``ticks`` are those of
    ``limits``. ``observe`` gets every refusal, and what routes with ``audit_allow`` let through.
    """

    def __init__(
        self,
        config: PlaneConfig,
        *,
        authenticate: Authenticate,
        possession: Possession,
        feed_fresh: Callable[[], bool],
        standings: Standings,
        observe: Callable[[Observation], None],
        identities: IdentityTokens,
        registered: Callable[[UUID | None], Set[str]] = nobody,
        counters: int = 262_144,
        trusted_proxies: tuple[Network, ...] = (),
        browsers: Browsers | None = None,
        tracer: Tracer | None = None,
        now: Callable[[], float] = time.time,
        ticks: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.config = config
        self._registered = registered
        self.limits = RouteLimits(counters, ticks)
        self.gate = Gate(
            authenticate=authenticate,
            possession=possession,
            feed_fresh=feed_fresh,
            registered=registered,
            limits=self.limits,
            now=now,
        )
        self.streams = Streams(
            standings, config=lambda: self.config, registered=registered, feed_fresh=feed_fresh, now=now
        )
        self._observe = observe
        self._headers = HeaderReader()
        self._origins = Origins(trusted_proxies)
        self._identity = IdentityLines()
        self._identities = identities
        self._browsers = browsers
        self._ids = IdSource()
        self._tracer = tracer
        self.meter = Meter(tracer)

    def trust(self, proxies: tuple[Network, ...]) -> None:
        """These proxies' words about where a request came from count from here on."""
        self._origins = Origins(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise TypeError(f"the data plane answers http, not {scope['type']}")
        config = self.config
        access_log = config.access_log
        began = now_twice()
        inbound = self._headers.read(scope["headers"])
        client = scope["client"]
        origin = self._origins.of(client[0] if client else "", scope["scheme"], inbound)
        request = ProxiedRequest(scope, inbound, origin, self._ids.draw())
        browsers = None if config.browser is None else self._browsers
        outcome = None if browsers is None else await browsers.arrive(request, config)
        if outcome is None:
            outcome = self.gate.decide(request, config)
            if browsers is not None and request.browser_app is not None and isinstance(outcome, Refusal):
                outcome = await browsers.instead(request, outcome)
        matched = request.matched
        if outcome is None and matched is not None:
            if request.pool is None:  # another proxy's to pass on
                outcome = Refusal(refusal.ROUTE_NOT_FOUND, "not_forwarded")
            elif matched.route.signed_identity:
                outcome = await self.vouch(request)
        if outcome is None:
            if matched is not None and request.pool is not None:
                principal = None if request.nameless else request.principal
                if request.would is not None:
                    self._observe(shadowed(request, request.would, config.digest))
                if matched.route.pages is not None:
                    self._permit(request, matched.route.pages, principal)
                await self._forward(request, matched.route, request.pool, config, receive, send, began)
            return
        if access_log is not None:
            access_log.told(request, outcome, began)
        self.meter.told(request, outcome, began)
        if isinstance(outcome, OwnAnswer):
            await tell(outcome, request, send)
        else:
            # Of a token that will not do, nothing is told: not even whose it was, by which pages may read that.
            principal = None if outcome.problem.status == 401 else request.principal
            rules = self.gate.rules_of_refused(request, config, principal)
            if rules is not None:
                self._permit(request, rules, principal)
            self._observe(observation(request, "refused", outcome.reason, outcome.problem.status, config.digest))
            await answer(outcome, request, send)

    def _permit(self, request: ProxiedRequest, rules: Rules, principal: Principal | None) -> None:
        """What the answer says to pages of other origins."""
        registered = self._registered(None if principal is None else principal.tenant_id)
        request.permission = permission(rules, request.scope["headers"], registered)

    async def vouch(self, request: ProxiedRequest) -> Refusal | None:
        """Write down who asks, for the API to verify, and then count it: what cannot be vouched for costs nothing."""
        matched, pool = request.matched, request.pool
        if matched is None:
            return None
        audience = matched.route.audience if pool is None else pool.upstream.audience
        if request.principal is not None and not request.nameless and audience is not None:
            try:
                request.identity = await self._identities.line(request.principal, audience)
            except Unsigned:
                return refusal.retry_later(refusal.IDENTITY_UNSIGNED, "identity_unsigned", RETRY_AFTER)
        return self.gate.count(request, matched.route)

    async def _forward(
        self,
        request: ProxiedRequest,
        route: Route,
        pool: UpstreamPool,
        config: PlaneConfig,
        receive: Receive,
        send: Send,
        began: Began,
    ) -> None:
        access_log, way = config.access_log, Way(pool.upstream.name)
        exchange = (WebSocketExchange if route.websocket else Exchange)(
            pool,
            self._outgoing(request, route),
            request=request,
            streams=self.streams,
            body=body_of(request.inbound, route.body),
            receive=receive,
            send=send,
            subject=subject_key(route, request.principal) if pool.by_subject else None,
        )
        status, allowed = _CLIENT_CLOSED, True
        try:
            connection = await exchange.open()
            status = connection.status
            way.answered_by(connection.endpoint.label)
            await exchange.relay(connection, _answer_headers(connection, request))
        except UpstreamFault as fault:
            log.warning(
                fault.event,
                upstream=pool.upstream.name,
                code=fault.code,
                detail=str(fault),
                route=route.name,
                request_id=request.ids.text,
                answered=exchange.started,
            )
            way.fault = fault.code
            if exchange.started:
                raise AnswerBroken(fault.code) from fault
            status = fault.status
            await answer(of_fault(fault), request, send)
        except BodyTooLarge:
            way.fault = "body_too_large"
            refused = refusal.body_too_large()
            allowed = False
            self._observe(observation(request, "refused", refused.reason, refused.problem.status, config.digest))
            if exchange.started:
                await exchange.cut()
            else:
                status = refused.problem.status
                await answer(refused, request, send)
        except StreamEnded as stopped:
            way.fault = stopped.ended.reason
            allowed = exchange.started
            status = await self._stop(stopped.ended, exchange, status, send)
        except (ClientGone, OSError):
            way.fault = "client_gone"
            log.debug("client_gone", route=route.name, request_id=request.ids.text)
        finally:
            if route.audit_allow and allowed:
                self._observe(observation(request, "allowed", "allowed", status, config.digest))
            self.meter.passed(request, route, status, began, way)
            if access_log is not None:
                access_log.passed(request, route, status, began, way, exchange)
            if not exchange.settled:
                await exchange.close()

    async def _stop(self, ended: Ended, exchange: Exchange, status: int, send: Send) -> int:
        """What was allowed would not be any more, by the configuration in force. Says with which status it ends."""
        request = exchange.request
        route = None if request.matched is None else request.matched.route.name
        log.info("stream_ended", reason=ended.reason, route=route, request_id=request.ids.text)
        refused = refusal.stopped(ended.reason, request.scheme)
        if ended.refused:
            self._observe(observation(request, "refused", ended.reason, refused.problem.status, self.config.digest))
        if exchange.started:
            await exchange.cut()
            return status
        await answer(refused, request, send)
        return refused.problem.status

    def _outgoing(self, request: ProxiedRequest, route: Route) -> bytes:
        """The head of the request as the upstream sees it."""
        scope, inbound, origin = request.scope, request.inbound, request.origin
        rewrite = route.rewrite
        path = scope["raw_path"] if rewrite is None else rewrite.apply(scope["raw_path"])
        pieces = [scope["method"].encode("ascii"), b" ", path]
        query: bytes = scope["query_string"]
        if query:
            pieces += (b"?", query)
        pieces += (b" HTTP/1.1\r\nhost: ", inbound.host, b"\r\n")
        pieces += inbound.kept
        for cookies in handshake.cookies(request, route, self._registered) if route.websocket else inbound.cookies:
            if left := without_our_cookies(cookies):
                pieces += (b"cookie: ", left, b"\r\n")
        if inbound.coded:
            pieces.append(b"transfer-encoding: chunked\r\n")
        elif inbound.length is not None:
            pieces += (b"content-length: ", inbound.length, b"\r\n")
        credentials = inbound.authorization if route.pass_authorization else None
        if credentials is not None and not holds_api_key(credentials):
            pieces += (b"authorization: ", credentials, b"\r\n")
            for proof in inbound.proofs:
                pieces += (b"dpop: ", proof, b"\r\n")
        if origin.trusted:
            pieces += inbound.vouched
        if rewrite is not None and rewrite.prefix is not None:
            # Behind what a trusted proxy took away before: the outermost stands first.
            pieces += (b"x-forwarded-prefix: ", rewrite.prefix, b"\r\n")
        pieces.append(origin.lines)
        if request.principal is not None and not route.anonymous and not request.nameless:
            pieces += (self._identity.of(request.principal), request.identity)
        pieces += (request.ids.lines(inbound) if self._tracer is None else self._tracer.lines(request), b"\r\n")
        return b"".join(pieces)


def _answer_headers(connection: UpstreamConnection, request: ProxiedRequest) -> list[tuple[bytes, bytes]]:
    headers = connection.head.fields if request.browser_app is None else of_a_session(connection.head.fields)
    if request.nonce is not None:  # one of the upstream's own is none that we would take
        headers = [field for field in headers if field[0] != b"dpop-nonce"]
        headers.append(nonce_field(request.nonce))
    headers.append((b"x-request-id", request.ids.request_id))
    if request.quota:
        headers = in_place_of_theirs(headers, request.quota)
    return replaced(headers, request.permission) if request.permission else headers
