"""Delivery: at least once, each tenant's events in order, whoever dies or refuses, and a login waits for none of it."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.settings import Settings, from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.deliverer import Deliverer
from gateway.sinks.schedule import next_try
from tenants.sink_positions import SinkPositions
from tests.gateway.sinks.receiving import Receiver, receiving
from tests.gateway.web_server import answer
from tests.gateway.world import World

OK = answer(b'{"text":"Success","code":0}')
BUSY = answer(b"", status="503 Service Unavailable")


def settings_of(url: str, **options: Any) -> Settings:
    sink = {"name": "siem", "kind": "splunk_hec", "url": url, "start": "beginning", "timeout": "5s", **options}
    values = {"public_url": "https://auth.example.com", "sinks": [sink], "sink_secrets": {"siem": "token"}}
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
    ] + [{"event": "sink_recovered", "log_level": "info", "sink": "siem", "failures": 2, "behind": behind}]
    in_order(receiver.ids, wanted)


async def test_one_refused_event_holds_up_its_tenant_and_no_other(world: World) -> None:
    await world.login()
    await world.login()
    wanted = await logged(world)
    poison = wanted["acme"][1]

    def says(body: bytes) -> bytes:
        ids = [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        items = [{"create": {"status": 400 if each == poison else 201}} for each in ids]
        return answer(json.dumps({"errors": True, "items": items}).encode())

    async with receiving(says) as receiver:
        one = deliverer(world, receiver, kind="elasticsearch", index="audit")
        for _ in range(3):
            await one.deliver()
            world.clock.advance(seconds=1)
        (standing,) = await SinkPositions(world.installation.database).standing()
        assert standing.problem == "item_400"
        assert standing.failures > 0
        assert standing.tenants["acme"] == (1, len(wanted["acme"]))
        assert all(following == size for slug, (following, size) in standing.tenants.items() if slug != "acme")
        receiver.says = lambda body: says(body.replace(poison.encode(), b"mended"))
        world.clock.advance(seconds=300)
        await drained(one)
    in_order([each for each in receiver.ids if each != poison], {**wanted, "acme": [wanted["acme"][0]]})


async def test_types_and_tenants_that_are_not_wanted_are_passed_over(world: World) -> None:
    await world.login()
    await logged(world)
    async with receiving(OK) as receiver:
        await drained(deliverer(world, receiver, tenants=["acme"], types=["login.*", "user.created"]))
        await drained(deliverer(world, receiver, tenants=["acme"], types=["login.*", "user.created"]))
    events = [told["event"] for _, _, body in receiver.requests for told in several(body.decode())]
    assert {event["type"] for event in events} == {"login.succeeded"}
    assert {event["tenant"] for event in events} == {"acme"}
    (standing,) = await SinkPositions(world.installation.database).standing()
    following, size = standing.tenants["acme"]
    assert following == size


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
