"""The cookies of browsers at API hosts (RFC 6265): one tenant's session, and what binds a pending login to a browser.

``__Host-`` keeps subdomains and other paths from planting one; browsers take that prefix with ``Secure`` only, so on
plain HTTP (a loopback host) the names go without it. No upstream sees them, and none can set one.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

Kind = Literal["app", "app-login", "console", "console-login"]
Field = tuple[bytes, bytes]

LONGEST: Final = 3800  # bytes: browsers keep no cookie of more than 4096, its name and attributes included
LOGIN_SECONDS: Final = 1800
_VALUE = re.compile(rb"[A-Za-z0-9_-]{1,%d}" % LONGEST)


def name(slug: str, kind: Kind, *, secure: bool) -> bytes:
    """As the browser keeps it."""
    return f"{'__Host-' if secure else ''}yett-{slug}-{kind}".encode("ascii")


def tenants(cookies: Sequence[bytes], *, secure: bool) -> frozenset[str]:
    """The slugs of those whose sessions are shown, or seem to be: whoever sends them says what they are."""
    before, after = b"__Host-yett-" if secure else b"yett-", b"-app"
    names = (pair.partition(b"=")[0].strip(b" \t") for header in cookies for pair in header.split(b";"))
    return frozenset(
        known[len(before) : -len(after)].decode("latin-1")
        for known in names
        if len(known) > len(before) + len(after) and known.startswith(before) and known.endswith(after)
    )


def read(cookies: Sequence[bytes], wanted: bytes) -> bytes | None:
    """The value; None where there is none, more than one (nobody says which is ours), or one that is none of ours."""
    found = []
    for header in cookies:
        for pair in header.split(b";"):
            known, _, value = pair.partition(b"=")
            if known.strip(b" \t") == wanted:
                found.append(value.strip(b" \t"))
    return found[0] if len(found) == 1 and _VALUE.fullmatch(found[0]) else None


def field(wanted: bytes, value: bytes, *, secure: bool, max_age: int | None = None) -> Field:
    """A Set-Cookie field: for ``max_age`` seconds or, with None, until the browser is closed."""
    parts = [wanted + b"=" + value, b"Path=/", b"HttpOnly", b"SameSite=Lax"]
    if secure:
        parts.append(b"Secure")
    if max_age is not None:
        parts.append(b"Max-Age=%d" % max_age)
    return (b"set-cookie", b"; ".join(parts))
