"""What a wire keeps for the end of the turn keeps its place, and never outlives the connection."""

import asyncio

from gateway.server.limits import ServerLimits
from gateway.server.wire import Wire
from gateway.write_batch import WriteBatch
from tests.gateway.server.apps import body, sending, start
from tests.gateway.server.memory import Clock, MemoryConnection, MemoryTransport


def made() -> tuple[Wire, MemoryTransport]:
    """A wire of a connection on which nothing has happened."""
    transport = MemoryConnection(sending(start(), body(b"ok"))).transport
    return Wire(transport, ServerLimits(), Clock(), lambda: None, WriteBatch()), transport


async def turn() -> None:
    await asyncio.sleep(0)


async def test_the_end_of_a_response_leaves_with_the_turn_in_one_write() -> None:
    wire, transport = made()
    wire.write_soon(b"a")
    wire.write_soon(b"b")
    assert transport.writes == []
    await turn()
    assert transport.writes == [b"ab"]


async def test_what_is_written_at_once_does_not_overtake() -> None:
    wire, transport = made()
    wire.write_soon(b"a")
    wire.write(b"b")
    await turn()
    assert bytes(transport.taken) == b"ab"


async def test_closing_and_lingering_write_it_first() -> None:
    for end in (Wire.close, Wire.linger):
        wire, transport = made()
        wire.write_soon(b"a")
        end(wire)
        assert transport.writes == [b"a"]
        await turn()
        assert transport.writes == [b"a"]


async def test_an_aborted_connection_gets_nothing_more() -> None:
    wire, transport = made()
    wire.write_soon(b"a")
    wire.abort()
    await turn()
    assert transport.writes == []


async def test_a_connection_that_was_lost_meanwhile_gets_nothing_more() -> None:
    wire, transport = made()
    wire.write_soon(b"a")
    transport.close()
    await turn()
    assert transport.writes == []
