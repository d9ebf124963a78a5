"""The sinks of a running service: a job for each, so that none waits for another, and others after a reload."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from gateway.jobs import Job, Jobs
from gateway.settings import Settings, Sink
from gateway.sinks.configured import transmitters
from gateway.sinks.deliverer import Deliverer
from gateway.sinks.record import Transmitter
from tenants.database import Database
from tenants.sink_positions import SinkPositions

_INTERVAL = 1.0
_LAST_RUN = 2.0  # seconds that the end of a process waits for a receiver


@dataclass(frozen=True, slots=True)
class _Running:
    deliverer: Deliverer
    jobs: Jobs

    @classmethod
    def start(cls, deliverer: Deliverer, name: str) -> "_Running":
        jobs = Jobs([Job(f"sink {name}", _INTERVAL, deliverer.deliver)], last_run=_LAST_RUN)
        jobs.start()
        return cls(deliverer, jobs)

    async def end(self) -> None:
        """After its batch, or at last without it."""
        await self.jobs.stop()
        await self.deliverer.release()


class Sinks:
    """Delivers to those of the settings that it took last. Made without any."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._positions = SinkPositions(database)
        self._clock = clock
        self._running: list[_Running] = []
        self._ending: set[asyncio.Task[None]] = set()

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """Changes nothing yet, and may be called in a thread; what it answers is for the event loop.

        Raises:
            ConfigError: a sink cannot be made.
        """
        made = transmitters(settings, self._clock)
        return lambda: self._take(made)

    def _take(self, made: Sequence[tuple[Sink, Transmitter]]) -> None:
        """Those from before end their batch; who comes after one waits for its claim."""
        for one in self._running:
            task = asyncio.create_task(one.end(), name="sink ends")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._running = [
            _Running.start(Deliverer(sink, transmitter, self._positions, self._clock), sink.name)
            for sink, transmitter in made
        ]

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
