"""One listener takes so many connections and no more, of one address fewer; the next one finds room as soon as one has
left.
"""

import asyncio
from datetime import timedelta
from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from gateway.cli import descriptors
from gateway.server.configured import HttpProtocols, http_protocol
from gateway.server.limits import ServerLimits
from gateway.server.room import Room
from tests.gateway.server.apps import Recorder
from tests.gateway.server.memory import Clock, MemoryConnection
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


def test_as_many_as_are_configured_unless_there_are_too_few_descriptors() -> None:
    assert descriptors.for_clients(20_000, 15_000) == 15_000
    with pytest.raises(descriptors.TooFewDescriptors, match=r"15000.*1024.*45256"):
        descriptors.for_clients(1024, 15_000)


def from_there(factory: HttpProtocols, listener: ServerState, *peers: str) -> list[bool]:
    """Which of these clients, who come one after the other and stay, are let in."""
    connections = [MemoryConnection(Recorder(), state=listener, factory=factory, peer=(peer, 4711)) for peer in peers]
    return [not connection.transport.aborted for connection in connections]


async def test_an_address_has_room_for_so_many_and_others_come_in_all_the_same() -> None:
    factory = http_protocol(ServerLimits(connections_per_address=2))
    assert from_there(factory, ServerState(), "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1") == [
        *(True, True, False, True, False)
    ]


async def test_a_place_of_an_address_is_free_when_its_connection_has_ended() -> None:
    listener, factory = ServerState(), http_protocol(ServerLimits(connections_per_address=1))
    first = MemoryConnection(Recorder(), state=listener, factory=factory)
    assert from_there(factory, listener, "192.0.2.7") == [False]
    first.transport.abort()
    await asyncio.sleep(0)
    assert from_there(factory, listener, "192.0.2.7") == [True]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
async def test_what_counts_as_one_address(first: str, second: str, *, same: bool) -> None:
    factory = http_protocol(ServerLimits(connections_per_address=1))
    assert from_there(factory, ServerState(), first, second) == [True, not same]


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", "", "/run/proxy.sock", "a:b"])
async def test_trusted_proxies_and_peers_without_an_address_are_not_counted(peer: str) -> None:
    trusted = (ip_network("10.0.0.0/8"),)
    factory = http_protocol(ServerLimits(connections_per_address=1), exempt=trusted)
    assert from_there(factory, ServerState(), peer, peer, peer) == [True, True, True]


async def test_nothing_is_remembered_of_an_address_without_connections() -> None:
    listener, factory = ServerState(), http_protocol(ServerLimits())
    for number in range(200):
        connection = MemoryConnection(Recorder(), state=listener, factory=factory, peer=(f"2001:db8:{number:x}::1", 1))
        connection.transport.abort()
        await asyncio.sleep(0)
    assert factory.room._open == {}


async def test_an_address_that_was_turned_away_is_told_once_with_a_count() -> None:
    factory = http_protocol(ServerLimits(connections_per_address=1))
    from_there(factory, ServerState(), "192.0.2.1", "192.0.2.1", "192.0.2.1")
    with capture_logs() as logs:
        factory.sweeper.sweep()
        factory.sweeper.sweep()
    assert logs == [{"event": "address_turned_away", "log_level": "warning", "count": 2, "address": "192.0.2.1"}]


async def test_a_thousand_slow_clients_end_with_one_look_and_keep_nobody_waiting() -> None:
    clock = Clock()
    factory = http_protocol(ServerLimits(head_time=timedelta(seconds=10)), clock)
    listener = ServerState()
    slow = [
        MemoryConnection(Recorder(), state=listener, factory=factory, peer=(f"192.0.{n // 250}.{n % 250}", 1))
        for n in range(1000)
    ]
    for client in slow:
        client.protocol.data_received(b"GET /x HTTP/1.1\r\nHos")
    timers = len(asyncio.get_running_loop()._scheduled) if hasattr(asyncio.get_running_loop(), "_scheduled") else 1
    assert timers == 1  # one sweeper's, whatever the number of clients
    clock.now += 5
    quick = MemoryConnection(Recorder(), state=listener, factory=factory)
    quick.protocol.data_received(GET)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [answer.status for answer in responses(quick.output)] == [200]  # in two turns of the loop, as alone
    clock.now += 5.1
    factory.sweeper.sweep()
    assert all(client.ended for client in slow)
    assert {answer.status for client in slow for answer in responses(client.output)} == {408}
    assert not quick.ended


def test_who_is_not_counted_can_change() -> None:
    room = Room(ServerLimits(connections_per_address=1), (ip_network("10.0.0.0/8"),))
    assert [room.enter("10.0.0.1", 0), room.enter("10.0.0.1", 1)] == [True, True]
    assert [room.enter("192.0.2.1", 2), room.enter("192.0.2.1", 3)] == [True, False]
    room.trust((ip_network("192.0.2.0/24"),))
    assert [room.enter("10.0.0.1", 3), room.enter("192.0.2.1", 3)] == [False, True]
    for peer in ("10.0.0.1", "10.0.0.1", "192.0.2.1", "192.0.2.1"):
        room.leave(peer)
    assert room.enter("10.0.0.1", 0)
