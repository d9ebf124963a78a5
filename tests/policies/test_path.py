"""The canonical path: one reading or none."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.path import NotCanonical, canonical

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "vectors" / "paths.json").read_text())["cases"]
ANY_PATH = st.binary(max_size=40).map(lambda tail: b"/" + tail)
NASTY_PATH = st.lists(
    st.sampled_from(
        [
            b"/",
            b".",
            b"..",
            b"%2e",
            b"%2f",
            b"%2F",
            b"%25",
            b"%5c",
            b"%",
            b"%00",
            b";",
            b"a",
            b"2f",
            b"%c3%a9",
            b"\\",
            b"?",
        ]
    ),
    max_size=8,
).map(lambda parts: b"/" + b"".join(parts))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['path']!r}{' keep' if case.get('keep') else ''}")
def test_vector(case: dict[str, Any]) -> None:
    raw, keep = case["path"].encode("latin-1"), case.get("keep", False)
    if "refused" in case:
        with pytest.raises(NotCanonical) as refused:
            canonical(raw, keep_encoded_slash=keep)
        assert refused.value.reason == case["refused"]
    else:
        assert canonical(raw, keep_encoded_slash=keep) == tuple(case["segments"])


@given(st.one_of(ANY_PATH, NASTY_PATH), st.booleans())
def test_what_is_canonical_has_one_reading(raw: bytes, keep: bool) -> None:
    try:
        segments = canonical(raw, keep_encoded_slash=keep)
    except NotCanonical:
        return
    decoded = unquote_to_bytes(raw)
    # A server that decodes before it splits sees the same path, and one that decodes twice as well.
    assert decoded.decode() == "/" + "/".join(segments)
    assert unquote_to_bytes(decoded) == decoded
    for part in decoded.decode().split("/"):
        assert part not in (".", "..")
    assert b"//" not in decoded
    assert b"\\" not in decoded
    assert not any(byte < 0x20 or byte == 0x7F for byte in decoded)


@given(st.one_of(ANY_PATH, NASTY_PATH))
def test_keeping_encoded_slashes_only_admits_more(raw: bytes) -> None:
    try:
        strict = canonical(raw)
    except NotCanonical:
        return
    assert canonical(raw, keep_encoded_slash=True) == strict


@given(st.lists(st.text(alphabet="abcXYZ019-._~!$&'()*+,=:@", min_size=1), min_size=1))
def test_plain_paths_go_through_unchanged(segments: list[str]) -> None:
    if any(segment in (".", "..") for segment in segments):
        return
    assert canonical(("/" + "/".join(segments)).encode()) == tuple(segments)


@pytest.mark.parametrize("tail", [b"\\", b"%zz", b";", b"%", b""])
def test_a_long_path_costs_one_pass(tail: bytes) -> None:
    raw = b"/a" * 30_000 + tail
    begun = time.process_time()
    with suppress(NotCanonical):
        canonical(raw)
    assert time.process_time() - begun < 0.5
