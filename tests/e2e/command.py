"""The command line ``yett`` as an operator runs it: a process with an environment that says all there is to say."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

YETT = str(Path(sys.executable).with_name("yett"))
_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its settings of Yett, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("YETT_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def script(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
    """Run the installed program to its end."""
    done = subprocess.run(
        [YETT, *map(str, arguments)],
        env=environment(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def yett(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
    umask: int | None = None,
) -> Result:
    """Run one command to its end, in a process forked from one that has the program in memory already."""
    return forker().run([*map(str, arguments)], environment(env or {}), stdin, cwd, umask)


class Forked:
    """A process of the forker's; what ``subprocess.Popen`` says of its own, this says of it."""

    def __init__(self, told: Path) -> None:
        self._told = os.open(told, os.O_RDWR)  # with a writer of our own, reading waits for the other one
        self._heard = b""
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Known once it runs."""
        return self._number(0, _SECONDS)

    def poll(self) -> int | None:
        """Its exit code, minus the signal that ended it, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float) -> int:
        """The same once it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self.returncode = self._number(1, timeout)
            os.close(self._told)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nobody is hit who has its number after it."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _number(self, line: int, timeout: float) -> int:
        until = time.monotonic() + timeout
        while self._heard.count(b"\n") <= line:
            if not select.select([self._told], [], [], max(0.0, until - time.monotonic()))[0]:
                raise subprocess.TimeoutExpired(YETT, timeout)
            self._heard += os.read(self._told, 100)
        return int(self._heard.splitlines()[line])


class Forker:
    """The parent of all commands and servers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forked_command"],
            cwd=_ROOT,
            env=environment({}),
            stdin=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        arguments: list[str],
        env: Mapping[str, str],
        *,
        out: Path,
        err: Path,
        stdin: Path = Path(os.devnull),
        cwd: Path | None = None,
        umask: int | None = None,
    ) -> Forked:
        """A process that runs by now; ``out`` and ``err`` are files that are there."""
        paths = {"stdin": str(stdin), "out": str(out), "err": str(err), "cwd": None if cwd is None else str(cwd)}
        with tempfile.TemporaryDirectory(prefix="yett-told-") as folder:
            told = Path(folder, "told")
            os.mkfifo(told)
            started = Forked(told)
            asked = {"args": arguments, "env": dict(env), "told": str(told), "umask": umask, **paths}
            with self._lock:
                assert self._process.stdin is not None
                self._process.stdin.write(json.dumps(asked) + "\n")
                self._process.stdin.flush()
            assert started.pid
        return started

    def run(
        self, arguments: list[str], env: Mapping[str, str], stdin: str, cwd: Path | None, umask: int | None
    ) -> Result:
        """One command."""
        with tempfile.TemporaryDirectory(prefix="yett-command-") as folder:
            files = {name: Path(folder, name) for name in ("stdin", "out", "err")}
            for file in files.values():
                file.touch()
            files["stdin"].write_text(stdin, encoding="utf-8")
            started = self.start(arguments, env, cwd=cwd, umask=umask, **files)
            try:
                code = started.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                started.send_signal(signal.SIGKILL)
                raise
            return Result(code, files["out"].read_text(encoding="utf-8"), files["err"].read_text(encoding="utf-8"))

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=_SECONDS)
        assert self._process.returncode == 0


@cache
def forker() -> Forker:
    """The one of this run of tests."""
    return Forker()
