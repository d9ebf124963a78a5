"""What a stored name, scope, origin or audience may look like: checked once, where it enters the store."""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

from policies import redirect_uri
from policies.scope import is_scope_token
from tenants.errors import InvalidValue

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}")
_MAX_SCOPE = 100
_URN = re.compile(r"urn:[A-Za-z0-9][A-Za-z0-9-]{0,31}:[^?#]+")  # RFC 8141
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_LOOPBACK_ANY_PORT = frozenset({"http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"})


def checked_name(kind: str, name: str) -> str:
    """A name that may stand in a URL, a header field and a log line as it is.

    Raises:
        InvalidValue: with the rule.
    """
    if not is_name(name):
        raise InvalidValue(f"a {kind} name is 1 to 100 of A-Z a-z 0-9 . _ : @ - and begins with a letter or digit")
    return name


def is_name(name: str) -> bool:
    """Whether ``checked_name`` would take it. A look-up asks first: no database can be asked for every string."""
    return _NAME.fullmatch(name) is not None


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
        if len(scope) > _MAX_SCOPE or not is_scope_token(scope):
            raise InvalidValue(
                f"{scope!r} is not a scope: 1 to {_MAX_SCOPE} of printable ASCII without space, quote and backslash"
            )
    return found


def checked_audience(audience: str) -> str:
    """An API's identifier: an absolute URI without a fragment (RFC 8707 section 2), or a URN.

    Raises:
        InvalidValue: with the rule.
    """
    parts = _split(audience)
    if not (parts.hostname or _URN.fullmatch(audience)) or not parts.scheme or "#" in audience or not _plain(audience):
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
    if parts.scheme not in _DEFAULT_PORTS or origin != f"{parts.scheme}://{parts.netloc}" or not _is_host(parts):
        raise InvalidValue(
            f"{origin!r} is not an origin: http or https, then ://host or ://host:port in lower case, nothing more; "
            "the only wildcard is the port of a loopback host"
        )
    if parts.port == _DEFAULT_PORTS[parts.scheme]:
        raise InvalidValue(f"{origin!r} is not an origin as browsers send it: they leave the scheme's own port out")
    return origin


def checked_redirect_uri(uri: str) -> str:
    """An absolute URI without a fragment (RFC 6749 section 3.1.2): https, http to a loopback host (RFC 8252 section
    7.3), or an app's own scheme with a dot in it (section 7.1), which leaves out ``javascript:``, ``data:`` and others.

    Raises:
        InvalidValue: with the rule.
    """
    parts = _split(uri)
    if not parts.scheme or "#" in uri or "\\" in uri or not _plain(uri):
        raise InvalidValue(f"{uri!r} is not a redirect URI: absolute, without a fragment")
    match parts.scheme:
        case "https":
            good = _is_host(parts)
        case "http":
            good = _is_host(parts) and parts.hostname in _LOOPBACK_HOSTS
        case own:
            good = "." in own
    if redirect_uri.carries_answer(uri):
        raise InvalidValue(f"{uri!r} has a parameter in it that only an answer has, such as code, state or iss")
    if not good:
        raise InvalidValue(
            f"{uri!r} is not a redirect URI: https, http to a loopback host, or an app's own scheme with a dot in it"
        )
    return uri


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises for what is no port
    except ValueError as error:
        raise InvalidValue(f"{uri!r} is not a URI") from error
    return parts


def _is_host(parts: SplitResult) -> bool:
    """Whether what follows the scheme is a host and perhaps a port, in the one spelling that browsers send."""
    host = parts.hostname or ""
    port = "" if parts.port is None else f":{parts.port}"
    if ":" in host:
        try:
            host = f"[{IPv6Address(host)}]"
        except ValueError:
            return False
    elif len(host) > 253 or _HOST.fullmatch(host) is None:
        return False
    return parts.netloc == f"{host}{port}" and parts.port != 0


def _plain(uri: str) -> bool:
    return len(uri) <= 2000 and uri.isascii() and uri.isprintable() and " " not in uri
