"""Pods of one installation on one PostgreSQL, each with several workers, and connections to each worker by itself."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cpu_use import children
from keep_alive import Connection, request
from processes import Running, free_port, running
from yett_peer import environ, executable

from tenants import migrate

IDENTITY, API = "localhost:8080", "127.0.0.1:8080"
AUDIENCE = f"http://{API}"
LIMIT = 60
_CONFIG = """\
public_url: http://{identity}
data_dir: {folder}
database_url: "{app}"
database_system_url: "{system}"
api_hosts: ["{api}"]
trusted_proxies: [127.0.0.0/8]
limits: {{token: 1000000/second, pages: 1000000/second}}
listen_limits: {{connections_per_address: 1000000, idle_time: 1h}}
hashing: {{queue: 1000}}
log: {{level: warning}}
upstreams:
  orders: {{targets: ["http://127.0.0.1:{upstream}"], audience: "{audience}", max_connections: 4096}}
routes:
  - {{name: orders, match: {{path: /orders/**}}, require: {{scopes: ["orders:read"]}}, upstream: orders}}
  - {{name: edited, match: {{path: /edited/**}}, require: {{scopes: ["{scope}"]}}, upstream: orders}}
  - name: limited
    match: {{path: /limited/**}}
    require: {{scopes: ["orders:read"]}}
    upstream: orders
    limit: {{per: subject, rate: {limit}/minute}}
"""


@dataclass(frozen=True, slots=True)
class Written:
    """The configuration that all pods read, but for their addresses."""

    folder: Path
    urls: dict[str, str]
    upstream: int

    @property
    def path(self) -> Path:
        return self.folder / "yett.yaml"

    def write(self, scope: str) -> None:
        """With this scope for the route ``edited``, whole or not at all."""
        text = _CONFIG.format(
            identity=IDENTITY,
            api=API,
            audience=AUDIENCE,
            folder=self.folder,
            app=self.urls[migrate.APP_ROLE],
            system=self.urls[migrate.SYSTEM_ROLE],
            upstream=self.upstream,
            scope=scope,
            limit=LIMIT,
        )
        beside = self.path.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.path)


def install(folder: Path, admin: str, urls: dict[str, str], upstream: int) -> Written:
    """A master key, roles, a schema and a configuration."""
    data = folder / "yett"
    subprocess.run([executable(), "init", "--data", data], env=environ(), check=True, stdout=subprocess.DEVNULL)
    asyncio.run(_migrate(admin, urls))
    made = Written(data, urls, upstream)
    made.write("orders:read")
    return made


async def _migrate(admin: str, urls: dict[str, str]) -> None:
    await migrate.create_roles(admin, urls)
    await migrate.upgrade(urls[migrate.OWNER_ROLE])


@contextmanager
def serving(written: Written, pods: int, processes: int) -> Iterator[Sequence[Running]]:
    """So many pods of so many processes each, on any CPU."""
    with ExitStack() as stack:
        yield [stack.enter_context(_pod(written, number, processes)) for number in range(pods)]


@contextmanager
def _pod(written: Written, number: int, processes: int) -> Iterator[Running]:
    port, management = free_port(), free_port()
    with running(
        f"pod {number}",
        [executable(), "serve", "--config", str(written.path), "--processes", str(processes)],
        cpu=None,
        port=port,
        log=written.folder / f"pod-{number}.log",
        ready=(management, "/readyz"),
        environ={
            **environ(),
            "YETT_LISTEN": f"127.0.0.1:{port}",
            "YETT_MANAGEMENT_LISTEN": f"127.0.0.1:{management}",
        },
    ) as pod:
        yield pod


def connections(pod: Running, each: int) -> Iterator[Connection]:
    """So many to each worker of the pod: its others are stopped while it accepts them."""
    alive = request("GET", "/nowhere", {"Host": API})
    workers = children(pod.process.pid)
    for worker in workers:
        others = [other for other in workers if other != worker]
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            _wait_until_stopped(others)
            for _ in range(each):
                connection = Connection(pod.port)
                connection.exchange(alive)
                yield connection
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)


def _wait_until_stopped(pids: Sequence[int]) -> None:
    while any(_state(pid) != "T" for pid in pids):
        time.sleep(0.001)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
