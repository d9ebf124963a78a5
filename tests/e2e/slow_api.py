"""An API that answers when the test does."""

import socket
from dataclasses import dataclass


@dataclass
class SlowApi:
    """An API that answers when the test does."""

    listening: socket.socket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def accept(self) -> socket.socket:
        """The next connection, once a whole request head has come over it."""
        connection, _ = self.listening.accept()
        connection.settimeout(15)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        return connection
