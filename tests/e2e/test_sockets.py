"""WebSockets and server-sent events of the served demo: in a real browser, by the token that a page has, and byte by
byte; and that they end when the token is taken back, and when the server stops.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.clients.loopback import Handler, on_port, serving
from tests.e2e.demo import Demo
from tests.e2e.ports import free_port
from tests.e2e.raw_socket import RawSocket
from tests.e2e.server_process import PASSWORD
from tests.frames_by_hand import CLOSE, PING, PONG, TEXT, Frame, closing, frames, handshake, written

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What a page would do. ``closed`` and ``ended`` say when, in milliseconds of the page's clock.
_PAGE = """<!doctype html><title>a page</title><script>
const seen = {messages: [], events: ""};
function connect(url, token) {
  const socket = new WebSocket(url, ["yett", "bearer." + token]);
  socket.onopen = () => { seen.protocol = socket.protocol; socket.send("hello"); };
  socket.onmessage = (event) => seen.messages.push(event.data);
  socket.onerror = () => { seen.failed = true; };
  socket.onclose = (event) => { seen.closed = {code: event.code, clean: event.wasClean, at: performance.now()}; };
}
async function listen(url, token) {
  const answer = await fetch(url, {headers: {Authorization: "Bearer " + token}});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) seen.events += part.value;
  seen.ended = performance.now();
}
</script>"""


class Pages(Handler):
    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.answer(_PAGE.encode(), "text/html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert path is not None, f"none of {', '.join(_BROWSERS)} is installed"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield running
        running.close()


@contextmanager
def page_of_another_origin(browser: Browser) -> Iterator[Page]:
    port = free_port()
    with serving(on_port(port, Pages)):
        page = browser.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"http://localhost:{port}/")
        yield page
        page.close()


def _post(demo: Demo, endpoint: str, **form: str) -> httpx.Response:
    url = f"http://localhost:{demo.port}/t/acme/{endpoint}"
    with httpx.Client(trust_env=False) as client:
        answer = client.post(url, data={"client_id": "demo-app", **form})
    assert answer.status_code == 200, answer.text
    return answer


def token_of(demo: Demo, user: str) -> str:
    answer = _post(demo, "token", grant_type="password", username=user, password=PASSWORD)
    return str(answer.json()["access_token"])


def test_a_page_connects_by_its_token_and_is_closed_within_a_second_of_its_end(demo: Demo, browser: Browser) -> None:
    token, api = token_of(demo, "alice"), f"127.0.0.1:{demo.port}"
    with page_of_another_origin(browser) as page:
        page.evaluate("([url, token]) => connect(url, token)", [f"ws://{api}/ws", token])
        page.evaluate("([url, token]) => { listen(url, token) }", [f"http://{api}/events", token])
        page.wait_for_function("seen.messages.length === 1 && seen.events.includes('\"number\": 1')")
        assert page.evaluate("[seen.protocol, seen.messages[0]]") == ["yett", "hello"]
        assert page.evaluate("seen.closed === undefined && seen.ended === undefined")

        began = page.evaluate("performance.now()")
        _post(demo, "revoke", token=token)
        page.wait_for_function("seen.closed && seen.ended")
        seen: dict[str, Any] = page.evaluate("seen")
    assert (seen["closed"]["code"], seen["closed"]["clean"]) == (4401, True)
    assert seen["closed"]["at"] - began < 3000  # the revocation's own call is in it, on a machine that does much else
    assert "failed" not in seen
    assert seen["events"].endswith("\n\n")


def test_a_page_without_a_token_that_counts_is_not_connected(demo: Demo, browser: Browser) -> None:
    with page_of_another_origin(browser) as page:
        page.evaluate("([url, token]) => connect(url, token)", [f"ws://127.0.0.1:{demo.port}/ws", "eyJhbGciOi.x.y"])
        page.wait_for_function("seen.closed")
        assert page.evaluate("[seen.closed.code, seen.protocol === undefined]") == [1006, True]


@pytest.mark.parametrize(
    ("user", "fields", "status"),
    [
        ("alice", [("Origin", "null")], 403),
        ("alice", [("Origin", "https://evil.example")], 403),
        ("bob", [], 403),  # has not got the scope
        ("alice", [("Sec-WebSocket-Version", "8")], 400),
    ],
)
def test_a_handshake_that_is_refused(demo: Demo, user: str, fields: list[tuple[str, str]], status: int) -> None:
    bearer = ("Authorization", f"Bearer {token_of(demo, user)}")
    with RawSocket(demo.port) as client:
        client.send(handshake("/ws", f"127.0.0.1:{demo.port}", bearer, *fields))
        client.read_until(lambda: bool(client.answers()))
        assert [answer.status for answer in client.answers()] == [status]


class Wire:
    """A WebSocket's client that does not forgive."""

    def __init__(self, demo: Demo, socket: RawSocket) -> None:
        self._socket = socket
        bearer = ("Authorization", f"Bearer {token_of(demo, 'alice')}")
        socket.send(handshake("/ws", f"127.0.0.1:{demo.port}", bearer))
        socket.read_until(lambda: b"\r\n\r\n" in socket.received)
        assert socket.received.startswith(b"HTTP/1.1 101 "), socket.received

    def send(self, *data: bytes) -> None:
        self._socket.send(b"".join(data))

    def receives(self, count: int) -> list[Frame]:
        """All frames so far, once there are this many."""
        self._socket.read_until(lambda: len(self.frames) >= count)
        return self.frames

    @property
    def frames(self) -> list[Frame]:
        return frames(self._socket.received.partition(b"\r\n\r\n")[2])


def test_frames_byte_by_byte(demo: Demo) -> None:
    with RawSocket(demo.port) as socket:
        client = Wire(demo, socket)
        client.send(written(TEXT, b"Hel", fin=False), written(PING, b"p"), written(0, b"lo"))
        got = client.receives(3)
        assert sorted((one.opcode, one.payload) for one in got) == [(0, b"lo"), (TEXT, b"Hel"), (PONG, b"p")]
        assert all(one.key is None for one in got)
        client.send(closing(3000, "bye"))
        assert client.receives(4)[3].payload == b"\x0b\xb8bye"
        socket.read_to_end()


def test_a_megabyte_in_one_frame(demo: Demo) -> None:
    with RawSocket(demo.port) as socket:
        client = Wire(demo, socket)
        client.send(written(TEXT, b"0123456789abcdef" * 2**14))
        assert client.receives(1)[0].payload == b"0123456789abcdef" * 2**14


def test_what_breaks_the_rules_ends_with_1002(demo: Demo) -> None:
    with RawSocket(demo.port) as socket:
        client = Wire(demo, socket)
        client.send(written(TEXT, b"not masked", key=None))
        [close] = client.receives(1)
        assert (close.opcode, close.code) == (CLOSE, 1002)
        socket.read_to_end()


def test_sigterm_closes_websockets_with_1012_and_does_not_wait_for_them(tmp_path: Path) -> None:
    demo = Demo(free_port(), free_port(), tmp_path)
    try:
        demo.wait_until_ready()
        with RawSocket(demo.port) as first, RawSocket(demo.port) as second:
            polite, silent = Wire(demo, first), Wire(demo, second)
            for client in (polite, silent):
                client.send(written(TEXT, b"hello"))
                assert len(client.receives(1)) == 1
            demo.terminate()
            assert polite.receives(2)[1].code == silent.receives(2)[1].code == 1012
            polite.send(closing(1012))
            first.read_to_end()
            demo.ended()  # the second never answered
    finally:
        demo.discard()
