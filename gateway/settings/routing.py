"""Routes as the file writes them: shapes and single values. What must fit together is in ``checks``."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from gateway.settings.addresses import AbsoluteUri, Cidr, HostPort
from gateway.settings.cors import RouteCors
from gateway.settings.route_limit import BodySize, Limit, OneOrSeveral
from gateway.settings.section import Section
from gateway.settings.units import Duration, Flag, Name, Share, is_slug, within
from policies import acr
from policies.login import METHODS

ANY_TENANT = "*"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_MAX_WORD = 256


def _method(value: object) -> str:
    if isinstance(value, str) and value in _METHODS:
        return value
    raise ValueError(f"must be one of {' '.join(_METHODS)}, in capitals")


def _tenant(value: object) -> str:
    if isinstance(value, str) and (value == ANY_TENANT or is_slug(value)):
        return value
    raise ValueError('must be a tenant\'s slug (a DNS label in lower case) or "*"')


def _word(value: object) -> str:
    """A scope token or a client id: RFC 6749 section 3.3's characters, no space."""
    legal = isinstance(value, str) and all("!" <= sign <= "~" and sign not in '"\\' for sign in value)
    if isinstance(value, str) and legal and 1 <= len(value) <= _MAX_WORD:
        return value
    raise ValueError("must be printable ASCII without spaces, quotes or backslashes")


def _acr(value: object) -> str:
    if isinstance(value, str) and value in acr.ORDER:
        return value
    raise ValueError(f"must be {' or '.join(acr.ORDER)}")


def _amr(value: object) -> str:
    if isinstance(value, str) and value in METHODS:
        return value
    raise ValueError(f"must be one of {', '.join(sorted(METHODS))}")


def _claim_value(value: object) -> str | int | bool:
    if isinstance(value, str | int | bool):
        return value
    raise ValueError("must be text, a whole number, true or false")


Method = Annotated[str, BeforeValidator(_method)]
TenantName = Annotated[str, BeforeValidator(_tenant)]
Word = Annotated[str, BeforeValidator(_word)]
AmrValue = Annotated[str, BeforeValidator(_amr)]
AcrValue = Annotated[str, BeforeValidator(_acr)]
MaxAge = Annotated[Duration, within("1s", "365d")]
ClaimValue = Annotated[str | int | bool, BeforeValidator(_claim_value)]


class Match(Section):
    """Which requests: a path pattern, and the methods and hosts it is narrowed to (empty: every one)."""

    path: str
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] | None = None
    hosts: Annotated[tuple[HostPort, ...], Field(min_length=1)] | None = None


class Requirement(Section):
    """One node of ``require``: exactly one of its keys, so that no reader has to guess how two would combine."""

    all: Annotated["tuple[Requirement, ...]", Field(min_length=1)] | None = None
    any: Annotated["tuple[Requirement, ...]", Field(min_length=1)] | None = None
    not_: "Requirement | None" = Field(default=None, alias="not")
    scopes: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    claims: Annotated[dict[str, ClaimValue], Field(min_length=1)] | None = None
    amr: Annotated[tuple[AmrValue, ...], Field(min_length=1)] | None = None
    acr: AcrValue | None = None
    max_age: MaxAge | None = None
    client: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    source_ip: Annotated[tuple[Cidr, ...], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_key(cls, value: object) -> object:
        if not isinstance(value, dict | Requirement):
            raise ValueError(
                "must be a mapping such as {scopes: [orders:read]}; only the whole of `require` may be `anonymous`"
            )
        if isinstance(value, dict) and len(value) != 1:
            raise ValueError(
                "is empty: name what is required"
                if not value
                else "must have exactly one key; join several with `all`, as in all: [{scopes: [a]}, {amr: [otp]}]"
            )
        return value


class _AnonymousOrRequirement:
    """``anonymous`` at the top of ``require``; anything else is a node. Inside a node ``anonymous`` means nothing."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: object, node: core_schema.ValidatorFunctionWrapHandler) -> object:
            return value if value == "anonymous" else node(value)

        return core_schema.no_info_wrap_validator_function(parse, handler.generate_schema(Requirement))


class RouteAccessLog(Section):
    """What of `access_log` is different for one route."""

    sample: Share | None = None
    sample_refusals: Flag | None = None


class Route(Section):
    """Which requests go to which upstream, and what they must show. ``require`` has no default on purpose.

    Without an upstream it is for forward auth alone, and ``audience`` is what its tokens must be for.
    """

    name: Name
    match: Match
    tenants: Annotated[tuple[TenantName, ...], Field(min_length=1)] = (ANY_TENANT,)
    require: Annotated[Requirement | Literal["anonymous"], _AnonymousOrRequirement]
    upstream: str | None = None
    audience: AbsoluteUri | None = None
    encoded_slash: Literal["refuse", "keep"] = "refuse"
    authorization: Literal["strip", "forward"] = "strip"
    identity: Literal["headers", "jwt"] = "headers"
    session: Literal["token", "cookie"] = "token"
    audit: Literal["refusals", "allow"] = "refusals"
    api_keys: Literal["refuse", "allow"] = "refuse"
    access_log: RouteAccessLog = RouteAccessLog()
    shadow: Flag = False
    websocket: Flag = False
    stream_ends: Literal["token", "revocation"] = "token"
    strip: str | None = None
    rewrite: str | None = None
    body: BodySize | None = None
    limit: OneOrSeveral | None = None
    cors: RouteCors | None = None

    @property
    def anonymous(self) -> bool:
        return self.require == "anonymous"

    @property
    def limits(self) -> tuple[tuple[tuple[int, ...], Limit], ...]:
        """Each with where it stands below ``limit``."""
        if isinstance(self.limit, Limit):
            return (((), self.limit),)
        return tuple(((place,), one) for place, one in enumerate(self.limit or ()))
