"""Pages of other origins that call an API (Fetch, CORS): which may, as the configuration lists them.

Where it lists any, the gateway's word is the only one: it answers preflights itself, without a token, for every path
that there is a route for, and what an upstream says of origins is dropped. No cookie takes part, so no answer carries
``Access-Control-Allow-Credentials``.
"""

import re
from collections.abc import Iterable

from gateway.proxy.own_answer import Fields, OwnAnswer
from policies.web_origin import allowed

_EXPOSED = b"WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id"
_PREFLIGHT_SECONDS = b"600"
_VARY = (b"vary", b"Origin")
_VARY_PREFLIGHT = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_NAMES = re.compile(rb"[A-Za-z0-9-]{1,100}(?:[ \t]*,[ \t]*[A-Za-z0-9-]{1,100}){0,50}")
_EXPOSE = b"access-control-expose-headers"

Headers = Iterable[tuple[bytes, bytes]]


class CrossOrigin:
    """``origins`` are web origins, and loopback hosts with ``*`` for any port."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def permission(self, headers: Headers) -> Fields:
        """What every answer to this request carries, refusals too: a page must be able to read why."""
        origin = self._allowed(headers)
        if origin is None:
            return (_VARY,)
        return (b"access-control-allow-origin", origin), (_EXPOSE, _EXPOSED), _VARY

    def preflight(self, headers: Headers) -> OwnAnswer:
        """The answer to a preflight; without the permission the browser stops by itself."""
        origin, wanted = self._allowed(headers), _only(headers, b"access-control-request-method")
        if origin is None or wanted is None:
            return OwnAnswer(204, (_VARY_PREFLIGHT,))
        fields = [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", wanted),
            (b"access-control-max-age", _PREFLIGHT_SECONDS),
            _VARY_PREFLIGHT,
        ]
        names = _only(headers, b"access-control-request-headers")
        if names is not None and _NAMES.fullmatch(names) is not None:
            # Whatever it asks for: which header fields an API takes is the API's to say, and it has no cookie to lose.
            fields.append((b"access-control-allow-headers", names))
        return OwnAnswer(204, tuple(fields))

    def _allowed(self, headers: Headers) -> bytes | None:
        origin = _only(headers, b"origin")
        return origin if origin is not None and allowed(origin.decode("latin-1"), self._origins) else None


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


def _only(headers: Headers, name: bytes) -> bytes | None:
    found = [value for known, value in headers if known == name]
    return found[0] if len(found) == 1 else None
