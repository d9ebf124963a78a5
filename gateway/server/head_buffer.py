"""Collects the bytes of a request head until the empty line that ends it, and refuses what can be refused before."""

from gateway.server import fault
from gateway.server.fault import Refused
from gateway.server.head import END, check_lines
from gateway.server.limits import ServerLimits


class HeadBuffer:
    """Holds at most one unfinished head. The usual head comes in one piece and is never copied into here."""

    __slots__ = ("_checked", "_limits", "_partial")

    def __init__(self, limits: ServerLimits) -> None:
        self._limits = limits
        self._partial = bytearray()
        self._checked = 0

    @property
    def started(self) -> bool:
        """Whether the first bytes of a head are here, and its end is not."""
        return bool(self._partial)

    def add(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Returns (head, what follows it), or None while the head goes on. Raises ``Refused``."""
        limit = self._limits.head_bytes
        partial = self._partial
        if not partial:
            end = data.find(END) + len(END)
            if len(END) <= end <= limit:
                return data[:end], data[end:]
        searched = max(0, len(partial) - len(END) + 1)
        partial += data
        end = partial.find(END, searched) + len(END)
        if len(END) <= end <= limit:
            found = bytes(partial[:end]), bytes(partial[end:])
            self.clear()
            return found
        excessive = len(partial) > limit
        self._checked = check_lines(partial[:limit] if excessive else partial, self._checked, self._limits)
        if excessive:
            raise Refused(fault.HEAD_TOO_LARGE)
        return None

    def clear(self) -> None:
        """Throw away what is here."""
        self._partial = bytearray()
        self._checked = 0
