"""``make load``'s users against the demo, for a few seconds: the table appears and nothing fails.

Locust runs as a process of its own: it replaces parts of the standard library where it is imported.
"""

import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.command import environment
from tests.e2e.demo import Demo

_ROOT = Path(__file__).resolve().parents[2]
_MAKEFILE = (_ROOT / "Makefile").read_text(encoding="utf-8")


def _locust(demo: Demo, *more: str) -> "subprocess.CompletedProcess[str]":
    """The Makefile's own command line with fewer users, for a shorter time, at these ports."""
    command = next(line for line in _MAKEFILE.splitlines() if "/locust --locustfile" in line).strip()
    words = command.replace("$(VENV)/bin/locust", str(Path(sys.executable).with_name("locust")))
    words = words.replace("$(LOAD_PORT)", str(demo.port)).replace("$(LOAD_ARGS)", "")
    assert "$(" not in words
    return subprocess.run(
        [*words.split(), "--users", "8", "--spawn-rate", "8", "--run-time", "4s", *more],
        cwd=_ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_users_log_in_call_and_refresh_without_a_failure(demo: Demo) -> None:
    done = _locust(demo, "--mix", "login:1,api:10,refresh:5", "--think", "0.05")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {
        match[2]: (int(match[3]), int(match[4]))
        for match in re.finditer(r"^(GET|POST) +(\S.*?) +(\d+) +(\d+)\(", done.stdout + done.stderr, re.MULTILINE)
    }
    assert len(rows) >= 3, done.stdout + done.stderr  # logins, calls of the API, refreshes
    assert all(requests > 0 and failures == 0 for requests, failures in rows.values()), rows
    assert "correct horse" not in done.stdout + done.stderr
    assert "eyJ" not in done.stdout + done.stderr


def test_failures_end_with_1(demo: Demo) -> None:
    done = _locust(demo, "--tenants", "acme:nobody", "--run-time", "2s")
    assert done.returncode == 1, done.stdout + done.stderr
