"""One listener takes so many connections and no more; the next one finds room as soon as one has left."""

import asyncio

from structlog.testing import capture_logs
from uvicorn.server import ServerState

from gateway.cli import descriptors
from gateway.server.limits import ServerLimits
from tests.gateway.server.apps import Recorder
from tests.gateway.server.memory import MemoryConnection
from tests.gateway.server.wire import responses

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_connection_too_many_is_closed_unheard_and_the_others_go_on() -> None:
    listener, limits = ServerState(), ServerLimits(connections=2)
    first, second = (MemoryConnection(Recorder(), limits, listener) for _ in range(2))

    third = MemoryConnection(Recorder(), limits, listener)
    await asyncio.sleep(0)
    assert third.transport.aborted
    assert third.output == b""
    assert len(listener.connections) == 2

    await first.send(GET)
    assert [answer.status for answer in responses(first.output)] == [200]

    second.transport.abort()
    await asyncio.sleep(0)
    fourth = MemoryConnection(Recorder(), limits, listener)
    await fourth.send(GET)
    assert [answer.status for answer in responses(fourth.output)] == [200]


async def test_what_was_turned_away_is_told_once_with_a_count() -> None:
    listener, limits = ServerState(), ServerLimits(connections=0)
    connection = MemoryConnection(Recorder(), limits, listener)
    with capture_logs() as logs:
        connection.factory.sweeper.sweep()
        connection.factory.sweeper.sweep()
    assert [(entry["event"], entry["count"]) for entry in logs] == [("connections_turned_away", 1)]


def test_clients_take_a_third_of_the_descriptors_that_nothing_else_needs() -> None:
    assert descriptors.for_clients(1024) == 256
    assert descriptors.for_clients(1_000_000) == 10_000
    assert descriptors.for_clients(200) == 32
