"""The ``claims`` parameter (OpenID Connect Core section 5.5): single claims, for the ID token or for userinfo.

Owns its grammar, and which of its values bind: those of ``sub`` and ``acr`` (section 5.5.1), which are about the login
and not about what is told of the user. Not which claims are released: a claim that is asked for by name is released by
its scope, as any other (gateway/oauth/claims.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.decision import Deny

MAX_LENGTH = 8192
"""Characters. No client of ours needs as many."""
_MOST_CLAIMS = 100
_NO_MEMBERS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """Names of claims by the place where they are wanted. ``subject`` is the only user that will do, where one is
    named. ``acr_values`` are wanted in this order of preference; where ``acr_essential``, one of them has to be met.
    """

    id_token: frozenset[str] = frozenset()
    userinfo: frozenset[str] = frozenset()
    subject: str | None = None
    acr_values: tuple[str, ...] = ()
    acr_essential: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Of both places."""
        return self.id_token | self.userinfo


class _Malformed(Exception):
    """What was sent is no claims request."""


def parse(text: str) -> ClaimsRequest | Deny:
    """What a parameter asks for, or ``Deny("claims_malformed")``. Members and claims that we do not know are ignored,
    as the section says.
    """
    if len(text) > MAX_LENGTH:
        return Deny("claims_malformed")
    try:
        sent = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
        if not isinstance(sent, dict):
            raise _Malformed
        id_token, userinfo = _member(sent, "id_token"), _member(sent, "userinfo")
        subjects = {value for member in (id_token, userinfo) for value in _wanted(member, "sub")}
        if len(subjects) > 1:  # nobody is two people
            raise _Malformed
        acr = id_token.get("acr") or _NO_MEMBERS
        return ClaimsRequest(
            frozenset(id_token),
            frozenset(userinfo),
            subjects.pop() if subjects else None,
            _wanted(id_token, "acr"),
            acr.get("essential") is True,
        )
    except (ValueError, RecursionError, _Malformed):
        return Deny("claims_malformed")


def _member(sent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The claims of one place: each has null, or an object with ``essential``, ``value`` or ``values``."""
    member = sent.get(name)
    if member is None:
        return _NO_MEMBERS
    if not isinstance(member, dict) or len(member) > _MOST_CLAIMS:
        raise _Malformed
    for wish in member.values():
        if wish is None:
            continue
        if not isinstance(wish, dict) or not isinstance(wish.get("essential", False), bool):
            raise _Malformed
        if not isinstance(wish.get("values", []), list) or {"value", "values"} <= wish.keys():
            raise _Malformed
    return member


def _wanted(member: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """The values of a claim whose values are strings."""
    wish = member.get(claim) or _NO_MEMBERS
    values = [wish["value"]] if "value" in wish else wish.get("values", [])
    if not all(isinstance(value, str) for value in values):
        raise _Malformed
    return tuple(values)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # read in two ways by two readers
        raise _Malformed
    if not all(name.isprintable() for name in found):  # NUL and lone surrogates, which no database takes
        raise _Malformed
    return found


def _refuse(constant: str) -> Any:
    raise _Malformed(constant)
