"""A running service takes another configuration: at once, whole, without harm to what is under way, without a trace."""

import asyncio
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.app import running
from gateway.installation import open_installation
from gateway.live import Live, Service
from gateway.own_hosts import collisions
from gateway.server.tls import NAMES
from gateway.settings import ConfigError, Settings, change, from_mapping
from tenants import migrate
from tenants.sealing import MasterKey, MasterKeys
from tenants.snapshot import TenantFacts
from tests.gateway.proxy.harness import (
    Client,
    Peer,
    ScriptedUpstream,
    eventually,
    polite,
    request,
)

RELOADS = 1_000 if os.environ.get("YETT_TEST_SOAK") else 60
HOST = "api.example.com"


def values(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "public_url": "http://localhost:8080",
        "api_hosts": [HOST],
        "hashing": {"memory": "7MiB", "iterations": 5, "helpers": 1},
        "upstreams": {
            "orders": {"targets": [f"http://127.0.0.1:{port}"], "audience": "https://api.example.com/orders"}
        },
        "routes": [{"name": "public", "match": {"path": "/public/**"}, "require": "anonymous", "upstream": "orders"}],
        **changes,
    }


class Reloadable:
    """A running service, and what a file would say of it."""

    def __init__(self, service: Service, folder: Path, port: int) -> None:
        self.service, self.folder, self.port = service, folder, port

    def settings(self, **changes: Any) -> Settings:
        return from_mapping(values(self.port, data_dir=str(self.folder), **changes), source="test")

    def take(self, **changes: Any) -> None:
        """As the reloader does it."""
        live = self.service.live
        live.prepare(change(live.settings, self.settings(**changes), source="test").settings)()

    async def ask(self, path: str = "/public/x", *headers: tuple[str, str], **more: Any) -> Client:
        client = request("GET", path, *headers, token=None, **more)
        await self.service.public(client.scope, client.receive, client.send)
        return client


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(polite).running() as one:
        yield one


