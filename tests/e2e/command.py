"""The command line ``yett`` as an operator runs it: an own process with an environment that says all there is to say."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

YETT = str(Path(sys.executable).with_name("yett"))
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


def yett(
    *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str = "", cwd: Path | None = None
) -> Result:
    """Run one command to its end."""
    done = subprocess.run(
        [YETT, *map(str, arguments)],
        env=environment(env or {}),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
