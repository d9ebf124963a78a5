"""Compact JSON: what orjson writes and what the standard library writes are the same bytes, whatever is written."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.compact_json import compact, compact_ascii, compact_sorted

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def by_the_standard_library(value: object, *, ascii_only: bool = False, sort: bool = False) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only, sort_keys=sort, separators=(",", ":")).encode()


@given(VALUES)
def test_the_bytes_are_those_of_the_standard_library(value: object) -> None:
    assert compact(value) == by_the_standard_library(value)
    assert compact_sorted(value) == by_the_standard_library(value, sort=True)
    assert compact_ascii(value) == by_the_standard_library(value, ascii_only=True)


def test_names_are_sorted_by_code_point_at_every_depth() -> None:
    value = {"z": {"\U0001f600": 1, "￿": 2}, "a": 0}
    assert compact_sorted(value) == by_the_standard_library(value, sort=True)


@pytest.mark.parametrize("written", [compact, compact_sorted])
def test_a_number_that_is_none_is_refused(written: Callable[[object], bytes]) -> None:
    for number in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            written({"x": [number]})


def test_a_null_is_no_such_number() -> None:
    assert compact({"x": None, "y": "null"}) == b'{"x":null,"y":"null"}'


def test_a_lone_surrogate_is_refused_or_written_as_its_escape() -> None:
    with pytest.raises(UnicodeEncodeError):
        compact({"x": "\ud800"})
    assert compact_sorted({"x": "\ud800é"}) == '{"x":"\\ud800é"}'.encode()
    assert compact_ascii({"x": "\ud800é"}) == b'{"x":"\\ud800\\u00e9"}'


def test_nothing_but_printable_ascii_reaches_a_terminal() -> None:
    written = compact_ascii({"x": "".join(map(chr, range(0x110))) + "\u202e"})
    assert all(0x20 <= byte < 0x7F for byte in written)


@pytest.mark.parametrize("written", [compact, compact_sorted, compact_ascii])
@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=UTC), b"bytes", {"x"}, object()])
def test_what_is_no_json_is_refused(written: Callable[[object], bytes], value: object) -> None:
    with pytest.raises(TypeError):
        written({"x": value})
