"""Which web pages may read an answer: those whose origin (RFC 6454) is listed, or is a loopback host's that is listed
with any port. There is no ``*`` here: no list can name every page.
"""

from collections.abc import Set
from urllib.parse import urlsplit


def allowed(origin: str, origins: Set[str]) -> bool:
    """Whether a page of this origin is one of these: listed as it is, or as a loopback host with any port."""
    return any(spelling in origins for spelling in listed_as(origin))


def listed_as(origin: str) -> tuple[str, ...]:
    """What a list may have in it for this origin to be listed."""
    if "*" in origin:  # a sign that stands for any port stands for itself in no browser
        return ()
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return (origin,)
    if origin != f"{parts.scheme}://{parts.netloc}":
        return (origin,)
    host = parts.netloc if port is None else parts.netloc.removesuffix(f":{port}")  # a default port is not written
    return origin, f"{parts.scheme}://{host}:*"
