"""``yett serve`` with several workers: who they are, and a client whose every request goes to one of them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import Installation

WORKERS = 2


class Several(Gateway):
    """The gateway's own process is the supervisor."""

    def __init__(
        self, installation: Installation, folder: Path, *, ports: tuple[int, int] | None = None, **settings: str
    ) -> None:
        super().__init__(installation, folder, ports=ports, **{"YETT_PROCESSES": str(WORKERS), **settings})

    def workers(self) -> list[psutil.Process]:
        """Those that live, the oldest first, which has management."""
        living = [child for child in psutil.Process(self.pid).children() if _lives(child)]
        return sorted(living, key=lambda worker: worker.create_time())

    @contextmanager
    def client_of(self, worker: psutil.Process, host: str) -> Iterator[httpx.Client]:
        """Has one connection, which this worker has accepted: no other one could at that moment."""
        others = [other for other in self.workers() if other.pid != worker.pid]
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Host": host},
            trust_env=False,
            timeout=30,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
        ) as client:
            with held(others):
                client.get("/nowhere")
            yield client

    def wait_until_all_are_ready(self) -> None:
        """Until as many workers as there should be are, and are well."""
        eventually(lambda: len(self.workers()) == WORKERS, within=60, what=f"all workers: {self.log}")
        self.wait_until_ready()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def held(processes: list[psutil.Process]) -> Iterator[None]:
    """Stopped meanwhile, every one of them."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
        eventually(lambda process=process: process.status() == psutil.STATUS_STOPPED, within=10, what="stopped")  # type: ignore[misc]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
