"""Debian's rsyslog as a process of a test's own: with a configuration that writes all that it has got as JSON lines, or
with the one that docs/sinks.md shows.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.eventually import eventually
from tests.e2e.ports import free_port
from tests.gateway.server.pki import Authority

_CONFIG = """\
global(
  workDirectory="{folder}" maxMessageSize="64k"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{authority}"
  defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}"
)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" port="{port}" address="127.0.0.1")
template(name="json" type="list") {{
  constant(value="{{")
  property(name="pri" outname="pri" format="jsonf") constant(value=",")
  property(name="timereported" dateFormat="rfc3339" outname="time" format="jsonf") constant(value=",")
  property(name="hostname" outname="hostname" format="jsonf") constant(value=",")
  property(name="app-name" outname="app" format="jsonf") constant(value=",")
  property(name="msgid" outname="msgid" format="jsonf") constant(value=",")
  property(name="structured-data" outname="sd" format="jsonf") constant(value=",")
  property(name="msg" outname="msg" format="jsonf")
  constant(value="}}\\n")
}}
action(type="omfile" file="{out}" template="json")
"""

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "sinks.md"
_SHOWN = re.compile(r"^```rsyslog\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class SyslogServer:
    """``port`` is where it listens with TLS."""

    port: int
    out: Path

    def messages(self) -> list[dict[str, Any]]:
        """What has come, in order."""
        if not self.out.exists():
            return []
        *whole, _ = self.out.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in whole]

    def has(self, count: int) -> list[dict[str, Any]]:
        """Once so many have come."""
        eventually(lambda: len(self.messages()) >= count, within=20, what=f"{count} messages in {self.out}")
        return self.messages()


def rsyslog(folder: Path, authority: Authority) -> AbstractContextManager[SyslogServer]:
    """One that takes what anybody sends."""
    pair, port, out = authority.issue("syslog", "localhost", "127.0.0.1"), free_port(), folder / "messages"
    written = _CONFIG.format(
        folder=folder, authority=authority.file, certificate=pair.certificate, key=pair.key, port=port, out=out
    )
    return _running(folder, written, SyslogServer(port, out))


def documented_rsyslog(folder: Path, authority: Authority) -> AbstractContextManager[SyslogServer]:
    """What the page shows, at other paths and another port: it wants the certificate of ``gateway.example.com``."""
    pair, port, out = authority.issue("syslog", "localhost", "127.0.0.1"), free_port(), folder / "messages"
    (shown,) = _SHOWN.findall(_PAGE.read_text(encoding="utf-8"))
    for there, here in {
        "/etc/rsyslog-tls/ca.pem": str(authority.file),
        "/etc/rsyslog-tls/siem.pem": str(pair.certificate),
        "/etc/rsyslog-tls/siem.key": str(pair.key),
        "/var/log/yett-audit.jsonl": str(out),
        'port="6514"': f'port="{port}" address="127.0.0.1"',
    }.items():
        assert shown.count(there) == 1, there
        shown = shown.replace(there, here)
    return _running(folder, f'global(workDirectory="{folder}")\n{shown}', SyslogServer(port, out))


@contextmanager
def _running(folder: Path, written: str, server: SyslogServer) -> Iterator[SyslogServer]:
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:/sbin")
    assert program is not None, "rsyslog is not installed"
    config, log = folder / "rsyslog.conf", folder / "rsyslog.log"
    config.write_text(written, encoding="utf-8")
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, "-n", "-f", config, "-i", folder / "rsyslog.pid"], stdout=said, stderr=subprocess.STDOUT
        )
    try:
        listening = f":{server.port:04X}"
        eventually(
            lambda: any(
                row.split()[1].endswith(listening) and row.split()[3] == "0A"
                for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
            ),
            within=20,
            what=f"rsyslog: {log.read_text(encoding='utf-8')}",
        )
        yield server
    finally:
        process.terminate()
        process.wait(20)
