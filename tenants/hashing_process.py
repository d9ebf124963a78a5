"""One helper process that hashes, seen from the gateway: its start, its socket, its end.

Owns the process and that it is reaped, without a child watcher, on asyncio and uvloop alike. What it is asked, and what
happens when it dies, is the queue's (hashing_queue.py); what it does is hashing_worker.py's.
"""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol, cast

from tenants import hashing_worker
from tenants.argon2_hash import Cost
from tenants.hashing_worker import READY, Frame, take_frame

_START_SECONDS = 20.0
_END_SECONDS = 2.0
# What Python needs to start. The rest of the gateway's environment (secrets, among others) is none of the helper's
# business.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class HelperDied(Exception):
    """The helper ended before it was ready."""


class Owner(Protocol):
    """Who asks the helper. Both are called from the event loop."""

    def answered(self, helper: "Helper", frame: Frame, /) -> None:
        """The helper has sent an answer."""

    def gone(self, helper: "Helper", /) -> None:
        """A helper that had been ready is gone. It is still to be reaped: ``end()``."""


class Helper(asyncio.Protocol):
    """A helper process. It works on one job at a time, in their order; its owner keeps them."""

    def __init__(self, process: "subprocess.Popen[bytes]", owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._process = process
        self._owner = owner
        self._loop = loop
        self._buffer = bytearray()
        self._ready: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._serving = False

    def __repr__(self) -> str:
        return f"Helper(pid={self.pid})"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """As subprocess has it: negative for a signal, None before it is reaped."""
        return self._process.returncode

    @property
    def alive(self) -> bool:
        """Whether it is ready and running. Asks the kernel: the loop hears of a death later."""
        return self._serving and self._process.poll() is None

    @classmethod
    async def start(cls, cost: Cost, owner: Owner) -> "Helper":
        """Start a process and wait until it is ready. Raises OSError, HelperDied, TimeoutError; nothing is left behind
        then, nor when the caller is cancelled.
        """
        # A start is not interrupted half-way, where process and socket would have no owner. It is short.
        starting = asyncio.ensure_future(cls._start(cost, owner))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                await starting.result().end(at_once=True)
            raise

    @classmethod
    async def _start(cls, cost: Cost, owner: Owner) -> "Helper":
        loop = asyncio.get_running_loop()
        # Fork and exec block for some milliseconds, so another thread waits for them.
        ours, process = await loop.run_in_executor(None, _spawn, cost)
        helper = cls(process, owner, loop)
        try:
            await loop.create_unix_connection(lambda: helper, sock=ours)
            await asyncio.wait_for(helper._ready, _START_SECONDS)
        except (OSError, HelperDied, TimeoutError):
            if helper._transport is None:
                ours.close()
            await helper.end(at_once=True)
            raise
        return helper

    def ask(self, frame: Frame, *, within: float) -> None:
        """Send a job. If it is the only one, the process is killed when it has not answered ``within`` seconds."""
        assert self._transport is not None  # noqa: S101 - set since the connection was made, before start() returned
        if self._timer is None:
            self.expect(within=within)
        self._transport.write(frame.encoded())

    def expect(self, *, within: float) -> None:
        """From now on it has ``within`` seconds for the job that it works on."""
        self._timer = self._loop.call_later(within, self.kill)

    def kill(self) -> None:
        """End the process now. ``gone`` follows."""
        self._process.kill()

    async def end(self, *, at_once: bool = False) -> None:
        """Close the socket, which tells the process to end, and reap it; kill it if it does not end by itself."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()
        if at_once:
            self._process.kill()
        await asyncio.shield(self._loop.run_in_executor(None, _reap, self._process))
        if self._transport is not None:
            await asyncio.shield(self._lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (frame := take_frame(self._buffer)) is not None:
                self._received(frame)
        except ValueError:
            self.kill()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost.set_result(None)
        self._stop_timer()
        if self._serving:
            self._serving = False
            self._owner.gone(self)
        elif not self._ready.done():
            self._ready.set_exception(HelperDied(f"helper {self.pid} ended before it was ready"))

    def _received(self, frame: Frame) -> None:
        if not self._serving:
            if frame.kind != READY or self._ready.done():
                raise ValueError("the first frame says that the helper is ready")
            self._serving = True
            self._ready.set_result(None)
            return
        self._stop_timer()
        self._owner.answered(self, frame)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _spawn(cost: Cost) -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own file, numbers as arguments
            [
                sys.executable,
                "-P",  # a folder named like a module in the working directory is not imported
                str(Path(hashing_worker.__file__)),
                *(str(number) for number in (theirs.fileno(), cost.memory_kib, cost.time_cost, cost.parallelism)),
            ],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    return ours, process


def _reap(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
