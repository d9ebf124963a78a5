"""Proofs in the RFC 9162 tree: that a leaf is in it (2.1.3), that a later tree continues an earlier one (2.1.4).

A proof is made in two steps. Here it is said which subtrees it consists of, as ranges of leaves ``[begin, end)``, and
which whole subtrees such a range consists of; who has the hashes looks them up. Verifying needs nothing but the proof.
"""

import hmac
from collections.abc import Sequence

from policies.merkle import EMPTY_ROOT, TILE, node_hash

Range = tuple[int, int]

MOST_HASHES = 64
"""A proof in a tree of fewer than two to the power of 63 leaves has no more, of either kind."""


def inclusion_ranges(leaf: int, size: int) -> list[Range]:
    """The subtrees of an inclusion proof, from the leaf upwards (section 2.1.3.1).

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= leaf < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {leaf}")
    ranges: list[Range] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _half(end - begin)
        if leaf < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(earlier: int, size: int) -> list[Range]:
    """The subtrees of a consistency proof (section 2.1.4.1). None where the sizes are equal, or the earlier is 0.

    Raises:
        ValueError: the earlier tree is the larger one.
    """
    if not 0 <= earlier <= size:
        raise ValueError(f"a tree of {size} leaves continues none of {earlier}")
    if earlier == 0:
        return []
    ranges: list[Range] = []
    begin, end = 0, size
    while end != earlier:
        middle = begin + _half(end - begin)
        if earlier <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin > 0:  # else it is the earlier tree itself, whose root the verifier has
        ranges.append((begin, end))
    return ranges[::-1]


def block_ranges(block: int, size: int) -> list[Range]:
    """The subtrees that prove a block of ``TILE`` leaves, the last one perhaps shorter. The tree above the blocks is
    one of the same kind, with the blocks' roots for leaves.
    """
    above = inclusion_ranges(block, -(-size // TILE))
    return [(begin * TILE, min(end * TILE, size)) for begin, end in above]


def whole_subtrees(begin: int, end: int) -> list[tuple[int, int]]:
    """The whole subtrees of a range, as height and position in that height, the largest first. ``begin`` is a multiple
    of the largest one's size, as in all ranges of a proof.
    """
    found: list[tuple[int, int]] = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        found.append((height, begin >> height))
        begin += 1 << height
    return found


def included(leaf_hash: bytes, leaf: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the tree of this size and root has this hash at this place (section 2.1.3.2)."""
    if not 0 <= leaf < size:
        return False
    place, last, found = leaf, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(found, root)


def consistent(earlier: int, earlier_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``size`` begins with all that the earlier one had, in its order (section 2.1.4.2)."""
    if not 0 <= earlier <= size:
        return False
    if earlier == 0:  # everything continues nothing
        return not proof and hmac.compare_digest(earlier_root, EMPTY_ROOT)
    if earlier == size:
        return not proof and hmac.compare_digest(earlier_root, root)
    hashes = list(proof) if earlier & (earlier - 1) else [earlier_root, *proof]
    if not hashes:
        return False
    place, last = earlier - 1, size - 1
    while place & 1:
        place >>= 1
        last >>= 1
    then = now = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            then, now = node_hash(sibling, then), node_hash(sibling, now)
            while place and not place & 1:
                place >>= 1
                last >>= 1
        else:
            now = node_hash(now, sibling)
        place >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(then, earlier_root) and hmac.compare_digest(now, root)


def _half(leaves: int) -> int:
    """The largest power of two that is smaller."""
    return 1 << (leaves - 1).bit_length() - 1
