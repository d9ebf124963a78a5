"""What tells one state of a file from the next, without reading it."""

import os
import stat
from pathlib import Path
from typing import NamedTuple


class Fingerprint(NamedTuple):
    """Differs from one state of a file to the next. ``empty``: it is a file without a byte in it."""

    device: int
    inode: int
    size: int
    written: int
    changed: int
    empty: bool


def fingerprint(path: Path | None) -> Fingerprint | None:
    """Of the file that the path leads to, links followed: a ConfigMap is swapped by its link. None where there is none.

    The time of the last status change is in it because nobody can set that one back, as ``cp -p`` does with the other.
    """
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    empty = stat.S_ISREG(found.st_mode) and found.st_size == 0
    return Fingerprint(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, empty)
