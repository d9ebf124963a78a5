"""Delivery: at least once, each tenant's events in order, whoever dies or refuses, and a login waits for none of it."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.settings import Settings, from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.deliverer import Deliverer
from gateway.sinks.schedule import next_try
from tenants.audit_erasure import AuditErasure
from tenants.sink_positions import SinkPositions
from tenants.sink_standing import Standing, standing
from tests.gateway.sinks.receiving import Receiver, receiving
from tests.gateway.web_server import answer
from tests.gateway.world import World

OK = answer(b'{"text":"Success","code":0}')
BUSY = answer(b"", status="503 Service Unavailable")


def settings_of(url: str, **options: Any) -> Settings:
    sink = {"name": "siem", "kind": "splunk_hec", "url": url, "start": "beginning", "timeout": "5s", **options}
    secrets = {sink["name"]: "token"}
    values = {"public_url": "https://auth.example.com", "sinks": [sink], "sink_secrets": secrets}
    return from_mapping(values, source="test")


def deliverer(world: World, receiver: Receiver, **options: Any) -> Deliverer:
    """A process's own."""
    ((sink, transmitter),) = transmitters(settings_of(f"http://127.0.0.1:{receiver.port}", **options), world.clock)
    return Deliverer(sink, transmitter, SinkPositions(world.installation.database), world.clock)


async def drained(one: Deliverer) -> None:
    while await one.deliver():
        pass


async def logged(world: World) -> dict[str, list[str]]:
    """Each tenant's whole log, by the ids of its events."""
    log = world.installation.audit_log
    while await log.sequence():
        pass
    tenants = {"acme": world.acme.id, "globex": world.globex.id, "platform": (await world.installation.platform()).id}
    return {
        slug: [json.loads(entry.event or b"")["id"] async for entry in log.export(tenant_id)]
        for slug, tenant_id in tenants.items()
    }


def several(text: str) -> Iterator[dict[str, Any]]:
    """JSON values that stand behind each other, as Splunk takes them."""
    at = 0
    while at < len(text):
        found, at = json.JSONDecoder().raw_decode(text, at)
        yield found


def in_order(came: list[str], wanted: dict[str, list[str]]) -> None:
    """Everything came, the first time in the order of its tenant's log."""
    first = list(dict.fromkeys(came))
    for slug, ids in wanted.items():
        mine = set(ids)
        assert [each for each in first if each in mine] == ids, slug


async def test_everything_comes_in_order_and_once(each_world: World) -> None:
    world = each_world
    for _ in range(3):
        await world.login()
    wanted = await logged(world)
    async with receiving(OK) as receiver:
        one = deliverer(world, receiver)
        await drained(one)
        await world.login()
        wanted = await logged(world)
        await drained(one)
        await one.release()
        await drained(deliverer(world, receiver))  # another process goes on where this one ended
    in_order(receiver.ids, wanted)
    assert len(receiver.ids) == sum(map(len, wanted.values()))


async def test_a_login_is_answered_while_a_receiver_hangs(each_world: World) -> None:
    world = each_world
    await logged(world)
    async with receiving(None) as receiver:
        hangs = asyncio.create_task(deliverer(world, receiver, timeout="2m").deliver())
        await receiver.asked.wait()
        before = await logged(world)
        await world.login()
        after = await logged(world)  # the sequencer does not wait either
        assert not hangs.done()
        assert len(after["acme"]) > len(before["acme"])
        receiver.released.set()
        assert await hangs is False


async def test_who_dies_before_it_is_written_down_sends_again_and_loses_nothing(each_world: World) -> None:
    world = each_world
    wanted = await logged(world)
    async with receiving(OK) as receiver:
        killed = deliverer(world, receiver)
        receiver.says = lambda _: None  # it has read the batch, and the answer never comes
        dies = asyncio.create_task(killed.deliver())
        await receiver.asked.wait()
        dies.cancel()
        await asyncio.wait([dies])
        receiver.says = lambda _: OK
        other = deliverer(world, receiver)
        assert not await other.deliver()  # until the claim is over
        assert len(receiver.requests) == 1
        world.clock.advance(seconds=16)
        await drained(other)
    in_order(receiver.ids, wanted)
    assert len(receiver.requests) == 2


