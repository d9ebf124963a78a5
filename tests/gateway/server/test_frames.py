"""Frames are read strictly and passed on as they come: every row of tests/vectors/websocket.json, cut anywhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server.frames import BINARY, FrameReader, MaskKeys, close_frame, frame
from tests.frames_by_hand import CLOSE, MASK, PING, Frame, frames, written

ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "websocket.json").read_text(encoding="utf-8")
)["frames"]
FROM_CLIENT, FROM_UPSTREAM = True, False


def reader(masked: bool, control: Callable[[int, bytes], bool] = lambda *_: True) -> FrameReader:
    return FrameReader(masked=masked, draw=MaskKeys().draw if masked else None, on_control=control)


def fed(read: FrameReader, data: bytes, *, at_once: int) -> bytes:
    out = [read.feed(data[at : at + at_once]) for at in range(0, len(data), at_once)]
    while read.rest:
        out.append(read.feed(b""))
    return b"".join(out)


def test_there_are_rows() -> None:
    assert len(ROWS) >= 40


@pytest.mark.parametrize("at_once", [1, 3, 100_000])
@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_row(row: dict[str, Any], at_once: int) -> None:
    read = reader(row["from"] == "client")
    out = fed(read, bytes.fromhex(row["sends"]), at_once=at_once)
    assert read.fault == row.get("fault")
    assert [[one.opcode, one.fin, one.payload.hex()] for one in frames(out)] == row["passes"]
    assert all((one.key is not None) is (row["from"] == "client") for one in frames(out))


@given(st.binary(max_size=70_000), st.integers(1, 5000), st.binary(min_size=4, max_size=4))
def test_what_was_masked_arrives_as_it_was_however_it_is_cut(payload: bytes, at_once: int, key: bytes) -> None:
    read = reader(FROM_CLIENT)
    out = fed(read, written(BINARY, payload, key=key), at_once=at_once)
    [passed] = frames(out)
    assert passed.payload == payload
    assert not read.inside


def test_each_frame_towards_the_upstream_has_a_new_key_of_our_own() -> None:
    out = fed(reader(FROM_CLIENT), written(BINARY, b"x", key=bytes(4)) * 200, at_once=100_000)
    keys = {one.key for one in frames(out)}
    assert len(keys) == 200
    assert bytes(4) not in keys


def test_a_frame_is_passed_on_in_the_pieces_that_come() -> None:
    read = reader(FROM_UPSTREAM)
    head = b"\x82\x7f" + (2**62).to_bytes(8, "big")
    assert read.feed(head) == head
    for _ in range(3):
        assert read.inside
        assert read.feed(b"z" * 65536) == b"z" * 65536


def test_nothing_of_a_control_frame_passes_before_all_of_it_is_there() -> None:
    read = reader(FROM_CLIENT)
    whole = written(PING, b"here?")
    assert read.feed(whole[:-1]) == b""
    assert not read.inside
    assert [one.payload for one in frames(read.feed(whole[-1:]))] == [b"here?"]


def test_control_frames_pass_only_where_they_are_to() -> None:
    seen = []

    def control(opcode: int, payload: bytes) -> bool:
        seen.append((opcode, payload))
        return opcode == CLOSE

    read = reader(FROM_CLIENT, control)
    out = read.feed(written(PING, b"a") + written(CLOSE))
    assert [one.opcode for one in frames(out)] == [CLOSE]
    assert seen == [(PING, b"a"), (CLOSE, b"")]


def test_what_follows_a_fault_is_not_read() -> None:
    read = reader(FROM_CLIENT)
    assert read.feed(written(BINARY, b"1", key=None) + written(BINARY, b"2")) == b""
    assert (read.ended, read.feed(written(BINARY, b"3"))) == (True, b"")


def test_a_flood_of_empty_frames_gives_others_a_turn() -> None:
    read = reader(FROM_CLIENT)
    passed = len(frames(read.feed(written(BINARY) * 1000)))
    assert 0 < passed < 1000
    assert read.rest
    turns = 0
    while read.rest:
        passed += len(frames(read.feed(b"")))
        turns += 1
    assert passed == 1000
    assert turns < 20


def test_frames_of_our_own_are_whole() -> None:
    assert frames(frame(PING, b"x" * 125)) == [Frame(PING, b"x" * 125)]
    assert frames(close_frame(4401, "over", MASK)) == [Frame(CLOSE, b"\x11\x31over", key=MASK)]
