"""A decision about a request that nobody sends: out of facts, by the gate that decides about real ones.

The facts stand in for what surrounds the gate (whether a token counts, what time it is, whether revocations are heard);
the order of the checks and every rule are the gate's own. Nothing is passed on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from gateway.authn.dpop import Possession
from gateway.context import Address
from gateway.proxy.gate import Gate
from gateway.proxy.headers import HeaderReader
from gateway.proxy.identity import Origin, RequestIds
from gateway.proxy.plane_config import PlaneConfig
from gateway.proxy.refusal import Refusal
from gateway.proxy.registered_origins import nobody
from gateway.proxy.request import ProxiedRequest
from gateway.proxy.verdict import Verdict, verdict
from gateway.settings import HostSet
from policies import websocket
from policies.access import STEP_UP, Explanation, explain
from policies.principal import Principal
from policies.route import Route

NO_API_HOST: Final = "no_api_host"
_IDS = RequestIds(b"", b"")
_HANDSHAKE: Final = (  # a sound one, of no page
    (b"connection", b"upgrade"),
    (b"sec-websocket-version", websocket.VERSION),
    (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision goes by. ``host`` and ``path`` are as a client writes them, ``at`` is epoch seconds.

    ``token_refused`` is why a token that was sent does not count; ``unread`` says that one was sent and nobody knows
    whose. ``preflight`` is the method that one asks for. ``fresh``: revocations are heard.
    ``masked``: a part of the path is not known.
    """

    method: str
    host: str
    path: str
    address: Address
    at: float
    principal: Principal | None = None
    token_refused: str | None = None
    unread: bool = False
    fresh: bool = True
    upgrade: str | None = None
    preflight: str | None = None
    masked: bool = False


class Unknown(Exception):
    """The decision wants a fact that is not there. Its text names it."""


class KnownClaims(Mapping[str, Any]):
    """The claims of a token of which only those of certain names were kept."""

    def __init__(self, values: Mapping[str, Any], known: frozenset[str]) -> None:
        self._values = values
        self._known = known

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            raise Unknown(f"the claim {name}")
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._known:
            raise Unknown(f"the claim {name}")
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class _Refused:
    reason: str
    proved_tenant: UUID | None = None
    api_key_id: str | None = None


class _Unlimited:
    """How many requests there were before is no fact of one of them."""

    def refusal(self, _: ProxiedRequest, __: Route, /) -> Refusal | None:
        return None


class Rehearsal:
    """Decides by one configuration. ``possession`` is never asked: who has a principal has proved to be it."""

    def __init__(self, config: PlaneConfig, api_hosts: HostSet, possession: Possession) -> None:
        self.config = config
        self._api_hosts = api_hosts
        self._headers = HeaderReader()
        self._facts: Facts | None = None
        self._gate = Gate(
            authenticate=self._authenticate,
            possession=possession,
            feed_fresh=lambda: self._now_at.fresh,
            registered=nobody,
            limits=_Unlimited(),
            now=lambda: self._now_at.at,
        )

    @property
    def audiences(self) -> frozenset[str]:
        """All for which a token may be: of the upstreams, and of routes that another proxy passes on."""
        of_upstreams = {pool.upstream.audience for pool in self.config.upstreams.values()}
        of_routes = {route.audience for route in self.config.table.routes}
        return frozenset(audience for audience in of_upstreams | of_routes if audience is not None)

    @property
    def _now_at(self) -> Facts:
        if self._facts is None:
            raise AssertionError("nothing is rehearsed")
        return self._facts

    def decide(self, facts: Facts) -> Verdict:
        """What the gateway would do.

        Raises:
            Unknown: it depends on what the facts do not say.
        """
        return self._decide(facts)[0]

    def explain(self, facts: Facts) -> tuple[Verdict, Explanation | None]:
        """The same, with the rule that was asked, where it came to one. Raises as ``decide`` does."""
        found, request = self._decide(facts)
        if request is None or request.matched is None or request.matched.route.anonymous or not _by_rule(found):
            return found, None
        rule = request.matched.route.rule
        return found, explain(rule, request.principal, source=facts.address, now=int(facts.at))

    def _decide(self, facts: Facts) -> tuple[Verdict, ProxiedRequest | None]:
        if self._api_hosts.find(facts.host.lower()) is None:
            return Verdict("refuse", NO_API_HOST, 421, None), None
        if facts.masked:
            raise Unknown("the whole path")
        headers = [(b"host", facts.host.encode("latin-1"))]
        if facts.principal is not None or facts.token_refused is not None or facts.unread:
            headers.append((b"authorization", b"Bearer -"))
        if facts.upgrade is not None:
            headers += [(b"upgrade", facts.upgrade.encode("latin-1")), *_HANDSHAKE]
        if facts.preflight is not None:
            headers += [(b"origin", b"null"), (b"access-control-request-method", facts.preflight.encode("latin-1"))]
        scope = {
            "type": "http",
            "method": facts.method,
            "http_version": "1.1",
            "raw_path": facts.path.encode("latin-1"),
            "query_string": b"",
            "headers": headers,
        }
        inbound = self._headers.read(headers)
        origin = Origin((facts.address,), b"https", inbound.host, trusted=False)
        request = ProxiedRequest(scope, inbound, origin, _IDS)
        self._facts = facts
        return verdict(self._gate.decide(request, self.config), request), request

    def _authenticate(self, _: bytes) -> Principal | _Refused:
        facts = self._now_at
        if facts.unread:
            raise Unknown("whose token it was")
        return facts.principal or _Refused(facts.token_refused or "")


def _by_rule(found: Verdict) -> bool:
    """Whether a decision came from the route's rule, and not before it."""
    decided = found.would or found
    return decided.decision in ("allow", "deny") or decided.reason == STEP_UP
