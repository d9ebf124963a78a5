"""What this process has spent of limits that it shares with others, and has not told them yet.

Noted on the proxied path, in memory; taken away, and told, beside it (shared_limits.py). There is an entry for each
caller that was counted since the last time, so there are no more than the quota table keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from gateway.proxy.quota_scope import Scope, Who
from policies.quota import Quota

Key = tuple[Scope, Who]


@dataclass(slots=True)
class Entry:
    """``count`` requests. ``until`` is the moment, nanoseconds of the table's clock, until which they would count if
    nobody else had done anything.
    """

    quota: Quota
    count: int
    until: int


class Ledger:
    """``alike`` is how many processes spend from the same budgets. As long as it is one, nothing is noted."""

    def __init__(self) -> None:
        self.alike = 1
        self._entries: dict[Key, Entry] = {}

    def note(self, key: Key, quota: Quota, now: int) -> None:
        """One request."""
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = Entry(quota, 1, now + quota.interval)
        else:
            entry.count += 1
            entry.until = max(entry.until, now) + quota.interval

    def noted(self, key: Key) -> int:
        """Requests of this caller that are not told."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry.count

    def take(self, most: int) -> Mapping[Key, Entry]:
        """The oldest entries. They are nobody's then but the caller's."""
        keys = list(islice(self._entries, most))
        return {key: self._entries.pop(key) for key in keys}

    def let_go(self, now: int) -> None:
        """Of what would count no more: as long as nothing can be told, there are no more entries than callers count."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.until > now}

    def give_back(self, taken: Mapping[Key, Entry], now: int) -> None:
        """They could not be told. What would count no more by now is let go."""
        newer, self._entries = self._entries, {}
        for key, entry in taken.items():
            if entry.until > now:
                self._entries[key] = entry
        for key, entry in newer.items():
            older = self._entries.get(key)
            if older is None:
                self._entries[key] = entry
            else:
                older.until = max(older.until + entry.count * entry.quota.interval, entry.until)
                older.count += entry.count
