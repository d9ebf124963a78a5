"""Debian's rsyslog as a process of a test's own, with its own configuration and certificate, writing what it gets as
JSON lines.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
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
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="{mode}" {peers})
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


@contextmanager
def rsyslog(folder: Path, authority: Authority, *, client: str | None = None) -> Iterator[SyslogServer]:
    """With ``client`` it wants a certificate of that name."""
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/local/sbin:/sbin")
    assert program is not None, "rsyslog is not installed"
    pair, port, out = authority.issue("syslog", "localhost", "127.0.0.1"), free_port(), folder / "messages"
    config = folder / "rsyslog.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            authority=authority.file,
            certificate=pair.certificate,
            key=pair.key,
            port=port,
            out=out,
            mode="anon" if client is None else "x509/name",
            peers="" if client is None else f'permittedPeer=["{client}"]',
        ),
        encoding="utf-8",
    )
    log = folder / "rsyslog.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, "-n", "-f", config, "-i", folder / "rsyslog.pid"], stdout=said, stderr=subprocess.STDOUT
        )
    try:
        listening = f":{port:04X}"
        eventually(
            lambda: any(
                row.split()[1].endswith(listening) and row.split()[3] == "0A"
                for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
            ),
            within=20,
            what=f"rsyslog: {log.read_text(encoding='utf-8')}",
        )
        yield SyslogServer(port, out)
    finally:
        process.terminate()
        process.wait(20)
