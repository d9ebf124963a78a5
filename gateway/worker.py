"""Which of a pod's serving processes this one is, what of the pod is its share, and how they know of each other.

Owns the board on which each of them says that it is well, and reads what they lay down for a scrape. Not their lives:
that is the supervisor's (gateway/cli/supervisor.py).
"""

import mmap
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gateway.metrics import Family, Sheets, added_up

BEAT = 0.5
"""Seconds between two of a worker's words that it is well."""
_SILENCE = 5.0


class Board:
    """One cell of shared memory for each of ``of`` workers. Made before they are, so that they inherit it.

    ``clock`` counts seconds, and the same ones in all processes of the machine.
    """

    def __init__(self, of: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._cells = memoryview(mmap.mmap(-1, of * 8)).cast("d")  # eight bytes at their place are written at once
        self._clock = clock

    def beat(self, number: int) -> None:
        """This worker is well."""
        self._cells[number] = self._clock()

    def clear(self, number: int) -> None:
        """It is not, or is no more."""
        self._cells[number] = 0.0

    def all_well(self) -> bool:
        """Whether each of them said so within the last seconds: one that hangs says nothing."""
        since = self._clock() - _SILENCE
        return all(heard and heard >= since for heard in self._cells)


@dataclass(frozen=True, slots=True)
class Worker:
    """``number`` counts from 0. Without a ``board`` there is no other; ``sheets`` has what each of them counted."""

    number: int = 0
    of: int = 1
    board: Board | None = None
    sheets: Sheets | None = None

    def share(self, total: int, *, least: int = 1) -> int:
        """What is this one's of ``total`` that the pod may have: all shares together are that, but for ``least``."""
        whole, rest = divmod(total, self.of)
        return max(least, whole + (self.number < rest))

    def checks(self) -> Mapping[str, Callable[[], bool]]:
        """What the pod's readiness asks beside this process's own."""
        return {} if self.board is None else {"workers": self.board.all_well}

    def lay_down(self, families: Iterable[Family]) -> None:
        """What this one counted, for the one that is scraped."""
        if self.sheets is not None:
            self.sheets.write(self.number, families)

    def all_of(self, mine: Iterable[Family]) -> list[Family]:
        """What this one counted just now and inherited, and the others of the pod a moment ago.

        Laid down before it is told: no counter that a scrape has seen goes back when this worker dies. What does not
        fit is told all the same; the job that lays it down each time says so (``job_failed`` of ``metrics``).
        """
        sheets = self.sheets
        if sheets is None:
            return added_up([mine])
        told = list(mine)
        with suppress(ValueError):
            sheets.write(self.number, told)
        others = (sheets.read(number) for number in range(self.of) if number != self.number)
        return added_up([told, sheets.inherited(self.number), *others])

    def tell(self, well: bool) -> None:
        """Say whether this one is well."""
        if self.board is not None:
            if well:
                self.board.beat(self.number)
            else:
                self.board.clear(self.number)


ALONE = Worker()
