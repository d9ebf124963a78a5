"""Ports for servers that want to be told a number.

They are chosen below the range that the system hands to outgoing connections: a port of that range could be taken by
any of the test's own clients between the choice and the server's start.
"""

import random
import socket

_LOWEST, _HIGHEST = 15_000, 32_000
_given: set[int] = set()


def free_port() -> int:
    """A port on which nobody listens, and which this process was not given before."""
    choose = random.SystemRandom()
    for _ in range(1000):
        port = choose.randint(_LOWEST, _HIGHEST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port found")
