"""All pods are restarted, one after the other, behind a real nginx and under load: nobody's request fails who tries a
broken connection once more, and WebSockets are closed with 1012 and connect again.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.e2e.balanced import Balanced, balanced
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.gateway import Gateway
from tests.e2e.installation import API, IDENTITY, Installation
from tests.e2e.raw_socket import RawSocket
from tests.e2e.server_process import PASSWORD
from tests.e2e.several import Several
from tests.e2e.socket_api import socket_api
from tests.frames_by_hand import CLOSE, TEXT, Frame, closing, frames, handshake, written

SOAK = bool(os.environ.get("YETT_TEST_SOAK"))
pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 120)]

ROUNDS = 5 if SOAK else 1
CALLERS, PEOPLE, SOCKETS = (8, 4, 20) if SOAK else (2, 1, 2)
_ANEW = 60.0  # seconds, after which a token is asked for anew
_POD = {"YETT_TRUSTED_PROXIES": "127.0.0.1", "YETT_HASHING__HELPERS": "1", "YETT_DRAIN": "20s"}


@dataclass
class Seen:
    """``done`` by kind; ``failed`` is what no client should see; ``codes`` WebSockets were closed with. ``lasting`` are
    the local ports of those that are open.
    """

    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    lasting: set[int] = field(default_factory=set)


class Load:
    """Clients of the front, until the end of the block."""

    def __init__(self, front: Balanced) -> None:
        self.seen = Seen()
        self._front = front
        self._token: tuple[float, str] | None = None
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(CALLERS + PEOPLE + SOCKETS)

    def __enter__(self) -> "Load":
        work = [self._calls] * CALLERS + [self._logs_in_and_refreshes] * PEOPLE + [self._converses] * SOCKETS
        self._running = [self._pool.submit(each) for each in work]
        return self

    def __exit__(self, *_raised: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for each in self._running:
            each.result()

    def goes_on(self) -> None:
        """Each kind of work has been done once more."""
        before = self.seen.done.copy()
        kinds = ("login", "refresh", "GET", "POST", "message")
        eventually(
            lambda: all(self.seen.done[kind] > before[kind] for kind in kinds),
            within=60,
            what=f"work goes on: {self.seen}",
        )

    def _client(self, host: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self._front.port}", headers={"Host": host}, trust_env=False, timeout=60
        )

    def _note(self, kind: str, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        """Asked once more where the connection broke, and that is all."""
        try:
            answer = ask()
        except httpx.TransportError:
            try:
                answer = ask()
            except httpx.TransportError as error:
                self.seen.failed.append(f"{kind}: {error!r}")
                return None
        if answer.status_code != 200:
            self.seen.failed.append(f"{kind}: {answer.status_code} {answer.text}")
            return None
        self.seen.done[kind] += 1
        return answer

    def _calls(self) -> None:
        with self._client(API) as client:
            while not self._over.is_set():
                bearer = {"Authorization": f"Bearer {self._alices()}"}
                self._note("GET", partial(client.get, "/orders/1", headers=bearer))
                self._note("POST", partial(client.post, "/orders", headers=bearer, content=b"an order"))

    def _logs_in_and_refreshes(self) -> None:
        with self._client(IDENTITY) as client:

            def token(**form: str) -> Callable[[], httpx.Response]:
                return partial(client.post, "/t/acme/token", data={"client_id": "demo-app", **form})

            while not self._over.is_set():
                answer = self._note("login", token(grant_type="password", username="bob", password=PASSWORD))
                for _ in range(5):
                    if answer is not None:
                        held = answer.json()["refresh_token"]
                        answer = self._note("refresh", token(grant_type="refresh_token", refresh_token=held))

    def _alices(self) -> str:
        """A token that lives for minutes yet."""
        with self._turn:
            if self._token is None or time.monotonic() - self._token[0] > _ANEW:
                form = {"client_id": "demo-app", "grant_type": "password", "username": "alice", "password": PASSWORD}
                with self._client(IDENTITY) as client:
                    answer = self._note("login", partial(client.post, "/t/acme/token", data=form))
                assert answer is not None, self.seen.failed
                self._token = time.monotonic(), answer.json()["access_token"]
            return self._token[1]

    def _converses(self) -> None:
        while not self._over.is_set():
            with RawSocket(self._front.port) as socket:
                socket.send(handshake("/ws", API, ("Authorization", f"Bearer {self._alices()}")))
                socket.read_until(lambda: b"\r\n\r\n" in socket.received)
                head, _, _ = socket.received.partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 101 "):
                    self.seen.failed.append(f"WebSocket: {head!r}")
                    continue
                self.seen.lasting.add(socket.local_port)
                self._talks(socket)
                self.seen.lasting.discard(socket.local_port)

    def _talks(self, socket: RawSocket) -> None:
        said = 0
        while not self._over.wait(0.02):
            socket.send(written(TEXT, b"hello"))
            said += 1
            socket.read_until(lambda: len(_frames(socket)) >= said)  # noqa: B023 - read within this turn
            heard = _frames(socket)
            if not heard or heard[-1].opcode == CLOSE or socket.closed:
                self.seen.codes[heard[-1].code if heard and heard[-1].opcode == CLOSE else 1006] += 1
                socket.send(closing(1012))
                socket.read_to_end()
                return
            self.seen.done["message"] += 1


def _frames(socket: RawSocket) -> list[Frame]:
    return frames(socket.received.partition(b"\r\n\r\n")[2])


class Pods:
    """Two of them, of one installation. Each is started anew at its own address."""

    def __init__(self, of: Installation, folder: Path) -> None:
        self._of, self._folder = of, folder
        self.running = [self._start(number) for number in range(2)]

    def _start(self, number: int, ports: tuple[int, int] | None = None) -> Gateway:
        folder = self._folder / f"pod-{number}"
        folder.mkdir(exist_ok=True)
        return (Several if SOAK else Gateway)(self._of, folder, ports=ports, **_POD)

    def wait_until_ready(self) -> None:
        for each in self.running:
            each.wait_until_ready()

    def restart(self, number: int) -> None:
        """It has to end in order."""
        old = self.running[number]
        old.close()
        old.terminate()
        old.ended()
        self.running[number] = new = self._start(number, (old.port, old.management_port))
        new.wait_until_ready()

    def discard(self) -> None:
        for each in self.running:
            each.close()
            each.discard()


@pytest.fixture
def pods(copy_of: Copy, tmp_path: Path) -> Iterator[Pods]:
    with socket_api() as api:
        of = copy_of("postgresql", api)
        with of.config.open("a", encoding="utf-8") as config:
            config.write(
                "  - {name: ws, match: {path: /ws}, websocket: true, require: {scopes: [ws]}, upstream: orders}\n"
            )
        made = Pods(of, tmp_path)
        try:
            made.wait_until_ready()
            yield made
        finally:
            made.discard()


def test_nobody_notices_who_tries_a_broken_connection_once_more(pods: Pods, tmp_path: Path) -> None:
    ports = [pod.port for pod in pods.running]
    with ExitStack() as stack:
        front = stack.enter_context(balanced(tmp_path, ports))
        load = stack.enter_context(Load(front))
        for _ in range(ROUNDS):
            for number, port in enumerate(ports):
                load.goes_on()
                front.send_nothing_to(port, lasting=load.seen.lasting)
                pods.restart(number)
                front.send_to_all(lasting=load.seen.lasting)
        load.goes_on()
    seen = load.seen
    assert not seen.failed, seen.failed[:5]
    assert set(seen.codes) == {1012}, seen.codes
    assert seen.codes[1012] >= SOCKETS * ROUNDS  # each was at one of the two
