"""The hashes of the audit log, against vectors that were made with sha256sum."""

import json
from pathlib import Path

import pytest

from policies.merkle import entry_hash, leaf_hash

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "merkle.json").read_text())


@pytest.mark.parametrize("case", VECTORS, ids=[case["rule"] for case in VECTORS])
def test_vector(case: dict[str, str]) -> None:
    entry = entry_hash(bytes.fromhex(case["salt"]), case["event"].encode())
    assert entry.hex() == case["entry"]
    assert leaf_hash(entry).hex() == case["leaf"]


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_salt_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        entry_hash(b"s" * size, b"{}")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_leaf_is_of_an_entry_hash(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        leaf_hash(b"e" * size)
