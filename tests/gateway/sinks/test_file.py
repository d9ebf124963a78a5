"""The sink ``file``: whole lines, whatever happened before."""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest

from gateway.sinks.apart import Apart, StillBusy
from gateway.sinks.file import FileTransmitter
from tests.gateway.sinks.receiving import record


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split("\n")


@pytest.mark.parametrize("fsync", [True, False])
async def test_each_event_is_a_line_of_json(tmp_path: Path, fsync: bool) -> None:
    path = tmp_path / "audit.jsonl"
    one, two = record(user_name="Ålice\ud800\n"), record(position=1)
    receipt = await FileTransmitter(path, fsync=fsync).send([one, two])
    assert (receipt.taken, receipt.problem) == ({0, 1}, None)
    *written, end = lines(path)
    assert [json.loads(line) for line in written] == [json.loads(one.body), json.loads(two.body)]
    assert written[0].count("\\ud") == 0
    assert json.loads(written[0])["user_name"] == "Ålice\N{REPLACEMENT CHARACTER}\n"
    assert end == ""


async def test_a_file_that_was_renamed_is_made_anew(tmp_path: Path) -> None:
    path, transmitter = tmp_path / "audit.jsonl", FileTransmitter(tmp_path / "audit.jsonl", fsync=True)
    await transmitter.send([record()])
    path.rename(tmp_path / "audit.jsonl.1")
    await transmitter.send([record()])
    assert len(lines(path)) == len(lines(tmp_path / "audit.jsonl.1")) == 2


async def test_half_a_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"id":"tor', encoding="ascii")
    one = record()
    await FileTransmitter(path, fsync=True).send([one])
    torn, whole, end = lines(path)
    assert (torn, json.loads(whole), end) == ('{"id":"tor', json.loads(one.body), "")


@pytest.mark.parametrize(
    ("path", "problem"), [("absent/audit.jsonl", "file_no_such_file_or_directory"), (".", "file_is_a_directory")]
)
async def test_a_file_that_cannot_be_written_is_told_of(tmp_path: Path, path: str, problem: str) -> None:
    receipt = await FileTransmitter(tmp_path / path, fsync=True).send([record()])
    assert (receipt.taken, receipt.problem) == (frozenset(), problem)


async def test_a_full_disk_takes_nothing() -> None:
    receipt = await FileTransmitter(Path("/dev/full"), fsync=False).send([record()])
    assert (receipt.taken, receipt.problem) == (frozenset(), "file_no_space_left_on_device")


async def test_a_disk_that_hangs_holds_one_thread_and_no_second(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    transmitter = FileTransmitter(fifo, fsync=False)
    loop, begun = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(reader, begun.set)
    waits = loop.create_task(transmitter.send([record(path="x" * 500) for _ in range(200)]))  # more than it holds
    try:
        await begun.wait()
        receipt = await transmitter.send([record()])
        assert receipt.problem == "file_hangs"
    finally:
        loop.remove_reader(reader)
        os.close(reader)
    assert (await waits).problem == "file_broken_pipe"


async def test_who_waits_no_longer_is_told_nothing_and_the_next_may_come() -> None:
    apart, goes_on, ended = Apart("test"), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> int:
        goes_on.wait(10)
        loop.call_soon_threadsafe(ended.set)
        return 1

    waits = asyncio.create_task(apart.call(work))
    await asyncio.sleep(0)
    waits.cancel()
    goes_on.set()
    await asyncio.wait([waits])
    while True:
        try:
            assert await apart.call(lambda: 2) == 2
            return
        except StillBusy:  # the thread is about to end
            await asyncio.sleep(0)