@pytest.fixture
async def house(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncIterator[Reloadable]:
    MasterKeys.create(tmp_path / "master.key")
    settings = from_mapping(values(upstream.port, data_dir=str(tmp_path)), source="test")
    await migrate.upgrade(settings.database_url.get_secret_value())
    async with open_installation(settings) as installation, running(installation) as service:
        yield Reloadable(service, tmp_path, upstream.port)


async def test_a_route_that_is_closed_is_closed_for_the_next_request(house: Reloadable) -> None:
    assert (await house.ask()).status == 200
    house.take(routes=[])
    assert (await house.ask()).status == 404


async def test_an_upstream_that_stays_as_it_is_keeps_its_connections(
    house: Reloadable, upstream: ScriptedUpstream
) -> None:
    await house.ask()
    before = house.service.live.plane.config.upstreams["orders"]
    house.take(revocation_staleness="30s", routes=[{**values(0)["routes"][0], "name": "renamed"}])
    assert house.service.live.plane.config.upstreams["orders"] is before
    await house.ask()
    assert len(upstream.peers) == 1


async def test_one_that_changes_begins_anew_and_the_former_one_is_closed(
    house: Reloadable, upstream: ScriptedUpstream
) -> None:
    await house.ask()
    before = house.service.live.plane.config.upstreams["orders"]
    changed = {**values(house.port)["upstreams"]["orders"], "read_timeout": "7s"}
    house.take(upstreams={"orders": changed})
    assert house.service.live.plane.config.upstreams["orders"] is not before
    await eventually(lambda: upstream.peers[0].gone.is_set())
    assert len(before) == 0
    assert (await house.ask()).status == 200


async def test_a_request_under_way_ends_under_the_configuration_that_it_began_with(
    house: Reloadable,
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await go.wait()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        await peer.until_gone()

    async with ScriptedUpstream(slow).running() as other:
        house.take(upstreams={"orders": {"targets": [f"http://127.0.0.1:{other.port}"], "audience": "urn:x"}})
        pool = house.service.live.plane.config.upstreams["orders"]
        under_way = asyncio.create_task(house.ask())
        await asked.wait()
        house.take(upstreams={}, routes=[])
        assert (await house.ask()).status == 404
        assert len(pool) == 1
        streams = house.service.live.plane.streams
        await eventually(lambda: len(streams) == 1)  # it has waited for so long
        streams.sweep()
        go.set()
        assert ((await under_way).status, (await under_way).body) == (200, b"done")
        await eventually(lambda: other.peers[0].gone.is_set())
        await eventually(lambda: len(pool) == 0)


async def test_hosts_proxies_pages_limits_and_log_are_taken(house: Reloadable, capsys: Any) -> None:
    async def status(host: str, *headers: tuple[str, str]) -> int | None:
        return (await house.ask("/public/x", *headers, host=host)).status

    assert (await status("api.example.com"), await status("other.example.com")) == (200, 421)
    house.take(api_hosts=["other.example.com"])
    assert (await status("api.example.com"), await status("other.example.com")) == (421, 200)
    house.take(cors={"origins": ["https://app.example.com"]}, trusted_proxies=["192.0.2.0/24"])
    answer = await house.ask("/public/x", ("origin", "https://app.example.com"), ("x-forwarded-for", "203.0.113.9"))
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert b"x-forwarded-for: 203.0.113.9, 192.0.2.7" in (await seen(house))[-1]
    house.take(limits={"management": "1/minute", "pages": "1/minute"})
    management = [await managed(house) for _ in range(2)]
    assert management == [404, 429]


async def seen(house: Reloadable) -> list[bytes]:
    """What the upstream was sent for one more request with a forwarded address."""
    heads: list[bytes] = []

    async def noting(peer: Peer) -> None:
        while True:
            heads.append(await peer.request())
            await peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with ScriptedUpstream(noting).running() as other:
        house.take(
            upstreams={"orders": {"targets": [f"http://127.0.0.1:{other.port}"], "audience": "urn:x"}},
            trusted_proxies=["192.0.2.0/24"],
        )
        await house.ask("/public/x", ("x-forwarded-for", "203.0.113.9"))
        house.take(upstreams={}, routes=[])
    return heads


async def managed(house: Reloadable) -> int | None:
    client = request("GET", "/nothing", token=None, host="localhost:8081")
    await house.service.management(client.scope, client.receive, client.send)
    return client.status


async def test_proxies_and_hsts_are_taken_before_the_edge_where_it_has_certificates(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    MasterKeys.create(tmp_path / "master.key")
    files = {"certificate_file": "not-read-here.pem", "key_file": "not-read-here.key"}

    def with_tls(hsts: str, **more: Any) -> Settings:
        found = values(upstream.port, data_dir=str(tmp_path), public_url="https://localhost:8443", **more)
        return from_mapping({**found, "tls": {"certificates": [files], "hsts": hsts}}, source="test")

    await migrate.upgrade(with_tls("1d").database_url.get_secret_value())
    async with open_installation(with_tls("1d")) as installation, running(installation) as service:

        async def ask(host: str) -> Client:
            client = request("GET", "/public/x", token=None, host=host)
            scope = {**client.scope, "state": {NAMES: frozenset({HOST})}}
            await service.public(scope, client.receive, client.send)
            return client

        assert (await ask(HOST)).headers["strict-transport-security"] == "max-age=86400"
        house = Reloadable(service, tmp_path, upstream.port)
        live = house.service.live
        wanted = with_tls("2d", trusted_proxies=["192.0.2.0/24"], api_hosts=[HOST, "other.example.com"])
        assert (await ask("other.example.com")).status == 421
        live.prepare(change(live.settings, wanted, source="test").settings)()
        assert (await ask(HOST)).headers["strict-transport-security"] == "max-age=172800"
        assert (await ask("other.example.com")).status == 200  # what a proxy asks for has the proxy's certificate


async def test_the_bound_of_staleness_is_taken(house: Reloadable) -> None:
    silent = 5.0
    staleness = house.service.live.staleness
    staleness._silent_for = lambda: silent
    house.take(revocation_staleness="5s")
    assert staleness.feed_fresh()
    house.take(revocation_staleness="4s")
    assert not staleness.feed_fresh()


async def test_the_access_log_begins_moves_and_ends_with_the_configuration(house: Reloadable, tmp_path: Path) -> None:
    def paths(name: str) -> list[str]:
        return [json.loads(line)["path"] for line in (tmp_path / name).read_text().splitlines()]

    await house.ask("/public/before")
    for name in ("one", "two"):
        house.take(access_log={"file": str(tmp_path / name)})
        await house.ask(f"/public/{name}")
        await eventually(lambda name=name: (tmp_path / name).exists() and paths(name))
    house.take()
    await house.ask("/public/after")
    house.take(access_log={"file": str(tmp_path / "two")})
    await house.ask("/public/again")
    await eventually(lambda: len(paths("two")) == 2)
    assert (paths("one"), paths("two")) == (["/public/one"], ["/public/two", "/public/again"])


async def test_an_access_log_that_cannot_be_opened_is_a_problem_and_the_one_in_use_goes_on(
    house: Reloadable, tmp_path: Path
) -> None:
    house.take(access_log={"file": str(tmp_path / "log")})
    with pytest.raises(ConfigError) as raised:
        house.take(access_log={"file": str(tmp_path / "nowhere" / "log")}, routes=[])
    assert [problem.field for problem in raised.value.problems] == ["access_log.file"]
    assert (await house.ask()).status == 200
    await eventually((tmp_path / "log").read_text)
    (tmp_path / "log").unlink()
    (tmp_path / "log").mkdir()
    with capture_logs() as told:
        house.take(access_log={"file": str(tmp_path / "log")}, routes=[])
    assert [line["event"] for line in told] == ["access_log_not_reopened"]
    assert (await house.ask()).status == 404


async def test_another_ring_of_master_keys_is_taken_if_it_opens_what_was_sealed(
    house: Reloadable, tmp_path: Path
) -> None:
    file, ring = tmp_path / "master.key", house.service.live.master_keys
    old, new = ring.active_id, MasterKey.random()
    before = file.read_text(encoding="ascii")
    file.write_text(before + new.line(), encoding="ascii")
    with capture_logs() as told:
        house.take()
    assert [line["ids"] for line in told if line["event"] == "master_keys_changed"] == [[old, new.id]]
    for text in (new.line(), "", f"{old} {'A' * 43}\n"):
        file.write_text(text, encoding="ascii")
        with pytest.raises(ConfigError) as raised:
            house.take(routes=[])
        assert [problem.field for problem in raised.value.problems] == ["master_key_file"]
    assert ring.ids == (old, new.id)
    assert (await house.ask()).status == 200
    for text, ids in ((new.line() + before, (new.id, old)), (new.line(), (new.id,))):
        file.write_text(text, encoding="ascii")
        house.take()
        assert ring.ids == ids


async def test_an_access_log_that_cannot_be_opened_stops_start_up(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    MasterKeys.create(tmp_path / "master.key")
    log = {"file": str(tmp_path / "nowhere" / "log")}
    settings = from_mapping(values(upstream.port, data_dir=str(tmp_path), access_log=log), source="test")
    await migrate.upgrade(settings.database_url.get_secret_value())
    with pytest.raises(ConfigError, match=r"access_log\.file: cannot be opened"):
        async with open_installation(settings) as installation, running(installation):
            raise AssertionError("it must not start")


async def test_every_observation_has_the_digest_of_the_configuration_that_decided(house: Reloadable) -> None:
    told: list[str | None] = []
    house.service.live.plane._observe = lambda observation: told.append(observation.config)
    await house.ask("/nothing")
    house.take(routes=[])
    await house.ask("/nothing")
    assert told == [house.settings().digest, house.settings(routes=[]).digest]


async def test_what_goes_on_is_not_ended_by_a_configuration_that_has_its_route_still(house: Reloadable) -> None:
    """Routes are compiled anew each time, so they are compared by what they are."""
    gate = asyncio.Event()

    async def events(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await gate.wait()
        await peer.send(b"2\r\nok\r\n0\r\n\r\n")
        await peer.until_gone()

    async with ScriptedUpstream(events).running() as other:
        whole: dict[str, Any] = {
            "upstreams": {"orders": {"targets": [f"http://127.0.0.1:{other.port}"], "audience": "urn:x"}},
            "routes": [
                {
                    **values(0)["routes"][0],
                    "limit": {"per": "address", "rate": "60/minute"},
                    "rewrite": "/v1/{rest}",
                    "match": {"path": "/public/{rest}"},
                    "cors": {"origins": ["https://app.example.com", "http://localhost:*"]},
                    "body": "1MiB",
                }
            ],
        }
        house.take(**whole)
        streams = house.service.live.plane.streams
        under_way = asyncio.create_task(house.ask())
        await eventually(lambda: len(streams) == 1)
        streams.sweep()
        changed = {**whole["upstreams"]["orders"], "read_timeout": "7s"}
        house.take(**whole, trusted_proxies=["10.0.0.0/8"])
        streams.sweep()
        house.take(**{**whole, "upstreams": {"orders": changed}})
        streams.sweep()
        assert not under_way.done()
        gate.set()
        assert (await under_way).body == b"ok"


async def test_a_file_that_is_opened_anew_beside_a_reload_undoes_nothing_of_it(
    house: Reloadable, tmp_path: Path
) -> None:
    house.take(access_log={"file": str(tmp_path / "one")})
    log = house.service.live.access_log
    anew = asyncio.create_task(log.reopen())
    await asyncio.sleep(0)  # a thread opens the file of that moment
    house.take(access_log={"file": str(tmp_path / "two")})
    await anew
    await house.ask("/public/x")
    await eventually((tmp_path / "two").read_text)
    assert (tmp_path / "one").read_text() == ""


async def test_a_log_that_is_off_holds_on_to_no_file(house: Reloadable, tmp_path: Path) -> None:
    path = tmp_path / "log"
    house.take(access_log={"file": str(path)})
    await house.ask()
    await eventually(path.read_text)

    def held() -> bool:
        return any(os.path.realpath(f"/proc/self/fd/{number}") == str(path) for number in os.listdir("/proc/self/fd"))

    assert held()
    house.take()
    await eventually(lambda: not held())


def calls_of(function: Callable[[], object]) -> int:
    """How many functions, Python's and C's, it calls."""
    count = 0

    def count_calls(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(count_calls)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


async def test_while_all_requests_wait_nothing_is_done_for_each_route_and_little_for_each_tenant(
    house: Reloadable,
) -> None:
    """All of that was made ready before; what is left for the event loop are assignments."""
    live = house.service.live

    def taking(size: int) -> int:
        upstream = {"targets": [f"http://127.0.0.1:{house.port}"], "audience": "https://api.example.com/orders"}
        wanted = house.settings(
            upstreams={f"u{number}": upstream for number in range(3)},
            api_hosts=[HOST, *(f"a{number}.example.com" for number in range(size))],
            routes=[
                {
                    "name": f"r{number}",
                    "match": {"path": f"/r{number}/**"},
                    "require": {"scopes": [f"s{number}"]},
                    "upstream": f"u{number % 3}",
                }
                for number in range(size)
            ],
        )
        return calls_of(live.prepare(wanted))

    taking(10)  # the pools are there
    few, many = taking(10), taking(200)
    assert many <= few + 5 * 190  # a host's name is put into its sets, and that is all
    collected = calls_of(lambda: list(collisions(tenants_like(live, 200), live.settings)))
    assert collected - calls_of(lambda: list(collisions(tenants_like(live, 100), live.settings))) <= 100 * 10


def tenants_like(live: Live, count: int) -> list[TenantFacts]:
    (some, *_) = live.snapshot.all()
    return [some] * count


@pytest.mark.soak
async def test_reloads_leave_nothing_behind(house: Reloadable) -> None:
    """Objects of ours are counted, after reloads that change routes and upstreams and are used once each."""

    async def reload(turn: int) -> None:
        audience = f"https://api.example.com/{turn}"
        target = f"http://127.0.0.1:{house.port}"
        routes = [{"name": f"r{turn}", "match": {"path": f"/p{turn}/**"}, "require": "anonymous", "upstream": "orders"}]
        house.take(upstreams={"orders": {"targets": [target], "audience": audience}}, routes=routes)
        assert (await house.ask(f"/p{turn}/x")).status == 200

    def alive() -> Counter[str]:
        gc.collect()
        kinds = (type(found) for found in gc.get_objects())
        return Counter(
            kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(("gateway.", "policies."))
        )

    pools = alive()["UpstreamPool"]  # ours, and what a test before this one may hold on to still

    def settled() -> bool:
        """The last timers of closed pools have run."""
        return alive()["UpstreamPool"] <= pools

    for turn in range(5):
        await reload(turn)
    await eventually(settled, within=60)  # each look goes through every object that there is
    before = alive()
    for turn in range(5, RELOADS):
        await reload(turn)

    def grown() -> dict[str, tuple[int, int]]:
        return {name: (count, before[name]) for name, count in alive().items() if count > before[name]}

    with suppress(TimeoutError):  # a thread or a task may hold on to the last settings but one for a moment
        await eventually(lambda: not grown(), within=60)
    assert grown() == {}


def sink_jobs() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task.get_name().startswith("job sink")}


async def test_sinks_begin_change_and_end_with_the_file(house: Reloadable) -> None:
    def sink(name: str) -> dict[str, Any]:
        return {"name": name, "kind": "file", "path": str(house.folder / name), "start": "beginning"}

    async def has(name: str) -> None:
        async with asyncio.timeout(20):
            while not (house.folder / name).exists():  # noqa: ASYNC110 - a file, for which nothing can be awaited
                await asyncio.sleep(0.01)

    house.take(sinks=[sink("first")])
    await has("first")
    (first,) = sink_jobs()
    house.take(sinks=[sink("second"), sink("first")])
    await has("second")
    assert first in sink_jobs()  # it has not changed, so nobody disturbs it
    house.take(sinks=[sink("second")])
    assert house.service.live.settings.sinks[0].name == "second"
    with pytest.raises(ConfigError, match=r"there is no type of audit event nothing\.such"):
        house.take(sinks=[sink("second") | {"types": ["nothing.such"]}])
    house.take()
    async with asyncio.timeout(20):
        while sink_jobs():  # noqa: ASYNC110 - a task of theirs
            await asyncio.sleep(0.01)
