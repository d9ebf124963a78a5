"""What a supervisor finds out about a configuration, so that its workers do not have to refuse it."""

from pathlib import Path
from typing import Any

import pytest

from gateway.cli.acceptance import prepared
from gateway.settings import ConfigError, Settings, from_mapping
from tests.gateway.mail import certificate


def settings(**values: Any) -> Settings:
    return from_mapping({"public_url": "http://localhost:8080", **values}, source="test")


def with_tls(folder: Path, name: str = "first") -> dict[str, Any]:
    """Of a pair of its own."""
    place = folder / name
    place.mkdir()
    made = certificate.make(place)
    pair = {"certificate_file": str(made.certificate), "key_file": str(made.key)}
    return {"public_url": "https://localhost:8080", "tls": {"certificates": [pair]}}


def test_a_certificate_that_is_named_anew_has_to_be_one(tmp_path: Path) -> None:
    running, wanted = settings(**with_tls(tmp_path)), settings(**with_tls(tmp_path, "second"))
    prepared(running, wanted)
    (tmp_path / "second" / wanted.tls.certificates[0].certificate_file.name).write_text("no certificate")
    with pytest.raises(ConfigError, match=r"tls\.certificates"):
        prepared(running, wanted)
    prepared(wanted, wanted)  # which serves already, and is replaced by itself


def test_a_file_that_is_named_anew_has_to_be_had(tmp_path: Path) -> None:
    running = settings()
    with pytest.raises(ConfigError, match=r"access_log\.file"):
        prepared(running, settings(access_log={"file": str(tmp_path / "nowhere" / "access.log")}))
    log = tmp_path / "access.log"
    prepared(running, settings(access_log={"file": str(log)}))
    assert log.exists()
