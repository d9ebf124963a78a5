"""What signals do to a server that runs, and to one that is about to have ended."""

import asyncio
import os
import signal
from pathlib import Path

from gateway.cli.reloading import reloading
from gateway.reload.reloader import Reloader
from gateway.settings import Settings, load
from tests.gateway.reload.test_reloader import BASE

SIGNALS = signal.SIGHUP, signal.SIGUSR1


async def test_a_signal_that_comes_after_the_last_request_does_not_end_the_process_at_its_last_writes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "yett.yaml"
    path.write_text(BASE)
    taken: list[Settings] = []
    opened = asyncio.Event()

    async def reopen() -> None:
        opened.set()

    reloader = Reloader(path, lambda file: load(file, {}), load(path, {}), lambda wanted: lambda: taken.append(wanted))
    try:
        async with reloading(reloader, None, reopen=reopen, stop=lambda: None):
            os.kill(os.getpid(), signal.SIGUSR1)
            await opened.wait()
        assert [signal.getsignal(number) for number in SIGNALS] != [signal.SIG_DFL, signal.SIG_DFL]
        for number in SIGNALS:
            os.kill(os.getpid(), number)
        opened.clear()
        for _ in range(3):
            await asyncio.sleep(0)
        assert (taken, opened.is_set()) == ([], False)
    finally:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)
