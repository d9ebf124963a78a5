"""The tree and its proofs: against Certificate Transparency's own vectors, against the definition, and against an
implementation that is not ours.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_consistency

from policies.merkle import EMPTY_ROOT, TILE, Edge, Node, folded, node_hash, root_of
from policies.merkle_proof import (
    MOST_HASHES,
    block_ranges,
    consistency_ranges,
    consistent,
    included,
    inclusion_ranges,
    whole_subtrees,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "merkle_tree.json").read_text())


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


KNOWN = [leaf(bytes.fromhex(data)) for data in VECTORS["inputs"]]
LEAVES = [leaf(number.to_bytes(4, "big")) for number in range(2 * TILE + 77)]
SIZES = st.integers(0, len(LEAVES))


def defined(leaves: Sequence[bytes]) -> bytes:
    """The definition (RFC 9162 section 2.1.1), as it stands there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + defined(leaves[:half]) + defined(leaves[half:])).digest()


@cache
def tree(begin: int, end: int) -> bytes:
    """The same of these LEAVES, each part of it hashed once."""
    if end - begin < 2:
        return defined(LEAVES[begin:end])
    half = 1
    while half * 2 < end - begin:
        half *= 2
    return hashlib.sha256(b"\x01" + tree(begin, begin + half) + tree(begin + half, end)).digest()


def hashes(ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    return [tree(*of) for of in ranges]


def known(ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    return [defined(KNOWN[begin:end]) for begin, end in ranges]


# --- known answers


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_the_reference_tree(size: int) -> None:
    edge = Edge()
    edge.extend(KNOWN[:size])
    assert root_of(KNOWN[:size]).hex() == edge.root().hex() == VECTORS["roots"][size]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: f"{case['leaf']} of {case['size']}")
def test_the_inclusion_proofs_of_the_reference_tree(case: dict[str, Any]) -> None:
    found = known(inclusion_ranges(case["leaf"], case["size"]))
    assert [hash_.hex() for hash_ in found] == case["proof"]
    assert included(
        KNOWN[case["leaf"]], case["leaf"], case["size"], found, bytes.fromhex(VECTORS["roots"][case["size"]])
    )


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: f"{case['earlier']} to {case['size']}")
def test_the_consistency_proofs_of_the_reference_tree(case: dict[str, Any]) -> None:
    earlier, size = case["earlier"], case["size"]
    found = known(consistency_ranges(earlier, size))
    assert [hash_.hex() for hash_ in found] == case["proof"]
    then, now = (bytes.fromhex(VECTORS["roots"][of]) for of in (earlier, size))
    assert consistent(earlier, then, size, now, found)


# --- the definition


@settings(max_examples=20)
@given(SIZES)
def test_the_root_is_that_of_the_definition_however_the_tree_grew(size: int) -> None:
    edge, step = Edge(), max(1, size // 3)
    for begin in range(0, size, step):
        edge = Edge.parse(edge.size, edge.stored())
        edge.extend(LEAVES[begin : min(begin + step, size)])
    assert edge.size == size
    assert edge.root() == root_of(LEAVES[:size]) == tree(0, size)


@settings(max_examples=20)
@given(SIZES.filter(bool), st.data())
def test_an_inclusion_proof_proves_its_leaf_in_its_place_and_nothing_else(size: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda found: found != place) | st.just(size))
    root, proof = tree(0, size), hashes(inclusion_ranges(place, size))
    assert included(LEAVES[place], place, size, proof, root)
    assert not included(LEAVES[other % len(LEAVES)], place, size, proof, root) or other % len(LEAVES) == place
    assert not included(LEAVES[place], other, size, proof, root)
    assert not included(LEAVES[place], place, size, [*proof, root], root)
    assert not included(LEAVES[place], place, size, proof[:-1], root) or not proof
    assert not included(LEAVES[place], place, size, proof, EMPTY_ROOT)
    for number in range(len(proof)):
        altered = [*proof[:number], bytes(32), *proof[number + 1 :]]
        assert not included(LEAVES[place], place, size, altered, root)


