"""Where a browser may be sent once a login is done: below the tenant's own issuer, or to an address that one of its
clients registered, compared as a string (RFC 6749 section 3.1.2.3). Everything else is dropped, never repaired.
"""

import re
from collections.abc import Container
from urllib.parse import urlsplit

# A path as a browser sends it, with a query perhaps. No "//", "\\", "@", escape or dot segment can take it elsewhere.
_LOCAL = re.compile(r"/[A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*(?:\?[A-Za-z0-9_.~%=&:+,-]*)?")
_LONGEST = 2000


def allowed(address: str, *, base: str, registered: Container[str]) -> bool:
    """Whether to send a browser there. ``base`` is the path of the tenant's pages (``/t/acme``)."""
    return is_local(address, base=base) or (len(address) <= _LONGEST and address in registered)


def is_local(address: str, *, base: str) -> bool:
    """A path below ``base``: another tenant's pages are not."""
    if len(address) > _LONGEST or _LOCAL.fullmatch(address) is None:
        return False
    path = address.partition("?")[0]
    if any(segment in (".", "..") for segment in path.split("/")):
        return False
    return path == base or path.startswith(f"{base}/")


def origin(address: str) -> str:
    """The origin of a registered address, for ``form-action`` (CSP 3); empty for a path."""
    parts = urlsplit(address)
    return (
        f"{parts.scheme}://{parts.netloc}"
        if parts.scheme in ("http", "https")
        else f"{parts.scheme}:"
        if parts.scheme
        else ""
    )
