"""Targets by name: looked up in the background, all addresses used, judged after each look-up, the last good kept."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest

from gateway.name_lookup import LookUpsBusy
from gateway.proxy.names import LookUpsInTurn
from gateway.proxy.pool import UpstreamPool
from gateway.proxy.upstream import Upstream
from gateway.settings.upstream_address import may_connect
from tests.gateway.proxy.harness import OK, Peer, ScriptedUpstream, World, eventually, polite, request
from tests.gateway.proxy.test_upstream_faults import problem_of


class Dns:
    """Says what it is told to, and counts."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses
        self.error: Exception | None = None
        self.asked: list[tuple[str, int]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.addresses


def named(dns: Dns, port: int = 8000, **options: object) -> World:
    return World(targets=(f"http://orders.internal:{port}",), resolve=dns.resolve, **options)


def addresses(made: World) -> list[str]:
    return [endpoint.address for endpoint in made.pool.endpoints.all]


async def test_a_name_is_looked_up_once_for_many_requests_and_its_address_is_connected_to() -> None:
    dns = Dns("127.0.0.1")
    async with ScriptedUpstream(polite).running() as upstream:
        made = named(dns, upstream.port)
        asked = [made.ask(request()) for _ in range(20)]
        assert {client.status for client in await asyncio.gather(*asked)} == {200}
        assert dns.asked == [("orders.internal", upstream.port)]
        made.pool.close()


async def test_every_address_is_a_target() -> None:
    dns = Dns("10.0.0.2", "10.0.0.1", "10.0.0.2", "2001:db8::1")
    made = named(dns)
    await made.pool.look_up()
    assert addresses(made) == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
    assert made.pool.endpoints.all[2].label == "[2001:db8::1]:8000"


async def test_what_is_looked_up_again_replaces_what_was_and_closes_what_waits_there() -> None:
    dns = Dns("127.0.0.1")
    async with ScriptedUpstream(polite).running() as upstream:
        made = named(dns, upstream.port)
        await made.ask(request())
        assert len(made.pool) == 1
        dns.addresses = ("127.0.0.2",)
        await made.pool.look_up()
        assert len(made.pool) == 0
        await eventually(upstream.peers[0].gone.is_set)
        assert addresses(made) == ["127.0.0.2"]
        made.pool.close()


async def test_an_exchange_at_an_address_that_goes_ends_first() -> None:
    dns, go = Dns("127.0.0.1"), asyncio.Event()

    async def waits(peer: Peer) -> None:
        await peer.request()
        await go.wait()
        await peer.send(OK)
        await peer.until_gone()

    async with ScriptedUpstream(waits).running() as upstream:
        made = named(dns, upstream.port)
        asked = made.begin(request())
        await eventually(lambda: upstream.heads)
        dns.addresses = ("127.0.0.2",)
        await made.pool.look_up()
        go.set()
        assert (await asked).status == 200
        assert len(made.pool) == 0


@pytest.mark.parametrize(
    "error", [socket.gaierror(socket.EAI_AGAIN, "later"), TimeoutError(), LookUpsBusy()], ids=["later", "time", "busy"]
)
async def test_a_failed_look_up_keeps_the_last_good_one(error: Exception) -> None:
    dns = Dns("10.0.0.1")
    made = named(dns)
    await made.pool.look_up()
    dns.error = error
    await made.pool.look_up()
    assert addresses(made) == ["10.0.0.1"]


async def test_requests_that_find_no_address_do_not_ask_one_after_the_other() -> None:
    dns = Dns()
    dns.error = socket.gaierror(socket.EAI_NONAME, "no such name")
    made = named(dns)
    clients = await asyncio.gather(*(made.ask(request()) for _ in range(50)))
    assert {problem_of(client) for client in clients} == {(502, "upstream_unreachable")}
    assert len(dns.asked) == 1


async def test_a_request_waits_no_longer_than_connect_timeout_for_the_first_look_up() -> None:
    dns = Dns("127.0.0.1")
    dns.gate.clear()
    made = named(dns, connect_timeout=timedelta(milliseconds=20))
    assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
    dns.gate.set()


async def test_a_name_that_leads_elsewhere_is_not_connected_to() -> None:
    dns = Dns("127.0.0.1", "127.0.0.9")
    async with ScriptedUpstream(polite).running() as upstream:
        made = named(dns, upstream.port, networks=(ip_network("10.0.0.0/8"),))
        assert problem_of(await made.ask(request())) == (502, "upstream_unreachable")
        assert not upstream.peers
        dns.addresses = ("10.0.0.1", "127.0.0.1")
        await made.pool.look_up()
        assert addresses(made) == ["10.0.0.1"]
        dns.addresses = (
            "127.0.0.1",
        )  # it was found, and leads nowhere that is allowed: the old address is not its own
        await made.pool.look_up()
        assert addresses(made) == []


async def test_a_client_that_leaves_takes_no_look_up_with_it() -> None:
    dns = Dns("127.0.0.1")
    dns.gate.clear()
    async with ScriptedUpstream(polite).running() as upstream:
        made = named(dns, upstream.port)
        for _ in range(20):
            client = request()
            asked = made.begin(client)
            await eventually(lambda: dns.asked)
            client.leave()
            await asked
        assert len(dns.asked) == 1
        waiting = made.begin(request())
        dns.gate.set()
        assert (await waiting).status == 200
        assert len(dns.asked) == 1
        made.pool.close()


async def test_names_are_looked_up_at_the_same_time_and_requests_go_on_with_the_first() -> None:
    dead = asyncio.Event()

    async def resolve(host: str, _: int) -> list[str]:
        if host == "dead.internal":
            await dead.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "later")
        return ["127.0.0.1"]

    async with ScriptedUpstream(polite).running() as upstream:
        names = tuple(f"http://{name}.internal:{upstream.port}" for name in ("dead", "fine"))
        made = World(targets=names, resolve=resolve)
        assert (await made.ask(request())).status == 200
        job = asyncio.create_task(made.pool.look_up())
        assert (await made.ask(request())).status == 200
        assert not job.done()
        dead.set()
        await job
        made.pool.close()


