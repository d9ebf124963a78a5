"""Where a browser comes back to: an application's own listener on loopback (RFC 8252 section 7.3)."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.clients.loopback import Handler, on_port, serving

_PATIENCE = 20
_PAGE = b"<!doctype html><html lang=en><title>Done</title><h1>Back at the application</h1>"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The address that the browser was sent to; ``form`` is what it posted there, if it did."""

    url: str
    form: str | None = None


class Callback:
    """Who came, in order."""

    def __init__(self) -> None:
        self._arrivals: queue.Queue[Arrival] = queue.Queue()

    def note(self, arrival: Arrival) -> None:
        self._arrivals.put(arrival)

    def take(self) -> Arrival:
        """The next arrival."""
        try:
            return self._arrivals.get(timeout=_PATIENCE)
        except queue.Empty:
            raise AssertionError("nobody came back") from None


@contextmanager
def listening(port: int) -> Iterator[Callback]:
    """The listener, until the end of the block."""
    callback = Callback()

    class Listener(Handler):
        def do_GET(self) -> None:  # noqa: N802 - http.server's name
            self._arrived(None)

        def do_POST(self) -> None:  # noqa: N802 - http.server's name
            self._arrived(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _arrived(self, form: str | None) -> None:
            if self.path != "/favicon.ico":  # which is the browser's own idea
                callback.note(Arrival(f"http://127.0.0.1:{port}{self.path}", form))
            self.answer(_PAGE, "text/html")

    with serving(on_port(port, Listener)):
        yield callback
