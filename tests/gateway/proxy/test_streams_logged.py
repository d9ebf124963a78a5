"""A stream has one line in the access log, at its end."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.proxy.access_line import line
from gateway.proxy.access_log import AccessLog, Share
from tests.frames_by_hand import TEXT, closing, handshake, written
from tests.gateway.proxy.harness import ALICE, HOST, Peer, Script, World, eventually
from tests.gateway.proxy.sockets import Socket, echoes, sockets, speaks
from tests.gateway.proxy.test_streams import closed, listens


@asynccontextmanager
async def written_down(*scripts: Script) -> AsyncIterator[tuple[World, list[dict[str, Any]]]]:
    """A world with an access log, and its lines."""
    lines: list[dict[str, Any]] = []
    async with sockets(*scripts) as made:
        log = AccessLog(
            lambda record: lines.append(json.loads(line(record))),
            digest="d",
            claims=(),
            share=Share.of(1.0, refusals=False),
            of_routes={},
        )
        made.plane.config = replace(made.plane.config, access_log=log)
        yield made, lines


async def test_a_websocket_has_one_line_at_its_end_with_bytes_both_ways() -> None:
    async with written_down(speaks(echoes)) as (made, lines):
        client = await Socket(made).open()
        await client.send(written(TEXT, b"hello"))
        await client.receives(1)
        assert lines == []
        await client.send(closing(1000))
        await client.ended()
        await eventually(lambda: lines)
    [found] = lines
    told = {name: found.get(name) for name in ("decision", "status", "route", "upgrade", "fault")}
    assert told == {"decision": "allow", "status": 101, "route": "ws", "upgrade": "websocket", "fault": None}
    # A frame of the client has a head of 2 bytes, a mask of 4 and its payload; the upstream's is without a mask.
    assert (found["bytes_in"], found["bytes_out"]) == (6 + 5 + 6 + 2, 2 + 5 + 2 + 2)
    assert found["ms"]["total"] >= found["ms"]["first_byte"] > 0


async def test_a_line_says_why_the_gateway_ended_a_stream() -> None:
    async with written_down(speaks(listens)) as (made, lines):
        client = await Socket(made).open()
        made.standings.revoke(ALICE)
        await closed(made, client)
        await eventually(lambda: lines)
    assert [(found["status"], found["fault"], found["bytes_in"]) for found in lines] == [(101, "token_revoked", 0)]


async def test_a_line_says_what_was_answered_in_place_of_a_stream_that_had_not_begun() -> None:
    async def silent(peer: Peer) -> None:
        await peer.head()
        await peer.until_gone()

    async with written_down(silent) as (made, lines):
        client = Socket(made)
        await client.send(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
        await eventually(lambda: len(made.pool) == 1)
        made.later(0.2)
        made.standings.revoke(ALICE)
        made.plane.streams.sweep()
        await eventually(lambda: lines)
        client.leave()
    assert [(found["status"], found["fault"], found["bytes_out"]) for found in lines] == [(401, "token_revoked", 0)]


async def test_an_upstream_that_refuses_the_handshake_is_a_line_like_any_other() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await peer.until_gone()

    async with written_down(refuses) as (made, lines):
        client = await Socket(made).ask(handshake("/ws", HOST, ("Authorization", "Bearer alice")))
        assert client.status == 403
        await eventually(lambda: lines)
        made.pool.close()
        client.leave()
    assert [(found["status"], found["bytes_in"], found["bytes_out"]) for found in lines] == [(403, 0, 2)]
