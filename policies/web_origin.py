"""Which web pages may read an answer: those whose origin (RFC 6454) is listed, or is a loopback host's that is listed
with any port. There is no ``*``: no list can name every page.
"""

from collections.abc import Set
from urllib.parse import urlsplit


def allowed(origin: str, origins: Set[str]) -> bool:
    """Whether a page of this origin is one of these: listed as it is, or as a loopback host with any port."""
    if "*" in origin:  # a sign that stands for any port stands for itself in no browser
        return False
    if origin in origins:
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    if origin != f"{parts.scheme}://{parts.netloc}":
        return False
    host = parts.netloc if port is None else parts.netloc.removesuffix(f":{port}")  # a default port is not written
    return f"{parts.scheme}://{host}:*" in origins
