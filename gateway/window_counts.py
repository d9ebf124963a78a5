"""Where slowapi counts: in this process's memory, and in the caller's own time.

The storage that comes with it looks through all its counters in a thread of its own, a hundred times a second while
requests come; with thousands of networks that is a good part of a core, taken from whatever the event loop does then.
Here each count drops those that are over, which are the oldest.
"""

import time
from collections import deque

from limits.storage.base import Storage


class WindowCounts(Storage):
    """Counters of fixed windows, all of one length. ``limits`` finds it by its scheme."""

    STORAGE_SCHEME: list[str] | None = ["yett+memory"]  # noqa: RUF012 - declared so by the library

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_options: float | str | bool) -> None:
        super().__init__(uri, wrap_exceptions)
        self._counts: dict[str, tuple[int, float]] = {}  # the count, and when its window ends
        self._ends: deque[tuple[float, str]] = deque()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Memory has none of its own."""
        return ValueError

    def __len__(self) -> int:
        """How many windows are open, those that ended since the last count included."""
        return len(self._counts)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count ``amount`` and say how many that makes; a window begins with its first and ends ``expiry`` seconds
        later."""
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            self._counts.pop(self._ends.popleft()[1], None)
        counted = self._counts.get(key)
        if counted is None:
            self._counts[key] = amount, now + expiry
            self._ends.append((now + expiry, key))
            return amount
        self._counts[key] = counted[0] + amount, counted[1]
        return counted[0] + amount

    def get(self, key: str) -> int:
        """The count of a window that is still open, else 0."""
        count, end = self._counts.get(key, (0, 0.0))
        return count if end > time.monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """The wall-clock time, in seconds, at which the window ends."""
        _, end = self._counts.get(key, (0, time.monotonic()))
        return time.time() + end - time.monotonic()

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all counts; says how many there were."""
        known = len(self._counts)
        self._counts.clear()
        self._ends.clear()
        return known

    def clear(self, key: str) -> None:
        """Count a key from nothing, until its window ends."""
        if key in self._counts:
            self._counts[key] = 0, self._counts[key][1]
