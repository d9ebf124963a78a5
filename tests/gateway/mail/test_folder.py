"""Letters as files: whole or not at all, for this user alone."""

import asyncio
import os
import stat
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from gateway.mail.folder import FolderSender
from gateway.mail.sender import Envelope, ServerAway
from tests.conftest import Clock
from tests.gateway.mail.conftest import ALICE

ENVELOPE = Envelope("yett@example.com", ALICE, b"Subject: x\r\n\r\nHello\r\n")


async def test_each_letter_is_a_file_of_its_own_that_mail_programs_open(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "to" / "letters"
    sender = FolderSender(folder, clock=clock)

    await asyncio.gather(*(sender.send(ENVELOPE) for _ in range(20)))

    files = list(folder.iterdir())
    assert len(files) == 20
    for file in files:
        assert file.name.startswith("20261125T120000.000000-")
        assert file.suffix == ".eml"
        assert message_from_bytes(file.read_bytes(), policy=policy.default)["Subject"] == "x"
        assert file.read_bytes() == ENVELOPE.content


async def test_nobody_else_reads_them(tmp_path: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        await FolderSender(tmp_path / "letters", clock=clock).send(ENVELOPE)
    finally:
        os.umask(before)

    (file,) = (tmp_path / "letters").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_written_to_is_a_server_that_is_away(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerAway):
        await FolderSender(tmp_path / "file", clock=clock).send(ENVELOPE)


async def test_a_letter_that_could_not_be_finished_leaves_nothing(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServerAway):
        await FolderSender(tmp_path, clock=clock).send(ENVELOPE)

    assert os.listdir(tmp_path) == []
