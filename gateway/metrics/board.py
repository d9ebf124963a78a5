"""Where the workers of a pod lay down what they counted, for the one that is scraped.

Shared memory, made by their supervisor before they are, with a sheet for each. A sheet is written over while another
process may be reading it, so it carries its length and CRC-32: who reads half of it reads it again.
"""

import mmap
from binascii import crc32
from collections.abc import Iterable

import orjson

from gateway.metrics.family import Family

_HEAD = 8  # bytes: the length and the CRC, four each
SIZE = 2 * 1024 * 1024
"""Bytes of a sheet. Memory that is not written to is none."""
_TRIES = 5


class Sheets:
    """One sheet for each of ``of`` workers, of at most ``size`` bytes."""

    def __init__(self, of: int, size: int = SIZE) -> None:
        self.of = of
        self._size = size
        self._memory = mmap.mmap(-1, of * size)
        self._last: dict[int, bytes] = {}

    def write(self, number: int, families: Iterable[Family]) -> None:
        """Lay down what this worker counted.

        Raises:
            ValueError: it does not fit.
        """
        body = orjson.dumps([family.packed() for family in families])
        if len(body) > self._size - _HEAD:
            raise ValueError(f"{len(body)} bytes of metrics do not fit into {self._size}")
        at = number * self._size
        head = len(body).to_bytes(4, "little") + crc32(body).to_bytes(4, "little")
        self._memory[at : at + _HEAD + len(body)] = head + body

    def read(self, number: int) -> list[Family]:
        """What that worker laid down last; what it had before, where it is at it all the time. Nothing yet: empty."""
        at = number * self._size
        for _ in range(_TRIES):
            head = self._memory[at : at + _HEAD]
            length, crc = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
            body = self._memory[at + _HEAD : at + min(_HEAD + length, self._size)]
            if crc32(body) == crc:
                self._last[number] = body
                break
        said = self._last.get(number)
        return [Family.unpacked(one) for one in orjson.loads(said)] if said else []
