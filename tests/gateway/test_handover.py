"""What a supervisor accepted, as its workers read it."""

import os
from pathlib import Path

import pytest

from gateway.cli.handover import Handover
from gateway.settings import ConfigError, Settings, from_mapping


def settings(**values: object) -> Settings:
    return from_mapping({"public_url": "http://localhost:8080", **values}, source="test")


def test_what_was_put_there_last_is_taken_whole_in_another_process(tmp_path: Path) -> None:
    handover = Handover()
    large = settings(database_url="sqlite:///" + "x" * 100_000)
    for each in (large, settings(drain="7s")):
        handover.put(each)
        child = os.fork()
        if child == 0:
            os._exit(0 if handover.take() == each else 1)
        assert os.waitpid(child, 0) == (child, 0)


def test_secrets_come_with_it() -> None:
    handover = Handover()
    handover.put(settings(database_url="postgresql+psycopg://app:secret@db/yett", database_system_url="postgresql://x"))
    assert handover.take().database_url.get_secret_value() == "postgresql+psycopg://app:secret@db/yett"


def test_half_of_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    handover = Handover()
    handover.put(settings())
    os.pwrite(handover._descriptor, b"x", 40)
    with pytest.raises(ConfigError, match="handing over"):
        handover.take()
