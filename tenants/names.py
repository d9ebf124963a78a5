"""What a stored name, scope, origin or audience may look like: checked once, where it enters the store."""

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from tenants.errors import InvalidValue

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749 section 3.3, with a length
_LOOPBACK_ANY_PORT = frozenset({"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"})


def checked_name(kind: str, name: str) -> str:
    """A name that may stand in a URL, a header field and a log line as it is.

    Raises:
        InvalidValue: with the rule.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidValue(f"a {kind} name is 1 to 100 of A-Z a-z 0-9 . _ : @ - and begins with a letter or digit")
    return name


def checked_title(kind: str, title: str) -> str:
    """A name for people: printable, 1 to 200 characters.

    Raises:
        InvalidValue: with the rule.
    """
    if not 0 < len(title) <= 200 or not title.isprintable():
        raise InvalidValue(f"a {kind}'s display name has 1 to 200 printable characters")
    return title


def checked_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Scope tokens (RFC 6749 section 3.3).

    Raises:
        InvalidValue: naming the first that is malformed.
    """
    found = frozenset(scopes)
    for scope in found:
        if _SCOPE.fullmatch(scope) is None:
            raise InvalidValue(f"{scope!r} is not a scope: printable ASCII without space, quote and backslash")
    return found


def checked_audience(audience: str) -> str:
    """An API's identifier: an absolute URI without a fragment (RFC 8707 section 2), or a URN.

    Raises:
        InvalidValue: with the rule.
    """
    parts = _split(audience)
    if not parts.scheme or parts.fragment or not (parts.netloc or parts.scheme == "urn") or not _plain(audience):
        raise InvalidValue(f"{audience!r} is not an audience: an absolute URI without a fragment")
    return audience


def checked_origin(origin: str) -> str:
    """A web origin (RFC 6454 section 6.2), or ``http://localhost:*`` and the like for any loopback port.

    Raises:
        InvalidValue: with the rule.
    """
    if origin in _LOOPBACK_ANY_PORT:
        return origin
    parts = _split(origin)
    if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}" or "@" in origin:
        raise InvalidValue(f"{origin!r} is not an origin: scheme://host or scheme://host:port, nothing more")
    if not _plain(origin) or "*" in origin or origin != origin.lower():
        raise InvalidValue(f"{origin!r} is not an origin: lower case, no wildcard but the port of a loopback host")
    return origin


def checked_redirect_uri(uri: str) -> str:
    """An absolute URI without a fragment (RFC 6749 section 3.1.2).

    Raises:
        InvalidValue: with the rule.
    """
    parts = _split(uri)
    if not parts.scheme or parts.fragment or uri.endswith("#") or not _plain(uri):
        raise InvalidValue(f"{uri!r} is not a redirect URI: absolute, without a fragment")
    return uri


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise InvalidValue(f"{uri!r} is not a URI") from error


def _plain(uri: str) -> bool:
    return len(uri) <= 2000 and uri.isascii() and uri.isprintable() and " " not in uri
