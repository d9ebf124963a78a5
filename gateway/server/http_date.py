"""The ``Date`` field of a response (RFC 9110 section 6.6.1), formatted once a second at most."""

import time
from email.utils import formatdate


class DateLine:
    """Wall clock time as a whole field line, remembered for the second that it names."""

    __slots__ = ("_line", "_until")

    def __init__(self) -> None:
        self._until = 0.0
        self._line = b""

    def __call__(self) -> bytes:
        """For example ``date: Sun, 06 Nov 1994 08:49:37 GMT`` with its CRLF."""
        now = time.time()
        if not self._until - 1 <= now < self._until:  # also when the wall clock was set back
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n".encode("ascii")
            self._until = int(now) + 1.0
        return self._line


date_line = DateLine()