async def test_what_is_refused_is_sent_again_later_and_later(world: World) -> None:
    wanted = await logged(world)
    async with receiving(BUSY) as receiver:
        one = deliverer(world, receiver)
        with capture_logs() as told:
            await one.deliver()
            assert not await one.deliver()
            assert len(receiver.requests) == 1  # not before its time
            world.clock.advance(seconds=1)
            await one.deliver()
            receiver.says = lambda _: OK
            world.clock.advance(seconds=2)
            await drained(one)
    behind = sum(map(len, wanted.values()))
    assert [line for line in told if line["event"].startswith("sink_")] == [
        {"event": "sink_failed", "log_level": "warning", "sink": "siem", "problem": "status_503"}
        | {"failures": failures, "behind": behind}
        for failures in (1, 2)
    ] + [{"event": "sink_recovered", "log_level": "info", "sink": "siem", "failures": 2, "behind": behind - 1}]
    in_order(receiver.ids, wanted)


def bulk(poison: str, status: int) -> Callable[[bytes], bytes]:
    """An index that takes every event but one."""

    def says(body: bytes) -> bytes:
        ids = [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        items = [{"create": {"status": status if each == poison else 201}} for each in ids]
        return answer(json.dumps({"errors": True, "items": items}).encode())

    return says


async def stands(world: World) -> Standing:
    (found,) = await standing(world.installation.database)
    return found


async def test_an_event_that_is_refused_for_now_holds_up_its_tenant_and_no_other(world: World) -> None:
    await world.login()
    await world.login()
    wanted = await logged(world)
    poison = wanted["acme"][1]
    async with receiving(bulk(poison, 429)) as receiver:
        one = deliverer(world, receiver, kind="elasticsearch", index="audit")
        for _ in range(3):
            await one.deliver()
            world.clock.advance(seconds=2)
        found = await stands(world)
        assert (found.problem, found.refused) == ("item_429", 0)
        assert found.failing_since is not None
        assert found.tenants["acme"].next == 1
        assert all(place.next == place.size for slug, place in found.tenants.items() if slug != "acme")
        for _ in range(12):
            world.clock.advance(seconds=300)
            await one.deliver()
        assert (await stands(world)).failures > 10  # later and later, though nothing else goes wrong
        receiver.says = bulk("", 0)
        world.clock.advance(seconds=300)
        await drained(one)
        assert (await stands(world)).failing_since is None
    taken = [each for each in receiver.ids if each != poison]
    in_order(taken, {**wanted, "acme": [each for each in wanted["acme"] if each != poison]})
    assert poison in receiver.ids


async def test_an_event_that_no_index_will_ever_take_is_told_of_and_passed_over(world: World) -> None:
    await world.login()
    wanted = await logged(world)
    poison = wanted["acme"][1]
    async with receiving(bulk(poison, 400)) as receiver:
        one = deliverer(world, receiver, kind="elasticsearch", index="audit")
        with capture_logs() as told:
            await drained(one)
        found = await stands(world)
        assert (found.refused, found.problem, found.failures) == (1, "item_400", 0)
        assert all(place.next == place.size for place in found.tenants.values())
    assert [line for line in told if line["event"].startswith("sink_")] == [
        {"event": "sink_refused", "log_level": "error", "sink": "siem", "problem": "item_400", "count": 1}
        | {"tenant": "acme", "position": 1, "id": poison}
    ]
    assert receiver.ids.count(poison) == 1


async def test_what_was_erased_is_sent_as_what_stands_in_its_place(world: World) -> None:
    await world.login()
    wanted = await logged(world)
    erasure = AuditErasure(world.installation.database, world.clock)
    assert await erasure.erase_subject(world.acme.id, str(world.acme.users["alice"]), actor="test")
    async with receiving(OK) as receiver:
        await drained(deliverer(world, receiver, tenants=["acme"]))
    in_order(receiver.ids, {"acme": wanted["acme"]})
    events = [told["event"] for _, _, body in receiver.requests for told in several(body.decode())]
    stubs = [event for event in events if event.get("erased")]
    leaves = {entry.position: entry async for entry in world.installation.audit_log.export(world.acme.id)}
    assert stubs
    for stub in stubs:
        assert stub.keys() == {"id", "tenant_id", "time", "type", "erased", "leaf", "tenant", "position"}
        assert leaves[stub["position"]].event is None
        assert base64.b64decode(stub["leaf"]) == leaves[stub["position"]].leaf


async def test_a_checkpoint_follows_and_an_auditor_holds_it(world: World) -> None:
    await world.login()
    wanted = await logged(world)
    while await world.installation.audit_tree.grow():
        pass
    async with receiving(OK) as receiver:
        one = deliverer(world, receiver, tenants=["acme"], checkpoint_interval="1m")
        await drained(one)
        await drained(one)
    *events, told = [told["event"] for _, _, body in receiver.requests for told in several(body.decode())]
    assert [event["id"] for event in events] == wanted["acme"]
    key = await world.installation.audit_tree.verifier(world.acme.id)
    assert key is not None
    checkpoint = key.opened(told["note"])
    assert told == {
        "id": hashlib.sha256(told["note"].encode()).hexdigest(),
        "tenant_id": str(world.acme.id),
        "time": world.clock().isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "type": "audit.checkpoint",
        "origin": checkpoint.origin,
        "size": len(events),
        "root": base64.b64encode(checkpoint.root).decode(),
        "note": told["note"],
        "tenant": "acme",
    }


async def test_who_wants_some_types_has_a_checkpoint_only_where_it_is_named(world: World) -> None:
    await world.login()
    await logged(world)
    while await world.installation.audit_tree.grow():
        pass
    for types, has in ((["login.*"], False), (["login.*", "audit.checkpoint"], True)):
        async with receiving(OK) as receiver:
            await drained(deliverer(world, receiver, name=f"s{has}", types=types))
        bodies = b"".join(body for _, _, body in receiver.requests)
        assert (b'"audit.checkpoint"' in bodies) is has


async def test_types_and_tenants_that_are_not_wanted_are_passed_over(world: World) -> None:
    await world.login()
    await logged(world)
    async with receiving(OK) as receiver:
        await drained(deliverer(world, receiver, tenants=["acme"], types=["login.*", "user.created"]))
        await drained(deliverer(world, receiver, tenants=["acme"], types=["login.*", "user.created"]))
    events = [told["event"] for _, _, body in receiver.requests for told in several(body.decode())]
    assert {event["type"] for event in events} == {"login.succeeded"}
    assert {event["tenant"] for event in events} == {"acme"}
    place = (await stands(world)).tenants["acme"]
    assert place.next == place.size


async def test_the_form_is_the_one_that_was_asked_for(world: World, tmp_path: Path) -> None:
    await world.login()
    await logged(world)
    path = tmp_path / "audit.jsonl"
    values = {
        "public_url": "https://auth.example.com",
        "sinks": [{"name": "f", "kind": "file", "path": path, "format": "ocsf", "start": "beginning"}],
    }
    ((sink, transmitter),) = transmitters(from_mapping(values, source="test"), world.clock)
    await drained(Deliverer(sink, transmitter, SinkPositions(world.installation.database), world.clock))
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    logons = [line for line in lines if line["metadata"]["event_code"] == "login.succeeded"]
    assert [(line["class_uid"], line["type_uid"], line["status"]) for line in logons] == [(3002, 300201, "Success")]


@pytest.mark.parametrize(
    ("failures", "luck", "seconds"), [(1, 0, 1), (1, 1, 0.5), (4, 0, 8), (9, 0, 256), (10, 0, 300), (10_000, 0, 300)]
)
def test_pauses_double_up_to_five_minutes(failures: int, luck: float, seconds: float) -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    assert next_try(failures, now, luck) - now == timedelta(seconds=seconds)
