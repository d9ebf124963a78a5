"""A JavaScript program under Node.js, in talk with its test: one JSON value a line, in both directions.

The test says what the program is to do. The program says whom it sends where, is told where they arrived, and says at
last what it found.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.clients.callback import Callback
from tests.e2e.clients.person import Person
from tests.e2e.command import environment

FOLDER = Path(__file__).parent


def run(name: str, brief: Mapping[str, Any], certificate: Path, person: Person, callback: Callback) -> Any:
    """What the program found. It trusts the certificate, as a machine does behind a company's own authority."""
    running = subprocess.Popen(
        ["node", FOLDER / name],
        env=environment({"NODE_EXTRA_CA_CERTS": str(certificate)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    assert running.stderr is not None
    with running:
        try:
            _say(running, brief)
            for line in running.stdout:
                match json.loads(line):
                    case {"visit": str(url)}:
                        person.go(url)
                        arrival = callback.take()
                        _say(running, {"url": arrival.url, "form": arrival.form})
                    case {"connect": str(url)}:
                        _say(running, {"heading": person.go(url)})
                    case {"found": found}:
                        return found
            raise AssertionError(f"{name} {brief['feature']}: {running.stderr.read()}")
        finally:
            running.stdin.close()
            running.terminate()


def _say(running: "subprocess.Popen[str]", value: object) -> None:
    assert running.stdin is not None
    running.stdin.write(json.dumps(value) + "\n")
    running.stdin.flush()
