"""What a supervisor accepted, as its workers read it."""

import os

import pytest

from gateway.cli.handover import Handover
from gateway.settings import ConfigError, Settings, from_mapping


def settings(**values: object) -> Settings:
    return from_mapping({"public_url": "http://localhost:8080", **values}, source="test")


def test_what_was_put_there_last_is_taken_whole() -> None:
    handover = Handover()
    for each in (settings(database_url="sqlite:///" + "x" * 100_000), settings(drain="7s")):
        handover.put(each)
        assert handover.take() == each


def test_secrets_come_with_it() -> None:
    handover = Handover()
    handover.put(settings(database_url="postgresql+psycopg://app:secret@db/yett", database_system_url="postgresql://x"))
    assert handover.take().database_url.get_secret_value() == "postgresql+psycopg://app:secret@db/yett"


def test_half_of_one_is_none() -> None:
    handover = Handover()
    handover.put(settings())
    os.pwrite(handover._descriptor, b"x", 40)
    with pytest.raises(ConfigError, match="handing over"):
        handover.take()
