"""The URL under which a tenant issues (RFC 8414 section 2): below the shared address, or at a host of its own.

An issuer is compared as a string, so an own host has one spelling: ``https://`` and a DNS name in lower case, and
nothing behind it. On this computer (a name in ``localhost``, RFC 6761 section 6.3) it is ``http://``, with a port
perhaps. Owns that spelling, and which issuer a ``Host`` would stand for. Not which hosts are taken.
"""

import re
from datetime import timedelta

LONGEST_OVERLAP = timedelta(days=90)
"""No longer does a former issuer count."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HERE = re.compile(rf"(?:{_LABEL}\.)*localhost(?::([1-9][0-9]{{0,4}}))?")
_PORT = re.compile(r":[0-9]{1,5}")
_LONGEST_NAME = 253
_LAST_PORT = 65535
_WANTED = "is not an issuer with a host of its own: https:// and a host name in lower case, with nothing behind it"


def fault(issuer: str) -> str | None:
    """What keeps it from being the issuer of a tenant with a host of its own, as the end of a sentence; None if nothing
    does.
    """
    scheme, _, host = issuer.partition("://")
    here = _HERE.fullmatch(host)
    if here is not None:
        good = scheme == "http" and int(here[1] or 1) <= _LAST_PORT and len(host) <= _LONGEST_NAME
        return None if good else "names this computer: that is http://, and only for trying things out"
    if scheme == "http":
        return "has to be https:// (passwords and tokens travel there)"
    name = host.isascii() and len(host) <= _LONGEST_NAME and _NAME.fullmatch(host) is not None
    if scheme != "https" or not name:
        return _WANTED
    last = host.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return "is an address, not a name"
    return None


def own_host(issuer: str) -> str | None:
    """The host, and its port where it has one, that this issuer has to itself; None where it shares one."""
    host = issuer.partition("://")[2]
    return None if "/" in host else host


def at(host: str) -> str:
    """The issuer that would have this ``Host`` (in lower case) to itself. Behind a name any port may stand, as browsers
    and proxies write it; nothing else is mended.
    """
    if _HERE.fullmatch(host) is not None:
        return f"http://{host}"
    name, colon, _ = host.rpartition(":")
    return f"https://{name}" if colon and _PORT.fullmatch(host[len(name) :]) else f"https://{host}"
