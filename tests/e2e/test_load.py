"""``make load``'s users against the demo, for a few seconds: every step of every scenario, and what is said of a miss.

Locust runs as a process of its own: it replaces parts of the standard library where it is imported.
"""

import json
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
        [*words.split(), "--users", "8", "--spawn-rate", "8", "--run-time", "3s", *more],
        cwd=_ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _rows(table: str) -> dict[str, tuple[int, int]]:
    """Requests and failures of each row."""
    lines = re.finditer(r"^(GET|POST|WAIT) +(\S.*?) +(\d+) +(\d+)\(", table, re.MULTILINE)
    return {line[2]: (int(line[3]), int(line[4])) for line in lines}


def test_every_step_passes_with_authenticators_in_two_processes(demo: Demo, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.jsonl"
    seed = [sys.executable, "loadtests/seed.py", "--data", str(demo.data), "--out", str(accounts)]
    counts = ["--tenants", "2", "--users", "21", "--totp", "20"]
    made = subprocess.run(
        [*seed, *counts], cwd=_ROOT, env=environment({}), capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode == 0, made.stderr
    assert accounts.stat().st_mode & 0o777 == 0o600

    mix = "login:1,page:1,code:1,api:3,refresh:2,revoke:1,stuffing:1"
    secrets = [json.loads(line)["totp_secret"] for line in accounts.read_text("utf-8").splitlines() if "totp" in line]
    options = ["--mix", mix, "--accounts", str(accounts), "--factor", "with", "--processes", "2", "--think", "0.01"]
    done = _locust(demo, *options, "--fail-p99", "api=60000", "--fail-ratio", "0")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    rows = _rows(said)
    # Which of them come first is drawn, and there are as many logins as there are codes in half a minute.
    assert len(rows) >= 6, said
    assert all(requests > 0 and failures == 0 for requests, failures in rows.values()), rows
    assert len(secrets) == 40
    assert not any(secret in said for secret in ["correct horse", "eyJ", *secrets])


def test_what_was_missed_is_said_below_the_table_and_ends_with_1(demo: Demo) -> None:
    bars = ["--max-failures", "0", "--fail-p99", "revoked=100", "--fail-rps", "login=100000"]
    done = _locust(demo, "--tenants", "acme:nobody", "--run-time", "2s", *bars)
    assert done.returncode == 1, done.stdout + done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("load test: ")]
    assert len(sentences) == 3, done.stderr
    assert "revoked=100 cannot be judged" in sentences[0]
    assert "login came to 0.0 a second" in sentences[1]
    assert sentences[2].endswith("failures, and --max-failures allows 0")
