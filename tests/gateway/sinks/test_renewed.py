"""Certificates of a sink are read again when their files have changed, and those that do not work are left aside."""

import shutil
import ssl
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from gateway.settings import from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.renewed import Renewed
from tests.conftest import Clock
from tests.gateway.server.pki import Authority
from tests.gateway.sinks.receiving import receiving, record
from tests.gateway.web_server import answer


def webhook(port: int, **options: Any) -> Renewed:
    sink = {"name": "siem", "kind": "webhook", "url": f"https://localhost:{port}/", "timeout": "5s", **options}
    secrets = {"siem": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    values = {"public_url": "https://auth.example.com", "sinks": [sink], "sink_secrets": secrets}
    ((_, made),) = transmitters(from_mapping(values, source="test"), Clock())
    assert isinstance(made, Renewed)
    return made


def authority(folder: Path) -> Authority:
    folder.mkdir()
    return Authority(folder)


async def test_certificates_are_taken_when_they_have_changed_and_no_longer_change(tmp_path: Path) -> None:
    old, new = authority(tmp_path / "old"), authority(tmp_path / "new")
    trusted, mine, key = tmp_path / "ca.pem", tmp_path / "mine.pem", tmp_path / "mine.key"
    first, second = old.issue("gateway", "gateway.example.com"), new.issue("gateway", "gateway.example.com")
    for source, target in ((old.file, trusted), (first.certificate, mine), (first.key, key)):
        shutil.copy(source, target)
    pair = new.issue("receiver", "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    tls.load_verify_locations(new.file)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with receiving(answer(b""), tls=tls) as receiver:
        way = webhook(receiver.port, ca_file=trusted, certificate_file=mine, key_file=key)
        await way.look()
        assert (await way.send([record()])).problem == "unreachable"
        shutil.copy(new.file, trusted)
        shutil.copy(second.certificate, mine)  # and not its key yet
        with capture_logs() as told:
            await way.look()
            await way.look()
            await way.look()
        assert [(line["event"], line.get("field")) for line in told] == [
            ("sink_certificates_refused", "certificate_file")
        ]
        assert (await way.send([record()])).problem == "unreachable"
        shutil.copy(second.key, key)
        with capture_logs() as told:
            await way.look()
            assert not told  # who replaces them may not be done
            await way.look()
            await way.look()
        assert [line["event"] for line in told] == ["sink_certificates_loaded"]
        assert (await way.send([record()])).problem is None
