"""Where the workers of a pod lay down what they counted, for the one that is scraped.

Shared memory, made by their supervisor before they are, with a sheet for each. A sheet is written over while another
process may be reading it, or while its writer is killed, so it has two sides, written in turn, each with its turn, its
length and a CRC-32: half a side is not read, the other is. What a dead worker counted stays in the total: its
successor inherits it, and lays it down with its own.
"""

import mmap
from binascii import crc32
from collections.abc import Iterable

import orjson

from gateway.metrics.family import Family, added_up

_HEAD = 16  # bytes: the turn (eight), the length and the CRC (four each)
SIZE = 2 * 1024 * 1024
"""Bytes of a side of a sheet. Memory that is not written to is none."""
_TRIES = 5


class Sheets:
    """One sheet for each of ``of`` workers, of at most ``size`` bytes."""

    def __init__(self, of: int, size: int = SIZE) -> None:
        self.of = of
        self._size = size
        self._memory = mmap.mmap(-1, 2 * of * size)
        self._last: dict[int, bytes] = {}
        self._inherited: dict[int, list[Family]] = {}

    def inherited(self, number: int) -> list[Family]:
        """What those counted that had this number before, as far as this process was told when it was made."""
        return self._inherited.get(number, [])

    def bury(self, number: int) -> None:
        """The worker of this number is no more: its successor, made after this, inherits its counters. Gauges end."""
        self._inherited[number] = [family for family in self.read(number) if family.kind != "gauge"]
        self.write(number, ())

    def write(self, number: int, families: Iterable[Family]) -> None:
        """Lay down what this worker counted, and what it inherited.

        Raises:
            ValueError: it does not fit.
        """
        body = orjson.dumps([family.packed() for family in added_up([self.inherited(number), families])])
        if len(body) > self._size - _HEAD:
            raise ValueError(f"{len(body)} bytes of metrics do not fit into {self._size}")
        turn = max(self._side(number, 0)[0], self._side(number, 1)[0]) + 1
        said = turn.to_bytes(8, "little") + len(body).to_bytes(4, "little")
        at = self._at(number, turn)
        self._memory[at : at + _HEAD + len(body)] = said + crc32(body, crc32(said)).to_bytes(4, "little") + body

    def read(self, number: int) -> list[Family]:
        """What that worker laid down last; what it had before, where it is at it all the time. Nothing yet: empty."""
        for _ in range(_TRIES):
            turn, body = max(self._side(number, 0), self._side(number, 1))
            if turn:
                self._last[number] = body
                break
        said = self._last.get(number)
        return [Family.unpacked(one) for one in orjson.loads(said)] if said else []

    def _at(self, number: int, turn: int) -> int:
        return (2 * number + turn % 2) * self._size

    def _side(self, number: int, side: int) -> tuple[int, bytes]:
        """Its turn, from 1 on, and what is written there; turn 0 where nothing is, or half of it."""
        at = self._at(number, side)
        head = self._memory[at : at + _HEAD]
        body = self._memory[at + _HEAD : at + min(_HEAD + int.from_bytes(head[8:12], "little"), self._size)]
        if crc32(body, crc32(head[:12])) != int.from_bytes(head[12:], "little"):
            return 0, b""
        return int.from_bytes(head[:8], "little"), body
