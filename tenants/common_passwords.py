"""The passwords that are tried first, for the rule in policies/password.py.

Owns the list beside this file: those of eight characters or more, case-folded, of two lists that others have drawn from
published leaks: Django's (20,000 by Royce Williams; BSD-3-Clause) and zxcvbn's (30,000; MIT).
"""

from functools import cache
from pathlib import Path

_LIST = Path(__file__).with_suffix(".txt")


@cache
def load() -> frozenset[str]:
    """The list, read from the disk once: call it where the parts are put together, not in a request."""
    return frozenset(_LIST.read_text(encoding="ascii").splitlines())
