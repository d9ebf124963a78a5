"""Look-ups in threads: how many there are at a time, and that none of them keeps a process from ending."""

import asyncio
import socket
import subprocess
import sys
import threading

import pytest

from gateway.name_lookup import LookUpsBusy, NameLookUp
from tests.gateway.proxy.harness import eventually

HANGS = """
import asyncio, socket, threading
from gateway.name_lookup import NameLookUp

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()

async def main():
    try:
        async with asyncio.timeout(0.05):
            await NameLookUp().resolve("orders.internal", 80)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


def test_a_look_up_that_hangs_does_not_hold_up_the_end() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "given up\n"


async def test_what_the_system_says() -> None:
    assert await NameLookUp().resolve("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises(OSError, match=r"[Nn]ame|[Aa]ddress"):
        await NameLookUp().resolve("nobody.invalid", 80)


async def test_there_are_no_more_threads_than_may_be_and_each_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    began: list[str] = []

    def waits(host: str, *_: object, **__: object) -> list[object]:
        began.append(host)
        go.wait()
        return [(0, 0, 0, "", ("10.0.0.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", waits)
    look_up = NameLookUp(at_once=2)
    left, kept = (asyncio.create_task(look_up.resolve("orders.internal", 80)) for _ in range(2))
    await eventually(lambda: len(began) == 2)
    left.cancel()
    await asyncio.wait([left])
    with pytest.raises(LookUpsBusy):  # nobody waits for it, but its thread does
        await look_up.resolve("orders.internal", 80)
    go.set()
    assert await kept == ["10.0.0.1"]
    assert await look_up.resolve("orders.internal", 80) == ["10.0.0.1"]