async def test_a_pool_that_closes_waits_for_no_name() -> None:
    dns = Dns("127.0.0.1")
    dns.gate.clear()
    made = named(dns, connect_timeout=timedelta(seconds=60))
    asked = made.begin(request())
    await eventually(lambda: dns.asked)
    made.pool.close()
    assert problem_of(await asked) == (502, "upstream_unreachable")


NEVER = [
    "169.254.169.254",
    "169.254.1.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "fe80::1%lo",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:7::169.254.169.254",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
]


@pytest.mark.parametrize("address", NEVER)
async def test_metadata_and_the_like_are_never_connected_to_by_name(address: str) -> None:
    made = named(Dns(address))
    await made.pool.look_up()
    assert addresses(made) == []
    everything = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert not may_connect(ip_address(address), everything)


@pytest.mark.parametrize("address", NEVER)
def test_unless_they_are_listed(address: str) -> None:
    listed = tuple(map(ip_network, ("169.254.0.0/16", "fe80::/64", "fd00:ec2::/64", "100.100.100.200", "192.0.0.192")))
    listed += tuple(map(ip_network, ("168.63.129.16", "0.0.0.0", "::", "224.0.0.1", "ff02::/16", "255.255.255.255")))
    listed += tuple(map(ip_network, ("::a9fe:0/112", "::ffff:0:a9fe:0/112", "2002:a9fe::/32", "64:ff9b:1::/48")))
    assert may_connect(ip_address(address), listed)


PRIVATE = ["10.0.0.1", "127.0.0.1", "::1", "192.168.1.1", "8.8.8.8", "fd12::1", "172.17.0.1"]
TRANSLATED = ["64:ff9b:1::10.0.0.1", "2002:a00:1::1", "::10.0.0.1"]


@pytest.mark.parametrize("address", PRIVATE + TRANSLATED)
def test_other_private_addresses_are_the_operator_s_own_choice(address: str) -> None:
    assert may_connect(ip_address(address), ())


def test_a_target_at_such_an_address_is_no_upstream() -> None:
    with pytest.raises(ValueError, match=r"169\.254\.169\.254"):
        UpstreamPool(Upstream("orders", ("http://169.254.169.254",)))


async def test_many_look_ups_wait_for_each_other() -> None:
    look_ups = LookUpsInTurn()
    found = await asyncio.gather(*(look_ups.resolve("127.0.0.1", 80) for _ in range(50)))
    assert {tuple(each) for each in found} == {("127.0.0.1",)}
