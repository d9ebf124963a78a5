"""``yett doctor`` finds nothing in a healthy installation, and each planted fault, on both databases."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from gateway.cli.doctor.database import _file_system
from gateway.cli.doctor.diagnosis import CHECKS
from tenants.sealing import MasterKeys
from tests.e2e import installation
from tests.e2e.conftest import DATABASES, Copy
from tests.e2e.installation import Installation
from tests.e2e.ports import free_port
from tests.e2e.recording_upstream import RecordingUpstream
from tests.e2e.server_process import PASSWORD


def _closed_to_others(here: Installation) -> Installation:
    for name, value in here.settings.items():
        if name.endswith("_FILE"):
            Path(value).chmod(0o600)
    return here


@pytest.fixture(scope="module", params=DATABASES)
def original(request: pytest.FixtureRequest, copy_of: Copy) -> Installation:
    made = copy_of(request.param)
    made.does("tenant", "administer", "platform")
    owner = ("user", "create", "--tenant", "platform", "ola", "--role", "owner", "--password-stdin")
    made.does(*owner, stdin=PASSWORD + "\n")
    return made


@pytest.fixture
def here(original: Installation, tmp_path: Path, upstream: RecordingUpstream) -> Installation:
    return _closed_to_others(installation.copy(original, tmp_path, upstream.url))


def sql(here: Installation, statement: str, *values: Any) -> None:
    """Behind the product's back."""
    if here.admin_url is None:
        plain = [one.isoformat(" ")[:-6] if isinstance(one, datetime) else one for one in values]
        with closing(sqlite3.connect(here.data / "yett.db")) as connection, connection:
            connection.execute(statement, plain)
        return
    with psycopg.connect(here.admin_url) as session:
        session.execute(statement.replace("?", "%s").encode(), values)


def configured(here: Installation, *lines: str, **other: str) -> None:
    text = here.config.read_text(encoding="utf-8")
    for name, value in other.items():
        text = "".join(
            f"{name}: {value}\n" if line.startswith(f"{name}:") else line for line in text.splitlines(keepends=True)
        )
    here.config.write_text(text + "".join(f"{line}\n" for line in lines), encoding="utf-8")


def mended(here: Installation, *options: str) -> dict[str, str]:
    """What is to be mended: the sentences by check. The exit code says the same."""
    result = here.run("doctor", "--json", *options)
    assert result.code in (0, 1), result.err
    assert result.err == ""
    found = {row["check"]: " ".join(row["what_to_do"]) for row in result.json if row["state"] == "mend"}
    assert result.code == (1 if found else 0)
    assert PASSWORD not in result.out
    assert "secret@" not in result.out
    return found


def test_a_healthy_installation_has_nothing_to_mend(here: Installation) -> None:
    configured(here, f"management_listen: 127.0.0.1:{free_port()}", public_url="https://localhost")
    assert mended(here) == {}
    shown = here.run("doctor", "--offline")
    assert shown.code == 0
    assert shown.out.splitlines()[-1].endswith("all well")


def test_a_look_changes_nothing(here: Installation) -> None:
    before = here.rows("SELECT count(*) FROM audit_outbox"), here.rows("SELECT count(*) FROM signing_keys")
    mended(here, "--offline")
    assert (here.rows("SELECT count(*) FROM audit_outbox"), here.rows("SELECT count(*) FROM signing_keys")) == before


def _served(here: Installation) -> None:
    sql(here, "INSERT INTO serving (id, seen_at) VALUES (?, ?)", uuid4().hex, datetime.now(UTC))


