"""On which line of a file each key stood first, for files of any length.

Kept in a database of its own that SQLite holds in memory while it is small, and in a nameless file after that. It knows
digests only, and is gone with the process.
"""

import hashlib
import sqlite3
from typing import Self

_CACHE_KIB = 64 * 1024


class SeenKeys:
    """A context manager: what was seen is forgotten at its end."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def line_of(self, key: str, line: int) -> int | None:
        """The line on which this key stood before, or None: then it stands on ``line`` from now on."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        if self._database.execute("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, line)).rowcount:
            return None
        (first,) = self._database.execute("SELECT line FROM seen WHERE digest = ?", (digest,)).fetchone()
        return int(first)
