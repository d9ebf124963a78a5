"""A batch is made ready in portions, between which the event loop serves others."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from gateway.settings import from_mapping
from gateway.sinks.configured import transmitters
from gateway.sinks.portions import in_portions
from tests.conftest import Clock
from tests.gateway.sinks.receiving import receiving, record
from tests.gateway.web_server import answer

PORTION = 8


@asynccontextmanager
async def turns() -> AsyncIterator[list[set[int]]]:
    """A set for each turn of the loop that has begun, the newest last."""
    loop, begun = asyncio.get_running_loop(), [set[int]()]

    def turn() -> None:
        begun.append(set())
        beside[0] = loop.call_soon(turn)

    beside = [loop.call_soon(turn)]
    try:
        yield begun
    finally:
        beside[0].cancel()


async def test_the_loop_runs_between_portions() -> None:
    def work(item: int) -> int:
        begun[-1].add(item)
        return item * 2

    async with turns() as begun:
        assert await in_portions(work, range(100)) == list(range(0, 200, 2))
    assert max(map(len, begun)) == PORTION


class Watched(dict[str, Any]):
    """An event that tells when it is read."""

    def __init__(self, event: dict[str, Any], read: Callable[[int], None]) -> None:
        super().__init__(event)
        self._read = read

    def __getitem__(self, name: str) -> Any:
        self._read(id(self))
        return super().__getitem__(name)


def says(kind: str, body: bytes) -> bytes:
    if kind == "splunk_hec":
        return answer(b'{"code":0}')
    items = [{"create": {"status": 201}} for _ in body.splitlines()[::2]]
    return answer(json.dumps({"items": items}).encode())


@pytest.mark.parametrize("kind", ["splunk_hec", "elasticsearch"])
async def test_a_transmitter_reads_no_more_than_a_portion_in_a_turn(kind: str) -> None:
    async with receiving(lambda body: says(kind, body)) as receiver, turns() as begun:
        sink = {"name": "siem", "kind": kind, "url": f"http://127.0.0.1:{receiver.port}", "index": "audit"}
        values = {"public_url": "https://auth.example.com", "sinks": [sink], "sink_secrets": {"siem": "token"}}
        ((_, transmitter),) = transmitters(from_mapping(values, source="test"), Clock())
        plain = [record(position=place) for place in range(50)]
        watched = [replace(one, event=Watched(one.event, lambda read: begun[-1].add(read))) for one in plain]
        receipt = await transmitter.send(watched)
    assert (len(receipt.taken), receipt.problem) == (50, None)
    assert sum(map(len, begun)) == 50
    assert max(map(len, begun)) == PORTION
