"""A route, and what a look-up of one answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from policies.cross_origin import PageRules
from policies.pattern import BadPattern, Pattern
from policies.quota import Quota
from policies.rewrite import Rewrite
from policies.rule import Anonymous, Rule

ANY_METHOD = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ANY_HOST = "*"
TENANT = "{tenant}"
_FORBIDDEN_METHODS = frozenset({"TRACE", "CONNECT"})
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the config. ``hosts`` are names with or without a port, or ``*``; ``methods`` empty means any.

    ``tenants`` None means any. ``encoded_slash`` lets ``%2f``, ``%23`` and ``%3f`` be data in a ``{param}``.
    ``upstream`` is a name, or one with ``{tenant}`` in it, which stands for the slug of whose token it is; empty where
    another proxy passes the request on, and ``audience`` is what a token must be for.
    ``api_keys``: an API key will do in place of an access token; ``browser``: a session in a cookie, of its one tenant.
    ``shadow`` lets everybody through and only notes who would have been refused.
    ``rewrite`` is what the upstream is asked for, None the path as it came; ``body`` the bytes that a request's body
    may have, None any number; ``pages`` what pages of other origins may, None whatever the upstream says.
    ``websocket``: it answers handshakes (RFC 6455), which are GETs, and nothing else. ``outlives_token``: what it let
    through goes on when its token expires, until that is revoked.
    """

    name: str
    hosts: tuple[str, ...]
    pattern: str
    rule: Rule
    upstream: str
    methods: frozenset[str] = frozenset()
    tenants: frozenset[str] | None = None
    encoded_slash: bool = False
    pass_authorization: bool = False
    audit_allow: bool = False
    signed_identity: bool = False
    api_keys: bool = False
    shadow: bool = False
    rewrite: Rewrite | None = None
    body: int | None = None
    quotas: tuple[Quota, ...] = ()
    pages: PageRules | None = None
    websocket: bool = False
    outlives_token: bool = False
    audience: str | None = None
    browser: bool = False
    parsed: Pattern = field(init=False, repr=False, compare=False)
    anonymous: bool = field(init=False, repr=False, compare=False)
    per_tenant: bool = field(init=False, repr=False, compare=False)
    quota_policy: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.hosts:
            raise BadPattern(f"route {self.name} names no host")
        if self.tenants is not None and not self.tenants:
            raise BadPattern(f"route {self.name} admits no tenant")
        if self.methods & _FORBIDDEN_METHODS:
            raise BadPattern(f"route {self.name}: TRACE and CONNECT are never proxied")
        if self.websocket and self.methods != {"GET"}:
            raise BadPattern(f"route {self.name}: the handshake of a WebSocket is a GET")
        object.__setattr__(self, "parsed", Pattern.parse(self.pattern))
        object.__setattr__(self, "anonymous", isinstance(self.rule, Anonymous))
        object.__setattr__(self, "per_tenant", TENANT in self.upstream)
        object.__setattr__(self, "quota_policy", ", ".join(quota.policy for quota in self.quotas).encode("ascii"))

    def upstream_of(self, tenant: str) -> str:
        """The name of the upstream for requests of this tenant."""
        return self.upstream.replace(TENANT, tenant)

    def tenant_of(self, upstream: str) -> str | None:
        """Whose upstream that is, where the route names one by tenant; None where it is nobody's here."""
        before, _, after = self.upstream.partition(TENANT)
        slug = upstream[len(before) : len(upstream) - len(after)]
        if not slug or self.upstream_of(slug) != upstream or not (self.tenants is None or slug in self.tenants):
            return None
        return slug

    @property
    def allowed(self) -> frozenset[str]:
        """The methods it answers; GET brings HEAD."""
        if not self.methods:
            return ANY_METHOD
        return self.methods | {"HEAD"} if "GET" in self.methods else self.methods

    def method_rank(self, method: str) -> int:
        """3 named, 2 a HEAD that GET brings, 1 any method, 0 not answered."""
        if method in self.methods:
            return 3
        if method == "HEAD" and "GET" in self.methods:
            return 2
        return 1 if not self.methods and method in ANY_METHOD else 0


@dataclass(frozen=True, slots=True)
class Matched:
    """``tenant_decides``: another tenant could have been given another route here. ``contested``: this one, which is in
    shadow, was found for a caller without a tenant, and some tenant is given another.
    """

    route: Route
    params: Mapping[str, str] = field(default_factory=lambda: _NO_PARAMS)
    tenant_decides: bool = False
    contested: bool = False


@dataclass(frozen=True, slots=True)
class MethodNotAllowed:
    """The path is known, the method is not. ``allowed`` is sorted, for the ``Allow`` field."""

    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotFound:
    """No route of this host, for this tenant, has such a path."""


@dataclass(frozen=True, slots=True)
class DelimiterRefused:
    """The path has an encoded delimiter, which no route takes that a caller without a tenant is given; a tenant's may.

    Only an answer for a caller without a tenant; for one that stays without, the path is not canonical.
    """


Match = Matched | MethodNotAllowed | NotFound | DelimiterRefused
