"""One request to an API while it is decided about: what came in, and what has been found out of it so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from gateway.proxy.browser_app import BrowserApp
from gateway.proxy.headers import Inbound, valid_traceparent
from gateway.proxy.identity import Origin, RequestIds
from gateway.proxy.own_answer import Fields
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.refusal import Refusal, Scheme
from gateway.proxy.trace import Trace
from policies.principal import Principal
from policies.route import Matched

Scope = Mapping[str, Any]


@dataclass(slots=True)
class ProxiedRequest:
    """``principal`` and ``matched`` are filled in on the way; ``proved_tenant`` is whose token it is where there is no
    principal, ``api_key_id`` which of that tenant's API keys, if it is one; ``nonce`` is what the next DPoP proof has
    to carry, where this request is one with a proof; ``token_refused`` is why there is no principal, where a token was
    asked for; ``would`` is the refusal that a route in shadow does not give, and ``nameless`` says that even so nobody
    is told of a caller; ``permission`` is what every answer says to pages of other origins, where there are rules for
    them; ``quota`` what it says of the route's limits, where it has any; ``identity`` the line that vouches for the
    principal, where the route wants one; ``pool`` is where it goes; ``browser_app`` whose session a cookie may be,
    where the route takes one and no token was sent; ``trace`` where it stands in one, if traces are sent.
    """

    scope: Scope
    inbound: Inbound
    origin: Origin
    ids: RequestIds
    principal: Principal | None = None
    proved_tenant: UUID | None = None
    api_key_id: str | None = None
    matched: Matched | None = None
    scheme: Scheme = "Bearer"
    nonce: str | None = None
    permission: Fields = ()
    identity: bytes = b""
    pool: UpstreamPool | None = None
    quota: Fields = ()
    browser_app: BrowserApp | None = None
    token_refused: Refusal | None = None
    would: Refusal | None = None
    nameless: bool = False
    trace: Trace | None = None

    def trace_id(self) -> str:
        """Of the trace that this request belongs to: the client's, else the one that begins here."""
        if self.trace is not None:
            return self.trace.id.decode("ascii")
        kept = valid_traceparent(self.inbound.traceparents) if self.inbound.traceparents else None
        return self.ids.text if kept is None else kept[3:35].decode("ascii")

    @property
    def url(self) -> str:
        """The address as the client wrote it, without its query: the scheme is what a trusted proxy says that it is."""
        pieces = self.origin.proto, b"://", self.inbound.host, self.scope["raw_path"]
        return b"".join(pieces).decode("latin-1")
