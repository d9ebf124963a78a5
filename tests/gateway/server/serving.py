"""A process that serves the recorder on two listeners until it is told to stop, and prints what happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import uvloop

from gateway.server.run import Bound, Listener, serve
from tests.gateway.server.apps import Recorder


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    say("entered")
    yield
    await asyncio.sleep(0)
    say("left")


def ready(addresses: Sequence[Bound]) -> None:
    for address in addresses:
        say(address.name, address.host, address.port)


if __name__ == "__main__":
    app = Recorder()
    listeners = [Listener("public", app), Listener("management", app)]
    uvloop.run(serve(listeners, lifespan=lifespan, drain=timedelta(seconds=20), on_ready=ready))
    say("returned")
