"""Which request another proxy asks about: its method, its address and its scheme, as that proxy says them.

One table of the ways in which proxies say it. Each field has to be there once, and no other way beside it: what the
proxy does not set itself, its client could. All is taken byte for byte; whether the path can be read in one way only is
the gate's to find out. Does not own who may ask (forward_auth.py).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.proxy.request import Scope
from policies.route import ANY_METHOD

PATH = "/forward-auth"
"""Where proxies ask that say it in header fields. Below it are the paths of those that ask with the request's own."""

Unclear = Literal["original_missing", "original_ambiguous", "original_method", "original_host", "original_scheme"]

_ORIGINAL_METHOD, _FORWARDED_METHOD = b"x-original-method", b"x-forwarded-method"
_ORIGINAL_URI, _ORIGINAL_URL, _FORWARDED_URI = b"x-original-uri", b"x-original-url", b"x-forwarded-uri"
_PROTO, _HOST_FIELD, _FORWARDED_HOST = b"x-forwarded-proto", b"host", b"x-forwarded-host"
# No way of ours is X-Original-URL, which nginx as the ingress controller of Kubernetes sets: the host in it is the
# client's Host field, and a request line with an address of its own has nginx choose another.
_SAYS_WHICH = frozenset({_ORIGINAL_URI, _ORIGINAL_URL, _FORWARDED_URI, _ORIGINAL_METHOD, _FORWARDED_METHOD})
_READ = _SAYS_WHICH | {_PROTO, _HOST_FIELD, _FORWARDED_HOST}
_SCHEMES = (b"http", b"https")
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,259}")


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """``uri`` is path and query. ``only_401_and_403``: its proxy takes every other refusal for a failure of ours."""

    method: str
    proto: bytes
    host: bytes
    raw_path: bytes
    query: bytes
    only_401_and_403: bool = False


def original_request(scope: Scope) -> OriginalRequest | Unclear:
    """The request that is asked about by one to ``PATH`` or below it."""
    fields: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            fields.setdefault(name, []).append(value)
    below = scope["raw_path"][len(PATH) :]
    if below:
        return _of_path(scope, fields, below)
    ways = [name for name in (_ORIGINAL_URI, _FORWARDED_URI) if name in fields]
    if not ways:
        return "original_missing"
    if len(ways) > 1 or len(fields[ways[0]]) > 1 or _ORIGINAL_URL in fields:
        return "original_ambiguous"
    said = fields[ways[0]][0]
    if ways[0] == _FORWARDED_URI:  # Traefik, Caddy
        return _made(fields, _FORWARDED_METHOD, _one(fields, _PROTO), _one(fields, _FORWARDED_HOST), said)
    return _made(fields, _ORIGINAL_METHOD, _one(fields, _PROTO), _one(fields, _HOST_FIELD), said)  # nginx


def _of_path(scope: Scope, fields: Mapping[bytes, list[bytes]], path: bytes) -> OriginalRequest | Unclear:
    """Envoy: the request itself, with a prefix."""
    if not _SAYS_WHICH.isdisjoint(fields):
        return "original_ambiguous"
    query: bytes = scope["query_string"]
    return _checked(scope["method"], _one(fields, _PROTO), _one(fields, _HOST_FIELD), path, query)


def _made(
    fields: Mapping[bytes, list[bytes]], method_field: bytes, proto: bytes | None, host: bytes | None, uri: bytes
) -> OriginalRequest | Unclear:
    other = _FORWARDED_METHOD if method_field == _ORIGINAL_METHOD else _ORIGINAL_METHOD
    if other in fields:
        return "original_ambiguous"
    method = _one(fields, method_field)
    if method is None:
        return "original_method"
    path, _, query = uri.partition(b"?")
    nginx = method_field == _ORIGINAL_METHOD
    return _checked(method.decode("latin-1"), proto, host, path, query, only_401_and_403=nginx)


def _checked(
    method: str, proto: bytes | None, host: bytes | None, path: bytes, query: bytes, *, only_401_and_403: bool = False
) -> OriginalRequest | Unclear:
    if method not in ANY_METHOD:
        return "original_method"
    if proto is None or proto not in _SCHEMES:
        return "original_scheme"
    if host is None or _HOST.fullmatch(host) is None:
        return "original_host"
    return OriginalRequest(method, proto, host, path, query, only_401_and_403)


def _one(fields: Mapping[bytes, list[bytes]], name: bytes) -> bytes | None:
    values = fields.get(name, ())
    return values[0] if len(values) == 1 else None
