"""Pages of other origins that call an API (Fetch, CORS): what is said to them of a route's rules.

Where a route has rules, the gateway's word is the only one: it answers preflights itself, without a token, and what an
upstream says of origins is dropped. Owns the header fields; not who may (policies/cross_origin.py).
"""

import re
from collections.abc import Iterable, Set
from typing import Protocol

from gateway.proxy.own_answer import Fields, OwnAnswer
from policies.cross_origin import EVERY_PAGE, PageRules

_EXPOSED = "WWW-Authenticate, DPoP-Nonce, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id"
_ALWAYS_ALLOWED = "Authorization, DPoP"
_VARY = (b"vary", b"Origin")
_VARY_PREFLIGHT = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_NAMES = re.compile(rb"[A-Za-z0-9-]{1,100}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,100}){0,50}")
_EXPOSE = b"access-control-expose-headers"
_CREDENTIALS = (b"access-control-allow-credentials", b"true")

Headers = Iterable[tuple[bytes, bytes]]


class Rules(Protocol):
    """A route's, or those of several routes of which one may answer."""

    def find(self, origin: str, registered: Set[str]) -> PageRules | None:
        """The rules for a page of this origin."""


def permission(rules: Rules, headers: Headers, registered: Set[str]) -> Fields:
    """What every answer to this request carries, refusals too: a page must be able to read why."""
    origin, found = _find(rules, headers, registered)
    if found is None:
        return (_VARY,)
    exposed = ", ".join((_EXPOSED, *found.expose)).encode("ascii")
    fields: Fields = ((b"access-control-allow-origin", origin), (_EXPOSE, exposed), _VARY)
    return (*fields, _CREDENTIALS) if found.credentials else fields


def preflight(rules: Rules, headers: Headers, registered: Set[str]) -> OwnAnswer:
    """The answer to a preflight; without the permission the browser stops by itself."""
    origin, found = _find(rules, headers, registered)
    wanted = _only(headers, b"access-control-request-method")
    if found is None or wanted is None:
        return OwnAnswer(204, "preflight", (_VARY_PREFLIGHT,))
    fields = [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", wanted),
        (b"access-control-max-age", b"%d" % found.max_age),
        _VARY_PREFLIGHT,
    ]
    names = _only(headers, b"access-control-request-headers")
    if found.headers is not None:
        fields.append((b"access-control-allow-headers", ", ".join((_ALWAYS_ALLOWED, *found.headers)).encode("ascii")))
    elif names is not None and _NAMES.fullmatch(names) is not None:
        # Whatever it asks for: which header fields an API takes is the API's to say.
        fields.append((b"access-control-allow-headers", names))
    if found.credentials:
        fields.append(_CREDENTIALS)
    return OwnAnswer(204, "preflight", tuple(fields))


def preflighted(method: str, headers: Headers) -> str | None:
    """The method that a preflight asks for; None where this is none."""
    if method != "OPTIONS" or _only(headers, b"origin") is None:
        return None
    wanted = _only(headers, b"access-control-request-method")
    return None if wanted is None else wanted.decode("latin-1")


def replaced(fields: list[tuple[bytes, bytes]], permission: Fields) -> list[tuple[bytes, bytes]]:
    """An upstream's header fields with the gateway's permission. Which of its fields a page may read is its own to say.

    Fields of one name add up, as ``Vary`` and ``Access-Control-Expose-Headers`` are meant to.
    """
    kept = [field for field in fields if not field[0].startswith(b"access-control-") or field[0] == _EXPOSE]
    return [*kept, *permission]


def _find(rules: Rules, headers: Headers, registered: Set[str]) -> tuple[bytes, PageRules | None]:
    """The rules for the page that asks, and the origin as the answer names it."""
    origin = _only(headers, b"origin")
    found = None if origin is None else rules.find(origin.decode("latin-1"), registered)
    if origin is None or found is None:
        return b"", None
    return b"*" if EVERY_PAGE in found.origins else origin, found


def _only(headers: Headers, name: bytes) -> bytes | None:
    found = [value for known, value in headers if known == name]
    return found[0] if len(found) == 1 else None
