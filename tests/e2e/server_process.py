"""A gateway that runs as a process of its own, and what is asked of every one of them when it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.command import YETT, Forked, environment, forker
from tests.e2e.eventually import eventually

PASSWORD = "correct horse battery staple"
_START_SECONDS = 30
_STOP_SECONDS = 30
_DRAIN_SECONDS = 10  # the default of `drain`
_SECRETS = re.compile(r"y[a-z]{2}_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}|correct.horse|-----BEGIN")


class ServerProcess:
    """``yett serve`` or ``yett demo``, its output in files of ``folder``. ``installed``: run by the installed program,
    which imports all of it, as everybody's server does; else forked from a process that has it in memory.
    """

    def __init__(
        self,
        *arguments: str | Path,
        settings: Mapping[str, str],
        ports: tuple[int, int],
        folder: Path,
        installed: bool = False,
    ) -> None:
        self.port, self.management_port = ports
        self.folder = folder
        self.out_path, self.log_path = folder / f"{self.port}.out", folder / f"{self.port}.log"
        with self.out_path.open("wb") as out, self.log_path.open("wb") as log:
            self.process: subprocess.Popen[bytes] | Forked
            if installed:
                command, nothing = [YETT, *map(str, arguments)], subprocess.DEVNULL
                self.process = subprocess.Popen(
                    command, env=environment(settings), stdin=nothing, stdout=out, stderr=log
                )
            else:
                asked = [*map(str, arguments)]
                self.process = forker().start(asked, environment(settings), out=self.out_path, err=self.log_path)
        self.probes = httpx.Client(base_url=f"http://127.0.0.1:{self.management_port}", trust_env=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def events(self) -> list[dict[str, Any]]:
        """What was logged, line by line. Every line but the one for people has to be JSON."""
        lines = [line for line in self.log.splitlines() if not line.startswith("yett serves ")]
        return [json.loads(line) for line in lines]

    def helpers(self) -> list[psutil.Process]:
        """The processes that it started."""
        return psutil.Process(self.pid).children(recursive=True)

    def wait_until_ready(self) -> None:
        """Until /readyz says 200."""
        eventually(self._is_ready, within=_START_SECONDS, what=f"ready: {self.log}")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.log}"
        try:
            return self.probes.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def is_closed(self) -> bool:
        """Whether it takes no connection any more."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    def terminate(self) -> None:
        """Ask it to end, as an orchestrator does; ``ended`` says whether it did as it should."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> None:
        """It ended by itself, in order, and its log holds neither an error nor a secret."""
        assert self.process.wait(_STOP_SECONDS) == 0, self.log
        self.probes.close()
        for event in self.events():
            assert event["level"] in ("debug", "info", "warning"), event
            assert event["event"] not in ("job_failed", "application_failed"), event
        assert "Traceback" not in self.log
        found = _SECRETS.search(self.log)
        assert found is None, f"a secret is in the log, at {found}"

    def stop(self) -> None:
        """Terminate it and see that it ended well."""
        helpers, begun = self.helpers(), time.monotonic()
        self.terminate()
        self.ended()
        assert time.monotonic() - begun < _DRAIN_SECONDS, "it waited for requests that are not there"
        assert not [helper for helper in helpers if helper.is_running()]

    def kill(self) -> None:
        """The end that leaves nobody time for anything."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(_STOP_SECONDS)
        self.probes.close()

    def discard(self) -> None:
        """For fixtures: nothing of it is left, whatever the test did with it."""
        self.probes.close()
        if self.process.poll() is None:
            self.kill()
