"""Access rules: what a route requires of a caller, as values.

Built once from the configuration, immutable, never empty. Who passes is ``policies.access``'s to say.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import assert_never

from policies import acr

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
ClaimValue = str | int | bool


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Anybody, with or without a token. Stands alone: it is no part of another rule."""

    @property
    def describe(self) -> str:
        return "anonymous"


@dataclass(frozen=True, slots=True)
class Scopes:
    """Every one of these scopes."""

    scopes: frozenset[str]

    def __post_init__(self) -> None:
        _refuse_empty("scopes", self.scopes)

    @property
    def describe(self) -> str:
        return f"scopes({' '.join(sorted(self.scopes))})"


@dataclass(frozen=True, slots=True)
class Claims:
    """Each named claim has this value or, where the token has a list, contains it. Types count: ``true`` is not 1."""

    required: tuple[tuple[str, ClaimValue], ...]

    def __post_init__(self) -> None:
        _refuse_empty("claims", self.required)

    @property
    def describe(self) -> str:
        return f"claims({' '.join(f'{name}={value!r}' for name, value in self.required)})"


@dataclass(frozen=True, slots=True)
class Amr:
    """Every one of these authentication methods (RFC 8176) was used."""

    methods: frozenset[str]

    def __post_init__(self) -> None:
        _refuse_empty("amr", self.methods)

    @property
    def describe(self) -> str:
        return f"amr({' '.join(sorted(self.methods))})"


@dataclass(frozen=True, slots=True)
class Acr:
    """At least this authentication context class. One whose rank is not known cannot be compared, so it is refused."""

    value: str

    def __post_init__(self) -> None:
        if self.value not in acr.ORDER:
            raise ValueError(f"acr must be one of {', '.join(acr.ORDER)}")

    @property
    def describe(self) -> str:
        return f"acr({self.value})"


@dataclass(frozen=True, slots=True)
class MaxAge:
    """The last interactive authentication is at most this many seconds ago."""

    seconds: int

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise ValueError("max_age must be longer than nothing")

    @property
    def describe(self) -> str:
        return f"max_age({self.seconds}s)"


@dataclass(frozen=True, slots=True)
class ClientIs:
    """The token was issued to one of these clients."""

    client_ids: frozenset[str]

    def __post_init__(self) -> None:
        _refuse_empty("client", self.client_ids)

    @property
    def describe(self) -> str:
        return f"client({' '.join(sorted(self.client_ids))})"


@dataclass(frozen=True, slots=True)
class SourceIp:
    """The caller's address is in one of these networks."""

    networks: tuple[Network, ...]

    def __post_init__(self) -> None:
        _refuse_empty("source_ip", self.networks)

    @property
    def describe(self) -> str:
        return f"source_ip({' '.join(str(network) for network in self.networks)})"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of the rules; Deny before Challenge before Allow."""

    rules: tuple["Rule", ...]

    def __post_init__(self) -> None:
        _refuse_empty("all", self.rules)
        _refuse_anonymous("all", self.rules)

    @property
    def describe(self) -> str:
        return f"all({', '.join(rule.describe for rule in self.rules)})"


@dataclass(frozen=True, slots=True)
class Any:
    """One of the rules; Allow before Challenge before Deny."""

    rules: tuple["Rule", ...]

    def __post_init__(self) -> None:
        _refuse_empty("any", self.rules)
        _refuse_anonymous("any", self.rules)

    @property
    def describe(self) -> str:
        return f"any({', '.join(rule.describe for rule in self.rules)})"


@dataclass(frozen=True, slots=True)
class Not:
    """Allow becomes Deny, Deny becomes Allow, Challenge becomes Deny; a claim that the token lacks denies."""

    rule: "Rule"

    def __post_init__(self) -> None:
        _refuse_anonymous("not", (self.rule,))

    @property
    def describe(self) -> str:
        return f"not({self.rule.describe})"


Rule = Anonymous | Scopes | Claims | Amr | Acr | MaxAge | ClientIs | SourceIp | All | Any | Not


def scopes_asked_for(rule: Rule) -> frozenset[str]:
    """Every scope that helps somebody to pass; none that keeps somebody out."""
    match rule:
        case Scopes(scopes):
            return scopes
        case All(rules) | Any(rules):
            return frozenset().union(*map(scopes_asked_for, rules))
        case _:
            return frozenset()


def open_to_api_keys(rule: Rule) -> bool:
    """Whether any API key could pass: it has neither a login nor a client nor claims."""
    match rule:
        case Anonymous() | Scopes() | SourceIp():
            return True
        case Claims() | Amr() | Acr() | MaxAge() | ClientIs():
            return False
        case All(rules):
            return all(map(open_to_api_keys, rules))
        case Any(rules):
            return any(map(open_to_api_keys, rules))
        case Not(inner):
            return _knowable_of_api_keys(inner)
        case _:
            assert_never(rule)


def _knowable_of_api_keys(rule: Rule) -> bool:
    """Whether a rule asks only about what an API key has: of anything else, ``not`` denies."""
    match rule:
        case All(rules) | Any(rules):
            return all(map(_knowable_of_api_keys, rules))
        case Not(inner):
            return _knowable_of_api_keys(inner)
        case _:
            return open_to_api_keys(rule)


def claims_read(rule: Rule) -> frozenset[str]:
    """The names of the claims that a decision about it may look at."""
    match rule:
        case Claims(required):
            return frozenset(name for name, _ in required)
        case All(rules) | Any(rules):
            return frozenset().union(*map(claims_read, rules))
        case Not(inner):
            return claims_read(inner)
        case _:
            return frozenset()


def _refuse_empty(name: str, values: object) -> None:
    if not values:
        raise ValueError(f"{name} must not be empty: it would say nothing")


def _refuse_anonymous(name: str, rules: tuple[Rule, ...]) -> None:
    if any(isinstance(rule, Anonymous) for rule in rules):
        raise ValueError(f"anonymous must stand alone, not inside {name}")
