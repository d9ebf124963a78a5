"""Which addresses an answer may be sent to (RFC 6749 section 3.1.2.3, RFC 9700 section 4.1.3, RFC 8252 section 7.3).

A redirect URI is compared with the registered ones as a string. The one exception is the port of an app on this
computer: ``http`` to the literal address 127.0.0.1 or [::1], where all but the port is the same string. A name such as
``localhost`` has no such exception: it may be resolved to somewhere else (RFC 8252 section 8.3).

Nothing here takes a URI apart and puts it together again: what is compared is what is sent to the browser.
"""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([1-9][0-9]{0,4}))?((?:[/?].*)?)", re.DOTALL)
_LAST_PORT = 65535
_LONGEST = 2000  # as long as a registered one may be; with another port it could be longer
ANSWER_PARAMETERS = frozenset(
    {"code", "state", "iss", "error", "error_description", "error_uri", "response", "id_token", "access_token"}
)
"""What an answer says itself (RFC 6749 section 4.1.2, RFC 9207 section 2, and what other response types have)."""


def matches(asked: str, registered: Iterable[str]) -> bool:
    """Whether an answer may go to ``asked``."""
    known = frozenset(registered)
    if len(asked) > _LONGEST or carries_answer(asked):
        return False
    if asked in known:
        return True
    parts = _loopback(asked)
    return parts is not None and any(_loopback(uri) == parts for uri in known)


def carries_answer(uri: str) -> bool:
    """Whether a parameter of an answer stands in it already: a client could not tell it from ours."""
    query = uri.partition("#")[0].partition("?")[2]
    return any(name in ANSWER_PARAMETERS for name, _ in parse_qsl(query, keep_blank_values=True))


def _loopback(uri: str) -> tuple[str, str] | None:
    """What must be equal of an app's address on this computer: all but the port. None for any other address."""
    found = _LOOPBACK.fullmatch(uri)
    if found is None or int(found[2] or 1) > _LAST_PORT:
        return None
    return found[1], found[3]
