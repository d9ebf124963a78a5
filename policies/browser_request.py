"""What a browser says of a request that it sends by itself (Fetch Metadata, RFC 6454), and what that allows.

A cookie comes with every request to its host, whoever caused it. So a request that changes something needs the
browser's word that a page of this very origin sent it, and one that only reads must not be another site's, unless the
person goes there. Without I/O.
"""

import re
from dataclasses import dataclass

from policies.decision import Allow, Deny

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = (("same-origin",), ("none",))
_UNNAMED = ("null",)
_TARGET = re.compile(r"/[!-~]{0,899}")  # what a header field can hold; a fragment never reaches us
_DROPPED = frozenset('"<>\\^`{|}')


@dataclass(frozen=True, slots=True)
class Sent:
    """The fields of a request, each with all its values. ``origin`` is the request's own: scheme, host, port."""

    method: str
    origin: str
    origins: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    accept: str = ""

    @property
    def navigates(self) -> bool:
        """Whether a person goes to this address, so that a redirect leads them somewhere. What is not a browser that
        says so goes by what it accepts.
        """
        if self.method != "GET":
            return False
        return self.modes == ("navigate",) if self.modes else "text/html" in self.accept


def may_use_cookie(sent: Sent) -> Allow | Deny:
    """Whether a cookie that came with a request speaks for its person.

    Denials: ``origin_foreign``, ``origin_missing``; and ``site_foreign`` for a read, which goes on as nobody's.
    """
    if sent.method in SAFE_METHODS:
        if sent.navigates:
            return Allow()
        own = sent.sites in _OWN_SITES if sent.sites else sent.origins in ((), (sent.origin,))
        return Allow() if own else Deny("site_foreign")
    # Under ``Referrer-Policy: no-referrer`` a page's own form says ``null``; an opaque origin is never ``same-origin``.
    if sent.origins and not (sent.origins == _UNNAMED and sent.sites):
        return Allow() if sent.origins == (sent.origin,) else Deny("origin_foreign")
    if sent.sites:
        return Allow() if sent.sites == ("same-origin",) else Deny("origin_foreign")
    return Deny("origin_missing")


def return_address(path: str, query: str) -> str:
    """Where to go after a login: the address that was asked for, on this origin. One that is too long, or that a header
    field cannot hold, loses its query, then its path.
    """
    for address in (f"{path}?{query}" if query else path, path):
        if _TARGET.fullmatch(address) and not address.startswith("//") and _DROPPED.isdisjoint(address):
            return address
    return "/"
