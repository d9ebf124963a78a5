"""What a supervisor and its workers hear of each other, by two pipes that all of them share.

Workers say that they go on, a byte at a time: one that stopped, or whose event loop stands still, says nothing. The
other pipe carries nothing; that it ends tells a worker that its supervisor has.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

_READY = 0x40  # beside a worker's number, which is below


class Line:
    """A worker's end. ``alive`` can be read from as soon as there is no supervisor any more."""

    def __init__(self, number: int, words: int, alive: int) -> None:
        self.alive = alive
        self._words = words
        self._word = number

    def ready(self) -> None:
        """This one serves, and each of its beats says so, too."""
        self._word |= _READY
        self.beat()

    def beat(self) -> None:
        """This one goes on."""
        with suppress(BlockingIOError, BrokenPipeError):  # nobody hears it: the supervisor stands still, or is gone
            os.write(self._words, bytes((self._word,)))


class Lines:
    """The supervisor's ends. ``heard`` is the descriptor that can be read from when there is something to ``hear``."""

    def __init__(self) -> None:
        self.heard, self._words = os.pipe()
        self._alive, self._living = os.pipe()
        for descriptor in (self.heard, self._words):
            os.set_blocking(descriptor, False)

    def become(self, number: int) -> Line:
        """In a worker's process: its end, and nothing of the supervisor's."""
        os.close(self.heard)
        os.close(self._living)
        return Line(number, self._words, self._alive)

    def hear(self) -> Iterator[tuple[int, bool]]:
        """Everything that was said since the last time: which worker, and whether it is ready."""
        with suppress(BlockingIOError):
            while words := os.read(self.heard, 4096):
                for word in words:
                    yield word & ~_READY, bool(word & _READY)
