"""A small HTTP server of a test's own, in a thread, on a port of loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any

_POLL_SECONDS = 0.01


class Handler(BaseHTTPRequestHandler):
    """What answers one request. A subclass has ``do_GET`` and the like."""

    def answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    """Until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="loopback")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def on_port(port: int, handler: type[Handler]) -> HTTPServer:
    """A server of this kind of handler."""
    return ThreadingHTTPServer(("127.0.0.1", port), handler)
