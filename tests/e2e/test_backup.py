"""A backup that was taken while the service ran is the whole installation, with the master key that belongs to it."""

import json
from pathlib import Path
from uuid import uuid4

from tests.e2e.backup import back_up, empty_database, restore
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation
from tests.e2e.recording_upstream import RecordingUpstream


def _log(of: Installation) -> list[str]:
    """acme's log, leaves and salts included; not the proofs between them, which end where the export does."""
    out = of.data.parent / f"{uuid4()}.jsonl"
    of.does("audit", "export", "--tenant", "acme", "--out", out)
    return [line for line in out.read_text(encoding="utf-8").splitlines() if "position" in json.loads(line)]


def test_a_restored_backup_logs_in_verifies_and_has_the_whole_log(
    gateway: Gateway, tmp_path: Path, upstream: RecordingUpstream
) -> None:
    of = gateway.installation
    before = gateway.login("alice")
    told = _log(of)
    back_up(of, tmp_path / "backup")
    url = None if of.admin_url is None else empty_database(of.admin_url, f"yett_restored_{uuid4().hex}")
    again = restore(tmp_path / "backup", of, tmp_path / "restored", upstream.url, database_url=url)
    assert _log(again) == told
    served = Gateway(again, tmp_path)
    try:
        served.wait_until_ready()
        jwks = "/t/acme/jwks"
        assert served.identity.get(jwks).json() == gateway.identity.get(jwks).json()
        assert served.call("/orders/1", before["access_token"]).status_code == 200
        form = {"grant_type": "refresh_token", "refresh_token": before["refresh_token"], "client_id": "demo-app"}
        assert served.ask_token(**form).status_code == 200
        assert served.call("/orders/2", served.login("bob")["access_token"]).status_code == 200
        served.close()
        served.stop()
    finally:
        served.close()
        served.discard()
    assert _log(again)[: len(told)] == told
