"""The cookies of the hosted pages (RFC 6265): one tenant's session, pending login and device in one browser.

Tenants share a host, so the slug is in the name. ``__Host-`` keeps subdomains from planting one; browsers take that
prefix with ``Secure`` only, so on plain HTTP (a loopback host) the names go without it.
"""

import re
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

CookieKind = Literal["session", "login", "device"]

_VALUE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_OWS = " \t"  # nothing else is space in a Cookie header: U+00A0 before a name must not turn it into ours


class Cookies:
    """Reads and writes them, with the attributes that fit the public URL's scheme."""

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https://")

    def read(self, request: Request, slug: str, kind: CookieKind) -> str | None:
        """The unverified secret in this cookie; None where it is absent, malformed, or there more than once.

        Of two cookies with one name the browser does not say which is ours, so neither is believed.
        """
        name = self._name(slug, kind)
        values = [value for other, value in _pairs(request) if other == name]
        if len(values) != 1 or _VALUE.fullmatch(values[0]) is None:
            return None
        return values[0]

    def set(self, response: Response, slug: str, kind: CookieKind, value: str, *, max_age: int | None = None) -> None:
        """Set it, for ``max_age`` seconds or, with None, until the browser is closed.

        Raises:
            ValueError: a value that ``read`` would not take.
        """
        if _VALUE.fullmatch(value) is None:
            raise ValueError("a cookie's value is 1 to 100 of A-Z a-z 0-9 _ -")
        self._send(response, self._name(slug, kind), value, max_age)

    def clear(self, response: Response, slug: str, kind: CookieKind) -> None:
        """Have the browser forget it."""
        self._send(response, self._name(slug, kind), "", 0)

    def _name(self, slug: str, kind: CookieKind) -> str:
        return f"{'__Host-' if self._secure else ''}yett-{slug}-{kind}"

    def _send(self, response: Response, name: str, value: str, max_age: int | None) -> None:
        attributes = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
        if self._secure:
            attributes.append("Secure")
        if max_age is not None:
            attributes.append(f"Max-Age={max_age}")
        response.headers.append("Set-Cookie", "; ".join(attributes))


def _pairs(request: Request) -> list[tuple[str, str]]:
    """Names and values of every Cookie header as they came, quotes and all."""
    pairs = []
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.partition("=")
            pairs.append((name.strip(_OWS), value.strip(_OWS)))
    return pairs