def _waiting(here: Installation) -> None:
    _served(here)
    sql(here, "DELETE FROM audit_outbox")
    event = json.dumps({"time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}).encode()
    add = "INSERT INTO audit_outbox (tenant_id, salt, event) SELECT id, ?, ? FROM tenants WHERE slug = 'acme'"
    sql(here, add, b"s" * 16, event)


def _without_checkpoint(here: Installation) -> None:
    here.does("audit", "list")
    sql(here, "DELETE FROM audit_trees")
    _served(here)


def _failing_sink(here: Installation) -> None:
    configured(here, f"sinks: [{{name: archive, kind: file, path: {here.data / 'archive.jsonl'}}}]")
    now = datetime.now(UTC)
    sql(
        here,
        "INSERT INTO sinks (name, began_at, held_until, next_at, failures, term, seen, refused, failing_since)"
        " VALUES ('archive', ?, ?, ?, 7, 1, 0, 0, ?)",
        *[now] * 4,
    )


def _other_master_key(here: Installation) -> None:
    (here.data / "master.key").unlink()
    MasterKeys.create(here.data / "master.key")


def _broken_certificate(here: Installation) -> None:
    for name in ("cert.pem", "key.pem"):
        (here.data / name).write_text("none", encoding="utf-8")
        (here.data / name).chmod(0o600)
    files = f"certificate_file: {here.data / 'cert.pem'}, key_file: {here.data / 'key.pem'}"
    configured(here, f"tls: {{certificates: [{{{files}}}]}}")


Plant = Callable[[Installation], object]
FAULTS: dict[str, tuple[str, str, Plant]] = {
    "no active key": (
        "signing_keys",
        "yett key rotate",
        lambda here: sql(here, "DELETE FROM signing_keys WHERE state = 'active'"),
    ),
    "no next key": (
        "signing_keys",
        "yett key create",
        lambda here: sql(here, "DELETE FROM signing_keys WHERE state = 'next'"),
    ),
    "old schema": (
        "schema",
        "yett migrate",
        lambda here: sql(here, "UPDATE alembic_version SET version_num = '0015'"),
    ),
    "no operator": ("operators", "--role owner", lambda here: sql(here, "UPDATE users SET active = false")),
    "plain redirect": (
        "redirects",
        "demo-app of acme",
        lambda here: sql(
            here,
            "UPDATE clients SET redirect_uris = '[\"http://app.example.com/cb\"]' WHERE client_id = 'demo-app'",
        ),
    ),
    "other master key": ("master_key", "does not belong", _other_master_key),
    "no master key": ("master_key_file", "restore that file", lambda here: (here.data / "master.key").unlink()),
    "open master key": ("secret_files", "chmod o=", lambda here: (here.data / "master.key").chmod(0o604)),
    "open config": ("config_file", "chmod go-w", lambda here: here.config.chmod(0o666)),
    "wide proxies": ("trusted_proxies", "10.0.0.0/7", lambda here: configured(here, "trusted_proxies: [10.0.0.0/7]")),
    "shared origin": ("shared_origin", "drop it", lambda here: configured(here, "unsafe_shared_origin: true")),
    "plain public_url": (
        "public_url",
        "https://",
        lambda here: configured(here, "unsafe_plain_http: true", public_url="http://auth.example.com"),
    ),
    "broken config": ("problems", "public_ur", lambda here: configured(here, "public_ur: x")),
    "many helpers": ("hashing", "auto", lambda here: configured(here, "hashing: {helpers: 256}")),
    "broken certificate": ("certificates", "cert.pem", _broken_certificate),
    "failing sink": ("sinks", "yett sink test archive", _failing_sink),
    "waiting events": ("sequencer", "have waited", _waiting),
    "no checkpoint": ("checkpoints", "acme", _without_checkpoint),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(here: Installation, fault: str) -> None:
    check, says, plant = FAULTS[fault]
    plant(here)
    assert says in mended(here, "--offline").get(check, "nothing")


ELSEWHERE: dict[str, tuple[str, Plant]] = {
    "names": ("DNS", lambda here: configured(here, public_url="https://auth.invalid")),
    "upstreams": ("127.0.0.1:9 ", lambda here: here.serves("http://127.0.0.1:9")),
    "mail": (
        "127.0.0.1:9 ",
        lambda here: configured(here, "mail: {smtp_host: 127.0.0.1, smtp_port: 9, security: none}"),
    ),
}


@pytest.mark.parametrize("check", ELSEWHERE)
def test_a_fault_elsewhere_is_found_and_left_out_offline(here: Installation, check: str) -> None:
    says, plant = ELSEWHERE[check]
    plant(here)
    assert says in mended(here)[check]
    assert check not in mended(here, "--offline")


class _Unready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def _unready() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Unready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_gateway_that_is_not_ready_is_found(here: Installation) -> None:
    with _unready() as port:
        configured(here, f"management_listen: 127.0.0.1:{port}")
        assert "503" in mended(here)["gateway"]


def test_a_database_that_is_away_leaves_out_what_needs_it(here: Installation) -> None:
    if here.admin_url is None:
        (here.data / "yett.db").unlink()
    else:
        away = dict.fromkeys(
            ("YETT_DATABASE_URL", "YETT_DATABASE_SYSTEM_URL"), "postgresql+psycopg://yett_app:hidden@127.0.0.1:9/yett"
        )
        here = replace(here, settings={**here.settings, **away})
    result = here.run("doctor", "--json", "--offline")
    assert result.code == 1
    states = {row["check"]: row["state"] for row in result.json}
    assert states["reachable"] == "mend"
    assert states["signing_keys"] == states["schema"] == "skipped"
    assert "hidden" not in result.out + result.err
    assert not (here.data / "yett.db").exists() or here.admin_url is not None


@pytest.mark.parametrize("original", ["postgresql"], indirect=True)
def test_roles_and_row_security_of_postgresql(here: Installation) -> None:
    sql(here, "ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
    assert "not forced on users" in mended(here, "--offline")["row_security"]
    escaping = replace(here, settings={**here.settings, "YETT_DATABASE_URL": here.settings["YETT_DATABASE_SYSTEM_URL"]})
    assert "has BYPASSRLS" in mended(escaping, "--offline")["roles"]


def test_the_file_system_is_that_of_the_nearest_mount() -> None:
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\n"
    assert _file_system(Path("/srv/yett"), mounts) == "nfs4"
    assert _file_system(Path("/var/yett"), mounts) == "ext4"


# What a test cannot make here without a machine of its own: its clock, disk, limits and connections.
UNPLANTED = {"clock", "connections", "disk", "descriptors", "upstream_files"}


def test_every_other_check_has_a_planted_fault() -> None:
    planted = {check for check, _, _ in FAULTS.values()} | ELSEWHERE.keys() | {"gateway", "roles", "row_security"}
    assert {check.name for check in CHECKS} <= planted | UNPLANTED
