"""Lines reach their file in order, whoever hands them over never waits, and what is lost is told."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.log_writer import LogWriter, opened

WAITING = 100


def text(record: object) -> bytes:
    return f"{record}\n".encode()


def gap(count: int) -> bytes:
    return f"gap of {count}\n".encode()


@pytest.fixture
def writer() -> Iterator[LogWriter]:
    made = LogWriter(text, gap, waiting=WAITING)
    yield made
    made.close(5)


def test_records_are_written_in_their_order(tmp_path: Path, writer: LogWriter) -> None:
    writer.write_to(opened(tmp_path / "log"))
    for number in range(90):
        writer.put(number)
    writer.close(5)
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(90)]


def test_the_thread_ends_and_leaves_no_descriptor(tmp_path: Path, writer: LogWriter) -> None:
    before = len(os.listdir("/proc/self/fd"))
    writer.write_to(opened(tmp_path / "log"))
    writer.write_to(opened(tmp_path / "other"))
    writer.put(1)
    writer.close(5)
    assert len(os.listdir("/proc/self/fd")) == before
    assert "access log" not in [thread.name for thread in threading.enumerate()]


def test_a_file_that_is_there_is_added_to_and_one_that_is_made_is_not_everybodys(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        made = LogWriter(text, gap)
        made.write_to(opened(path))
        made.put("x")
        made.close(5)
    assert path.read_text() == "x\nx\n"
    assert path.stat().st_mode & 0o007 == 0


def test_what_finds_no_room_is_dropped_counted_and_told(tmp_path: Path, writer: LogWriter) -> None:
    with capture_logs() as told:
        for number in range(WAITING + 7):  # nobody writes yet, as with a disk that hangs
            writer.put(number)
    assert (writer.dropped, len(writer._records)) == (7, WAITING)
    assert [(line["event"], line["dropped"]) for line in told] == [("access_log_full", 1)]
    writer.write_to(opened(tmp_path / "log"))
    writer.close(5)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [*map(str, range(WAITING)), "gap of 7"]


def test_a_file_that_was_moved_away_is_made_anew_when_it_is_opened_again(tmp_path: Path, writer: LogWriter) -> None:
    path = tmp_path / "log"
    writer._descriptor = opened(path)
    writer.put("before")
    writer.flush()
    path.rename(tmp_path / "log.1")
    writer.put("meanwhile")
    writer.flush()
    writer._next = opened(path)
    writer.put("after")
    writer.flush()
    assert (tmp_path / "log.1").read_text() == "before\nmeanwhile\n"
    assert path.read_text() == "after\n"
    os.close(writer._descriptor)


def eventually_there(path: Path) -> None:
    """The thread has written: its file is what tells."""
    while not path.exists() or not path.read_bytes():
        threading.Event().wait(0.01)


class Disk:
    """``os.write`` that is full at some time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *room: int | None) -> None:
        self.room = list(room)
        self.data = b""
        monkeypatch.setattr(os, "write", self.write)

    def write(self, _: int, data: Any) -> int:
        room = self.room.pop(0) if self.room else None
        if room == 0:
            raise OSError(28, "No space left on device")
        taken = bytes(data[:room])
        self.data += taken
        return len(taken)


def test_a_write_that_takes_a_part_is_gone_on_with(monkeypatch: pytest.MonkeyPatch, writer: LogWriter) -> None:
    disk = Disk(monkeypatch, 3, 2, 1)
    writer._descriptor = 1
    writer.put("abcdef")
    writer.flush()
    assert disk.data == b"abcdef\n"


def test_a_full_disk_costs_the_lines_that_met_it_and_tears_no_later_one(
    monkeypatch: pytest.MonkeyPatch, writer: LogWriter
) -> None:
    disk = Disk(monkeypatch, 3, 0, 0)
    writer._descriptor = 1
    writer.put("abcdef")
    with capture_logs() as told:
        writer.flush()
        assert writer.dropped == 1
        writer.put("later")
        writer.flush()
    assert disk.data == b"abc\nlater\ngap of 1\n"
    assert [(line["event"], line["error"]) for line in told] == [("access_log_failed", "No space left on device")]


def test_a_pipe_that_nobody_reads_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        opened(tmp_path / "pipe")


def test_a_record_that_cannot_be_rendered_costs_its_line_and_no_other(tmp_path: Path) -> None:
    def render(record: int) -> bytes:
        return text(1 // record)

    made = LogWriter(render, gap)
    made.write_to(opened(tmp_path / "log"))
    with capture_logs() as told:
        for record in (1, 0, 1):
            made.put(record)
        made.close(5)
    assert (tmp_path / "log").read_text() == "1\n1\ngap of 1\n"
    assert [line["event"] for line in told] == ["access_log_line_failed"]


def test_lines_that_were_written_before_the_disk_was_full_are_not_lost(
    monkeypatch: pytest.MonkeyPatch, writer: LogWriter
) -> None:
    disk = Disk(monkeypatch, 6, 0, 0)
    writer._descriptor = 1
    for word in ("one", "two", "three"):
        writer.put(word)
    writer.flush()
    assert writer.dropped == 2
    writer.put("later")
    writer.flush()
    assert disk.data == b"one\ntw\nlater\ngap of 2\n"


def test_a_disk_that_takes_nothing_leaves_no_empty_line(monkeypatch: pytest.MonkeyPatch, writer: LogWriter) -> None:
    disk = Disk(monkeypatch, 0, 0)
    writer._descriptor = 1
    writer.put("lost")
    writer.flush()
    writer.put("later")
    writer.flush()
    assert disk.data == b"later\ngap of 1\n"


def test_a_file_that_fails_when_it_is_closed_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writer: LogWriter
) -> None:
    """As one on a network file system without room."""
    close, failed = os.close, threading.Event()

    def full(descriptor: int) -> None:
        close(descriptor)
        if threading.current_thread().name == "access log" and not failed.is_set():
            failed.set()
            raise OSError(122, "Disk quota exceeded")

    writer.write_to(opened(tmp_path / "one"))
    writer.put("before")
    eventually_there(tmp_path / "one")
    monkeypatch.setattr(os, "close", full)
    with capture_logs() as told:
        writer.write_to(opened(tmp_path / "two"))
        assert failed.wait(10)
        writer.put("after")
        writer.close(5)
    assert (tmp_path / "two").read_text() == "after\n"
    assert [(line["event"], line["error"]) for line in told] == [("access_log_failed", "Disk quota exceeded")]


def test_into_a_pipe_go_whole_lines_at_once_and_no_more_than_it_takes_in_one_piece(
    monkeypatch: pytest.MonkeyPatch, writer: LogWriter
) -> None:
    """Else those of other processes would come between."""
    reader, end = os.pipe()
    pieces: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: pieces.append(bytes(data)) or len(data))
    writer._next = end
    for number in range(31):
        writer.put(f"{number:03}" + "x" * 996)
    writer.put("y" * 5_000)
    writer.flush()
    os.close(end)
    os.close(reader)
    assert [len(piece) for piece in pieces] == [4_000] * 7 + [3_000, 5_001]
    assert all(piece.endswith(b"\n") for piece in pieces)
