"""Claims that a tenant defines as data: a claim's name, and which of a few facts its value is. No templates, no code.

Owns the sources, the names that are the protocol's own, and the values. Not whether a claim is released: a client's
mapping always is, a scope's where the scope was granted (gateway/oauth/claims.py).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MOST_CLAIMS: Final = 50
RESERVED: Final = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr", "azp", "at_hash", "c_hash"}
    | {"s_hash", "sid", "cnf", "act", "may_act", "client_id", "scope", "events", "_claim_names", "_claim_sources"}
)
"""What a token or an answer says by itself: nobody may say it in its place."""

_CONSTANT = "const:"
_LONGEST_CONSTANT = 200
_NAME = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")

Value = str | bool | list[str]


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What claims are made of. ``email`` None: the user has none, and no claim says anything of it."""

    user_id: str
    user_name: str
    email: str | None
    email_verified: bool
    roles: tuple[str, ...]
    tenant_slug: str
    tenant_name: str
    client_id: str
    groups: tuple[str, ...] = ()


def _values(facts: ClaimFacts) -> Mapping[str, Value | None]:
    return {
        "user.id": facts.user_id,
        "user.name": facts.user_name,
        "user.email": facts.email,
        "user.email_verified": None if facts.email is None else facts.email_verified,
        "user.roles": sorted(facts.roles),
        "user.groups": sorted(facts.groups),
        "tenant.slug": facts.tenant_slug,
        "tenant.name": facts.tenant_name,
        "client.id": facts.client_id,
    }


SOURCES: Final = tuple(_values(ClaimFacts("", "", None, False, (), "", "", "")))
"""Beside ``const:`` and a text."""

STANDARD: Final[Mapping[str, tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        "profile": (("name", "user.name"), ("preferred_username", "user.name")),
        "email": (("email", "user.email"), ("email_verified", "user.email_verified")),
        "groups": (("groups", "user.roles"),),
        "roles": (("roles", "user.roles"),),
    }
)
"""What the scopes of OpenID Connect Core section 5.4, and two that are usual beside them, release."""


def problem(mapping: Iterable[tuple[str, str]]) -> str | None:
    """The rule that a mapping breaks, in words; None for one that may be stored."""
    pairs = tuple(mapping)
    if len(pairs) > MOST_CLAIMS:
        return f"at most {MOST_CLAIMS} claims are mapped in one place"
    for claim, source in pairs:
        if _NAME.fullmatch(claim) is None:
            return f"{claim!r} is not a claim: 1 to 100 of printable ASCII without space, quote and backslash"
        if claim in RESERVED:
            return f"the claim {claim} is the protocol's own"
        text = _constant(source)
        if text is None and source not in SOURCES:
            return f"{source!r} is no source of a claim: {', '.join(SOURCES)}, or {_CONSTANT} and a text"
        if text is not None and not (0 < len(text) <= _LONGEST_CONSTANT and text.isprintable()):
            return f"a constant has 1 to {_LONGEST_CONSTANT} printable characters"
    return None


def claims(mapping: Iterable[tuple[str, str]], facts: ClaimFacts) -> dict[str, Value]:
    """The claims with their values; those that have none are left out (OpenID Connect Core section 5.3.2).

    Raises:
        KeyError: a source that is none: it cannot have been stored.
    """
    values = _values(facts)
    found: dict[str, Value] = {}
    for claim, source in mapping:
        text = _constant(source)
        value = values[source] if text is None else text
        if value is not None:
            found[claim] = value
    return found


def _constant(source: str) -> str | None:
    return source.removeprefix(_CONSTANT) if source.startswith(_CONSTANT) else None