@settings(max_examples=20)
@given(SIZES, st.data())
def test_a_consistency_proof_proves_its_two_trees_and_nothing_else(size: int, data: st.DataObject) -> None:
    earlier = data.draw(st.integers(0, size))
    then, now, proof = tree(0, earlier), tree(0, size), hashes(consistency_ranges(earlier, size))
    assert consistent(earlier, then, size, now, proof)
    assert not consistent(earlier, then, size, now, [*proof, now])
    assert not consistent(earlier, bytes(32), size, now, proof)
    assert not consistent(earlier, then, size, bytes(32), proof) or earlier == 0
    assert not consistent(size + 1, then, size, now, proof)
    if proof:
        assert not consistent(earlier, then, size, now, proof[:-1])
        assert not consistent(earlier, then, size, now, [bytes(32), *proof[1:]])
        forked = [*LEAVES[: earlier - 1], bytes(32)]
        assert not consistent(earlier, defined(forked), size, now, proof)


@settings(max_examples=20)
@given(SIZES.filter(bool), st.data())
def test_a_block_is_proved_by_the_tree_above_the_blocks(size: int, data: st.DataObject) -> None:
    blocks = -(-size // TILE)
    number = data.draw(st.integers(0, blocks - 1))
    root, proof = tree(0, size), hashes(block_ranges(number, size))
    mine = root_of(LEAVES[number * TILE : min((number + 1) * TILE, size)])
    assert included(mine, number, blocks, proof, root)


@settings(max_examples=20)
@given(SIZES.filter(bool), st.data())
def test_a_range_of_a_proof_consists_of_whole_subtrees(size: int, data: st.DataObject) -> None:
    place, earlier = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    for begin, end in [*inclusion_ranges(place, size), *consistency_ranges(earlier, size), (0, size)]:
        parts = whole_subtrees(begin, end)
        found = [root_of(LEAVES[position << height : (position + 1) << height]) for height, position in parts]
        assert sum(1 << height for height, _ in parts) == end - begin
        assert folded(found) == tree(begin, end)


def test_the_nodes_that_are_kept_are_those_of_each_eighth_level() -> None:
    edge, kept = Edge(), list[Node]()
    for begin in range(0, len(LEAVES), 100):
        kept += edge.extend(LEAVES[begin : begin + 100])
    assert kept == [Node(1, block, root_of(LEAVES[block * TILE : (block + 1) * TILE])) for block in range(2)]
    tall = Edge(TILE * TILE - 1, [bytes([level]) * 32 for level in range(16)])
    one, two = tall.extend([LEAVES[0]])
    assert (one.level, one.position, two.level, two.position) == (1, TILE - 1, 2, 0)


def test_what_no_tree_has_is_refused() -> None:
    for call in (
        lambda: inclusion_ranges(3, 3),
        lambda: inclusion_ranges(-1, 3),
        lambda: inclusion_ranges(0, 0),
        lambda: consistency_ranges(4, 3),
        lambda: consistency_ranges(-1, 3),
        lambda: Edge(3, [bytes(32)]),
        lambda: Edge(1, [bytes(31)]),
        lambda: Edge.parse(2, bytes(33)),
        lambda: Edge(-1, []),
    ):
        with pytest.raises(ValueError):
            call()
    assert not included(LEAVES[0], 0, 0, [], EMPTY_ROOT)
    assert not included(LEAVES[0], -1, 1, [], LEAVES[0])
    assert not consistent(-1, EMPTY_ROOT, 3, EMPTY_ROOT, [])


def test_a_proof_of_the_largest_log_is_short() -> None:
    size = (1 << 63) - 1
    assert len(inclusion_ranges(size // 3, size)) <= MOST_HASHES
    assert len(consistency_ranges(size // 3, size)) <= MOST_HASHES


# --- an implementation that is not ours


def test_another_implementation_finds_the_same_roots_and_proofs() -> None:
    other = InmemoryTree(algorithm="sha256")
    for number in range(77):
        other.append_entry(number.to_bytes(4, "big"))
    for size in range(1, 78):
        assert other.get_root(size) == root_of(LEAVES[:size])
        for place in range(0, size, 11):
            theirs = other.prove_inclusion(place + 1, size)  # it counts from 1, and names the leaf too
            assert [hash_ for hash_ in theirs.path if hash_ != LEAVES[place]] == hashes(inclusion_ranges(place, size))
    for earlier in range(1, 78, 3):
        # It writes these proofs in another way, so each is verified by its own, with the other's roots.
        then, now = other.get_root(earlier), other.get_root(77)
        verify_consistency(root_of(LEAVES[:earlier]), root_of(LEAVES[:77]), other.prove_consistency(earlier, 77))
        assert consistent(earlier, then, 77, now, hashes(consistency_ranges(earlier, 77)))


def test_a_node_is_told_from_a_leaf() -> None:
    assert node_hash(LEAVES[0], LEAVES[1]) != leaf(LEAVES[0] + LEAVES[1])
