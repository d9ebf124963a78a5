"""The sinks of a running service: a job for each, so that none waits for another. A reload begins and ends those alone
that it changes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

from gateway.jobs import Job, Jobs
from gateway.settings import Settings, Sink
from gateway.sinks.configured import transmitters
from gateway.sinks.deliverer import Deliverer
from gateway.sinks.record import Transmitter
from gateway.sinks.renewed import Renewed
from tenants.database import Database
from tenants.sink_positions import SinkPositions

_INTERVAL = 1.0
_CERTIFICATES_INTERVAL = 2.0
_LAST_RUN = 2.0  # seconds that the end of a process waits for a receiver


@dataclass(frozen=True, slots=True)
class _Running:
    """``made_of`` is all that a reload may change of it."""

    made_of: "_MadeOf"
    deliverer: Deliverer
    jobs: Jobs

    @classmethod
    def start(cls, made_of: "_MadeOf", transmitter: Transmitter, deliverer: Deliverer) -> "_Running":
        name = made_of.sink.name
        jobs = [Job(f"sink {name}", _INTERVAL, deliverer.deliver)]
        if isinstance(transmitter, Renewed):
            jobs.append(Job(f"sink {name} certificates", _CERTIFICATES_INTERVAL, transmitter.look, cut_off=True))
        running = cls(made_of, deliverer, Jobs(jobs, last_run=_LAST_RUN))
        running.jobs.start()
        return running

    async def end(self) -> None:
        """After its batch, or at last without it."""
        await self.jobs.stop()
        await self.deliverer.release()


class _MadeOf(NamedTuple):
    sink: Sink
    secret: SecretStr | None
    public_url: str


class Sinks:
    """Delivers to those of the settings that it took last. Made without any."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._positions = SinkPositions(database)
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """Changes nothing yet, and may be called in a thread; what it answers is for the event loop.

        Raises:
            ConfigError: a sink cannot be made.
        """
        made = [
            (_MadeOf(sink, settings.sink_secrets.get(sink.name), settings.public_url), transmitter)
            for sink, transmitter in transmitters(settings, self._clock)
        ]
        return lambda: self._take(made)

    def _take(self, made: Sequence[tuple[_MadeOf, Transmitter]]) -> None:
        """What has not changed goes on. The others from before end their batch; who comes after one waits for its
        claim.
        """
        before, self._running = self._running, {}
        for made_of, transmitter in made:
            name = made_of.sink.name
            if name in before and before[name].made_of == made_of:
                self._running[name] = before.pop(name)
            else:
                deliverer = Deliverer(made_of.sink, transmitter, self._positions, self._clock)
                self._running[name] = _Running.start(made_of, transmitter, deliverer)
        for one in before.values():
            task = asyncio.create_task(one.end(), name="sink ends")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """End all of them, at once."""
        self._take(())
        await asyncio.gather(*self._ending)


@asynccontextmanager
async def running_sinks(settings: Settings, database: Database, clock: Callable[[], datetime]) -> AsyncIterator[Sinks]:
    """The sinks of these settings, until the end.

    Raises:
        ConfigError: a sink cannot be made.
    """
    sinks = Sinks(database, clock)
    (await asyncio.to_thread(sinks.prepare, settings))()
    try:
        yield sinks
    finally:
        await sinks.stop()
