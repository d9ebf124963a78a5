"""A gateway that is killed in the middle of sending, and the one that follows: no audit event is lost to a sink; and
what an auditor does with a checkpoint that came there.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from policies.merkle import entry_hash, leaf_hash
from tests.e2e.command import Result, yett
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation

_WAITING = """SELECT (SELECT count(*) FROM audit_outbox) + count(*) FROM audit_heads h LEFT JOIN sink_positions p
 ON p.tenant_id = h.tenant_id WHERE h.size > coalesce(p.next, 0)"""
_OWED = "SELECT count(*) FROM sink_positions WHERE checkpoint < next"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Hook:
    """A receiver of webhooks. While ``holds`` is set it reads a batch and does not answer."""

    events: list[dict[str, Any]] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if found.holds.is_set():
                found.held.set()
                found.over.wait(60)
                return
            found.events += json.loads(body)["data"]["events"]
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        thread.join(20)
        server.server_close()


def exported(of: Installation, tenant: str) -> list[str]:
    out = of.data.parent / f"{tenant}.jsonl"
    of.does("audit", "export", "--tenant", tenant, "--out", out)
    lines = out.read_text(encoding="utf-8").splitlines()
    return [json.loads(line["event"])["id"] for line in map(json.loads, lines) if "event" in line]


def newest_checkpoint(receiver: Hook, tenant: str) -> dict[str, Any]:
    found = [e for e in receiver.events if (e["type"], e["tenant"]) == ("audit.checkpoint", tenant)]
    return max(found, key=lambda event: int(event["size"]))


def finds_out(of: Installation, told: dict[str, Any], folder: Path) -> None:
    """Somebody who has the database and all keys alters an event, and has the log signed anew. It looks whole to
    whoever has nothing but the log, and not beside a checkpoint that a sink was sent.
    """
    export, key, held = folder / "export.jsonl", folder / "acme.key", folder / "held.txt"
    of.does("audit", "key", "--tenant", "acme", "--out", key)
    held.write_text(told["note"], encoding="utf-8")

    def verified(*more: str | Path) -> Result:
        of.does("audit", "export", "--tenant", "acme", "--out", export)
        return yett("audit", "verify", export, "--key", key, *more)

    good = verified("--checkpoint", held)
    assert good.code == 0, good
    assert f"unaltered since the checkpoint of {told['size']} events that you hold" in good.out

    with closing(sqlite3.connect(of.data / "yett.db")) as connection, connection:
        row = "FROM audit_events WHERE type = 'login.succeeded' ORDER BY position LIMIT 1"
        tenant_id, position, salt, event = connection.execute(
            f"SELECT tenant_id, position, salt, event {row}"
        ).fetchone()
        forged = event.replace(b'"outcome":"success"', b'"outcome":"refused"')
        assert forged != event
        connection.execute(
            "UPDATE audit_events SET event = ?, leaf = ? WHERE tenant_id = ? AND position = ?",
            (forged, leaf_hash(entry_hash(salt, forged)), tenant_id, position),
        )
        for table in ("audit_nodes", "audit_trees"):
            connection.execute(f"DELETE FROM {table} WHERE tenant_id = ?", (tenant_id,))
    alone = verified()
    assert (alone.code, alone.out[:6]) == (0, "whole:")
    found = verified("--checkpoint", held)
    assert found.code == 1
    assert "NOT as it was signed" in found.out


def test_a_kill_in_the_middle_loses_nothing(copy_of: Copy, tmp_path: Path) -> None:
    of = copy_of("sqlite")
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"siem": _SECRET}), encoding="utf-8")
    with hook() as receiver:
        sink = {"name": "siem", "kind": "webhook", "url": receiver.url, "start": "beginning", "timeout": "1s"}
        sink["checkpoint_interval"] = "1s"
        of.config.write_text(of.config.read_text(encoding="utf-8") + f"sinks: {json.dumps([sink])}\n", encoding="utf-8")
        settings = {"YETT_SINK_SECRETS_FILE": str(secrets)}
        of = Installation(of.data, of.config, {**of.settings, **settings}, of.secrets, of.admin_url)
        assert of.does("sink", "test", "siem") == {"sink": "siem", "taken": True}
        assert [event["type"] for event in receiver.events] == ["sink.test"]
        receiver.events.clear()

        receiver.holds.set()
        first = Gateway(of, tmp_path)
        try:
            first.wait_until_ready()
            assert receiver.held.wait(30)
            first.login("alice")  # a receiver that hangs is nobody's who logs in
            (standing,) = of.does("sink", "list")
            assert standing["behind"] > 0
            assert standing["waiting_since"] is not None
            first.kill()
        finally:
            first.close()
            first.discard()
        refused = of.run("sink", "test", "siem")
        assert (refused.code, refused.err) == (1, "yett: siem did not take the event: timed_out\n")

        receiver.holds.clear()
        second = Gateway(of, tmp_path)
        try:
            second.wait_until_ready()
            second.login("bob")
            eventually(lambda: of.rows(_WAITING) == [(0,)] == of.rows(_OWED), within=60, what=second.log)
            (standing,) = of.does("sink", "list")
            assert standing["behind"] == standing["failures"] == standing["refused"] == 0
            assert standing["waiting_since"] is standing["failing_since"] is None
            second.close()
            second.stop()
        finally:
            second.close()
            second.discard()
        came = [event["id"] for event in receiver.events]
        for tenant in ("acme", "globex", "platform"):
            wanted = exported(of, tenant)
            kept = set(wanted)
            assert [each for each in dict.fromkeys(came) if each in kept] == wanted
            assert newest_checkpoint(receiver, tenant)["size"] <= len(wanted)
    finds_out(of, newest_checkpoint(receiver, "acme"), tmp_path)
