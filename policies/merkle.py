"""The audit log's hashes: an event's entry and leaf, and the RFC 9162 Merkle tree above the leaves (section 2.1.1).

    entry = SHA-256(salt ‖ event)                16 random bytes, then the event exactly as stored
    leaf  = SHA-256(0x00 ‖ entry)
    node  = SHA-256(0x01 ‖ left ‖ right)

Salt and event can be erased later and the leaf stays. Without the salt an erased event of few possible values could be
guessed from its hash. Not here: the encoding of events, and proofs (merkle_proof.py).
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SALT_BYTES = 16
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of no leaves."""

TILE_LEVELS = 8
"""Each eighth level of the tree is kept, and what is between is hashed when it is asked for."""
TILE = 1 << TILE_LEVELS
"""Leaves, or kept nodes, below one kept node."""

_sha256 = hashlib.sha256


class Node(NamedTuple):
    """A whole subtree of ``TILE ** level`` leaves, the ``position``-th of its level from the left."""

    level: int
    position: int
    hash: bytes


def entry_hash(salt: bytes, event: bytes) -> bytes:
    """32 bytes. ``event`` is the stored bytes, never an encoding made anew. Raises ValueError for a salt that has not
    16 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return _sha256(salt + event).digest()


def leaf_hash(entry: bytes) -> bytes:
    """32 bytes. Raises ValueError where ``entry`` is not a SHA-256 hash: an event passed by mistake must not become a
    leaf.
    """
    if len(entry) != HASH_BYTES:
        raise ValueError(f"an entry hash has {HASH_BYTES} bytes, not {len(entry)}")
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """32 bytes, of two that have 32 bytes each."""
    return _sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root above these leaves, or above subtrees that are of one size, but for the last one."""
    if not hashes:
        return EMPTY_ROOT
    while len(hashes) > 1:
        above = [node_hash(hashes[place], hashes[place + 1]) for place in range(0, len(hashes) - 1, 2)]
        if len(hashes) % 2:
            above.append(hashes[-1])
        hashes = above
    return hashes[0]


def folded(hashes: Sequence[bytes]) -> bytes:
    """The root above neighbouring whole subtrees that get smaller to the right."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


class Edge:
    """The right edge of a growing tree: the roots of the whole subtrees that it consists of, the largest first.

    That is one hash for each set bit of its size, and all that has to be known in order to grow it.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if size < 0 or len(self.hashes) != size.bit_count() or any(len(known) != HASH_BYTES for known in self.hashes):
            raise ValueError(f"these are not the hashes of an edge of {size} leaves")

    @classmethod
    def parse(cls, size: int, stored: bytes) -> "Edge":
        """From what ``stored`` gave. Raises ValueError where it does not belong to a tree of this size."""
        return cls(size, (stored[start : start + HASH_BYTES] for start in range(0, len(stored), HASH_BYTES)))

    def stored(self) -> bytes:
        """The hashes, one behind the other."""
        return b"".join(self.hashes)

    def extend(self, leaves: Iterable[bytes]) -> list[Node]:
        """Grow by these leaves. Returns the nodes to keep that have become whole, those below before those above."""
        kept: list[Node] = []
        hashes, size = self.hashes, self.size
        for leaf in leaves:
            top, place, level = leaf, size, 0
            while place & 1:
                top = node_hash(hashes.pop(), top)
                place >>= 1
                level += 1
                if level % TILE_LEVELS == 0:
                    kept.append(Node(level // TILE_LEVELS, place, top))
            hashes.append(top)
            size += 1
        self.size = size
        return kept

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return folded(self.hashes)
