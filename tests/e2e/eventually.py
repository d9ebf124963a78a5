"""Waiting for another process: asked again and again until a deadline, since nothing in it can be injected."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = 0.01


def eventually(ask: Callable[[], T], *, within: float, what: str, told: Callable[[], str] = str) -> T:
    """The first truthy answer of ``ask``; fails with ``what`` after ``within`` seconds, and what is ``told`` then."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}\n{told()}")
        time.sleep(_PAUSE)
    return answer
