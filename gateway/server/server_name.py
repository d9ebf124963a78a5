"""A server name that can be none (RFC 6066 section 3 has ASCII only).

``ssl`` lets the handshake fail before the certificates are asked, and tells that to ``sys.unraisablehook`` alone, which
prints a traceback for each: that is for bugs, and what a stranger sends is none. The failed handshake is logged as any
other (tls.py).
"""

import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_HANDSHAKE = ssl.SSLObject.do_handshake.__code__


@contextmanager
def not_printed() -> Iterator[None]:
    """Everything else that cannot be raised goes where it went before."""
    before = sys.unraisablehook

    def tell(unraisable: "UnraisableHookArgs") -> None:
        if not _is_of_a_name(unraisable):
            before(unraisable)

    sys.unraisablehook = tell
    try:
        yield
    finally:
        sys.unraisablehook = before


def _is_of_a_name(unraisable: "UnraisableHookArgs") -> bool:
    """``ssl`` decodes nothing else during a handshake."""
    if unraisable.exc_type is not UnicodeDecodeError:
        return False
    at = unraisable.exc_traceback
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and at.tb_frame.f_code is _HANDSHAKE
