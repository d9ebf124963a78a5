"""Scopes: the syntax of the ``scope`` parameter and which of the scopes asked for are granted (RFC 6749 section 3.3).

Owns the grammar and the intersection. Not which scopes a route requires (access.py), nor narrowing at a refresh
(refresh.py).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from policies.decision import Deny

OPENID: Final = frozenset({"openid", "profile", "email", "offline_access", "groups", "roles"})
"""What a user gives of themselves (OpenID Connect Core sections 5.4 and 11): no role has to hold these."""

MAX_LENGTH = 4096
"""Characters. A longer list is no request that any client of ours makes, and a token could not carry it."""

_NAME = r"[\x21\x23-\x5b\x5d-\x7e]+"
_SCOPE = re.compile(rf"{_NAME}(?: {_NAME})*")
_ONE = re.compile(_NAME)


@dataclass(frozen=True, slots=True)
class Granted:
    """The scopes that the token gets. May be empty, where none was asked for and there is none to give."""

    scopes: frozenset[str]


def parse(text: str) -> frozenset[str] | Deny:
    """The scopes in a ``scope`` parameter, or ``Deny("invalid_scope")`` where it breaks the grammar (order and
    repetition mean nothing).
    """
    if len(text) > MAX_LENGTH or _SCOPE.fullmatch(text) is None:
        return Deny("invalid_scope")
    return frozenset(text.split(" "))


def is_scope_token(name: str) -> bool:
    """Whether ``name`` can be the name of one scope."""
    return len(name) <= MAX_LENGTH and _ONE.fullmatch(name) is not None


def canonical(scopes: Iterable[str]) -> str:
    """The one spelling of a set of scopes: sorted, separated by a space; the empty set is the empty string."""
    return " ".join(sorted(set(scopes)))


def of_user(role_scopes: frozenset[str]) -> frozenset[str]:
    """What a user may have: the scopes of their roles, and those of OpenID Connect."""
    return role_scopes | OPENID


def granted(
    asked: str | None,
    *,
    client_scopes: frozenset[str],
    default_scopes: frozenset[str],
    user_scopes: frozenset[str] | None,
) -> Granted | Deny:
    """asked ∩ client's ∩ user's; the client's defaults stand in where none is asked.

    ``asked`` None or empty means that none is asked for (RFC 6749 section 3.1: a parameter without a value is omitted).
    ``user_scopes`` None means that there is no user: the client acts for itself. A scope that is unknown or not allowed
    is left out silently, as the RFC lets us; only when nothing of what was asked remains is that ``invalid_scope``.
    """
    wanted = default_scopes if not asked else parse(asked)
    if isinstance(wanted, Deny):
        return wanted
    # Defaults are cut to the client's scopes as well: an edit of the client that forgot its defaults must not grant
    # more.
    scopes = wanted & client_scopes
    if user_scopes is not None:
        scopes &= user_scopes
    if asked and not scopes:
        return Deny("invalid_scope", scopes=wanted)
    return Granted(scopes)
