"""The command line ``yett`` as an operator runs it: a process with an environment that says all there is to say."""

import json
import os
import subprocess
import sys
import tempfile
import threading
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
    *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = "", cwd: Path | None = None
) -> Result:
    """Run one command to its end, in a process forked from one that has the program in memory already."""
    return forker().run([*map(str, arguments)], environment(env or {}), stdin, cwd)


class Forker:
    """The parent of all commands, one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forked_command"],
            cwd=_ROOT,
            env=environment({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: list[str], env: Mapping[str, str], stdin: str, cwd: Path | None) -> Result:
        """One command."""
        with tempfile.TemporaryDirectory(prefix="yett-command-") as folder:
            files = {name: Path(folder, name) for name in ("stdin", "out", "err")}
            for file in files.values():
                file.touch()
            files["stdin"].write_text(stdin, encoding="utf-8")
            paths = {name: str(file) for name, file in files.items()}
            asked = {"args": arguments, "env": env, "cwd": None if cwd is None else str(cwd), **paths}
            with self._lock:
                assert self._process.stdin is not None
                assert self._process.stdout is not None
                self._process.stdin.write(json.dumps(asked) + "\n")
                self._process.stdin.flush()
                code = int(self._process.stdout.readline())
            return Result(code, files["out"].read_text(encoding="utf-8"), files["err"].read_text(encoding="utf-8"))

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=_SECONDS)
        assert self._process.returncode == 0


@cache
def forker() -> Forker:
    """The one of this run of tests."""
    return Forker()
