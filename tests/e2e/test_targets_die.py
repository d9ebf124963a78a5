"""One of two targets is killed under load and comes back: what may be sent again is not lost, what may not is not sent
twice, and afterwards both are asked.
"""

import json
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import environment
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.ports import free_port

_THREADS, _EACH = 8, 150
_METHODS = ("GET", "POST", "DELETE")


@dataclass
class Target:
    """A process of ``counted_api`` on a port that it keeps."""

    port: int
    file: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.e2e.counted_api", str(self.port), str(self.file)]
        self.process = subprocess.Popen(command, env=environment({}), cwd=Path(__file__).parents[2])
        eventually(self._listens, within=20, what="the target listens")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    @property
    def lines(self) -> list[str]:
        return self.file.read_text().splitlines()


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[tuple[Target, Target]]:
    pair = Target(free_port(), tmp_path / "one"), Target(free_port(), tmp_path / "other")
    try:
        for target in pair:
            target.start()
        yield pair
    finally:
        for target in pair:
            target.kill()


@pytest.fixture
def gateway(copy_of: Copy, targets: tuple[Target, Target]) -> Iterator[Gateway]:
    of = copy_of("sqlite")
    written = json.dumps([f"http://127.0.0.1:{target.port}" for target in targets])
    health = json.dumps({"path": "/healthz", "interval": "500ms", "timeout": "400ms"})
    running = Gateway(
        of, of.data.parent, YETT_UPSTREAMS__ORDERS__TARGETS=written, YETT_UPSTREAMS__ORDERS__HEALTH=health
    )
    try:
        running.wait_until_ready()
        yield running
        running.stop()
    finally:
        running.close()
        running.discard()


def test_no_request_that_may_be_sent_again_is_lost_and_none_that_may_not_is_sent_twice(
    gateway: Gateway, targets: tuple[Target, Target]
) -> None:
    dying, _ = targets
    halfway, count, lock = threading.Event(), 0, threading.Lock()
    statuses: dict[str, int] = {}

    def user(number: int) -> None:
        nonlocal count
        for turn in range(_EACH):
            method = _METHODS[(number + turn) % 3]
            path = f"/public/{number}-{turn}"
            statuses[f"{method} {path}"] = gateway.call(path, method=method).status_code
            with lock:
                count += 1
                if count == _THREADS * _EACH // 3:
                    halfway.set()

    with ThreadPoolExecutor(_THREADS) as pool:
        running = [pool.submit(user, number) for number in range(_THREADS)]
        assert halfway.wait(60)
        dying.kill()
    for each in running:
        each.result()

    lost = {request: status for request, status in statuses.items() if status != 200}
    assert all(request.startswith("POST ") and status == 502 for request, status in lost.items()), lost
    seen = Counter(line.removesuffix(" HTTP/1.1") for target in targets for line in target.lines)
    assert len(statuses) == _THREADS * _EACH
    for request, status in statuses.items():
        if request.startswith("POST "):
            assert seen[request] <= 1, request
        assert status != 200 or seen[request] in (1, 2), request

    dying.start()
    before = len(dying.lines)
    eventually(
        lambda: (
            gateway.call("/public/again").status_code == 200
            and [line for line in dying.lines[before:] if "/public/" in line]
        ),
        within=30,
        what="the target is asked again",
    )
