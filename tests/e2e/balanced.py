"""nginx in front of several pods, with the very configuration that docs/operations.md shows, but for its addresses."""

import re
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.e2e.eventually import eventually
from tests.e2e.ports import free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
_SHOWN = re.compile(r"^```nginx\n(upstream yett .*?)^```$", re.MULTILINE | re.DOTALL)
_WRAPPED = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{shown}
}}
"""


class Balanced:
    """Its ``port`` leads to the pods, which are at these ``ports``."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.port = free_port()
        self._folder, self._ports = folder, ports
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
        assert program is not None, "nginx is not installed"
        self._write(None)
        self._said = folder / "nginx.out"
        with self._said.open("wb") as out:
            self._process = subprocess.Popen(
                [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        eventually(self._workers, within=10, what="nginx serves")

    def send_to_all(self, *, lasting: Collection[int]) -> None:
        """Every pod gets requests."""
        self._write(None)
        self._reload(lasting)

    def send_nothing_to(self, port: int, *, lasting: Collection[int]) -> None:
        """What has begun at that pod has ended then, but for the connections from these local ports of clients."""
        self._write(port)
        self._reload(lasting)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)

    def _write(self, without: int | None) -> None:
        (shown,) = _SHOWN.findall(PAGE.read_text(encoding="utf-8"))
        for number, port in enumerate(self._ports, start=1):
            written, here = f"10.0.0.{number}:8080;", f"127.0.0.1:{port}{' down' if port == without else ''};"
            assert shown.count(written) == 1, written
            shown = shown.replace(written, here)
        shown = shown.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        user = "user root;" if psutil.Process().username() == "root" else ""
        written = _WRAPPED.format(folder=self._folder, shown=shown, user=user)
        (self._folder / "nginx.conf").write_text(written, encoding="utf-8")

    def _workers(self) -> list[psutil.Process]:
        assert self._process.poll() is None, self._said.read_text() + (self._folder / "error.log").read_text()
        return psutil.Process(self._process.pid).children()

    def _reload(self, lasting: Collection[int]) -> None:
        old = self._workers()
        self._process.send_signal(signal.SIGHUP)
        for worker in old:
            # mypy cannot tell the type of a default in a lambda
            eventually(lambda worker=worker: self._rests(worker, lasting), within=20, what="the old worker rests")  # type: ignore[misc]

    def _rests(self, worker: psutil.Process, lasting: Collection[int]) -> bool:
        """It takes no connection any more, and has none but these."""
        try:
            connections = worker.net_connections("tcp4")
        except psutil.NoSuchProcess:
            return True
        if any(each.status == psutil.CONN_LISTEN for each in connections):
            return False
        clients = {each.raddr.port for each in connections if each.raddr and each.laddr.port == self.port}
        return clients <= set(lasting)


@contextmanager
def balanced(folder: Path, ports: Sequence[int]) -> Iterator[Balanced]:
    """Until the end of the block."""
    front = Balanced(folder, ports)
    try:
        yield front
    finally:
        front.close()
