"""The opening handshake on both sides: every row of tests/vectors/websocket.json, over the server's own protocol."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog

from policies.cross_origin import PageRules
from tests.frames_by_hand import ACCEPT, KEY, accept_of, closing, handshake
from tests.gateway.proxy.harness import ALICE, HOST, Peer, Script, eventually
from tests.gateway.proxy.sockets import (
    LISTED,
    OF_CLIENTS,
    SOCKETS,
    Answering,
    Socket,
    accept,
    answer,
    config,
    key_in,
    requests_running,
    sockets,
    speaks,
)

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "websocket.json").read_text(encoding="utf-8")
)
HANDSHAKES, ANSWERS = VECTORS["handshakes"], VECTORS["answers"]
BEARER = ("Authorization", "Bearer alice")


async def accepts(side: Answering) -> None:
    await side.until_gone()


def accepting(heads: list[bytes], *fields: str) -> Script:
    async def script(peer: Peer) -> None:
        heads.append(await accept(peer, *fields))
        await Answering(peer).until_gone()

    return script


@pytest.mark.parametrize("row", HANDSHAKES, ids=[row["id"] for row in HANDSHAKES])
async def test_what_a_client_asks(row: dict[str, Any]) -> None:
    heads: list[bytes] = []
    fields = [(name, value) for name, value in row["fields"]]
    chooses = [f"Sec-WebSocket-Protocol: {row['upstream_chooses']}"] if "upstream_chooses" in row else []
    async with sockets(accepting(heads, *chooses)) as made:
        made.registered = {ALICE.tenant_id: {"https://client.example.com"}, UUID(int=9): {"https://other.example.com"}}
        client = Socket(made)
        data = handshake(
            row["path"],
            HOST,
            *fields,
            without=tuple(row["without"]),
            method=row.get("method", "GET"),
            version=row.get("version", "1.1"),
        )
        await client.ask(data)
        assert client.status == row["status"], client.wire.output
        for name, value in row.get("header", {}).items():
            assert client.fields[name] == value
        for name in row.get("absent", []):
            assert name not in client.fields
        if row["status"] == 101:
            _accepted(client, row, heads[0].decode("latin-1"))
        else:
            assert heads == []
            if row.get("method") != "HEAD":
                assert json.loads(client.body)["code"] == row["code"]
        client.leave()
        await client.wire.settle()


def _accepted(client: Socket, row: dict[str, Any], head: str) -> None:
    fields = client.fields
    assert (fields["upgrade"], fields["connection"], fields["sec-websocket-accept"]) == ("websocket", "Upgrade", ACCEPT)
    assert "x-request-id" in fields
    lines = dict(line.split(": ", 1) for line in head.rstrip().split("\r\n")[1:])
    assert (lines["connection"], lines["upgrade"], lines["sec-websocket-version"]) == ("Upgrade", "websocket", "13")
    assert lines["sec-websocket-key"] != KEY
    assert "bearer" not in head.lower()
    assert "alice" not in head.replace("x-yett-subject: alice", "")
    assert "extensions" not in head
    assert lines.get("sec-websocket-protocol") == row.get("upstream_protocols")
    assert ("x-yett-subject" in lines) is (row["path"] != "/public-ws")


@pytest.mark.parametrize("cut", [None, 1, 30])
@pytest.mark.parametrize("row", ANSWERS, ids=[row["id"] for row in ANSWERS])
async def test_what_an_upstream_answers(row: dict[str, Any], cut: int | None) -> None:
    async def script(peer: Peer) -> None:
        accept_value = accept_of(key_in(await peer.head()))
        data = row["answer"].replace("{accept}", accept_value).encode("latin-1")
        for at in range(0, len(data), cut or 10_000):
            await peer.send(data[at : at + (cut or 10_000)])
        if row["status"] == 502:
            peer.close()
        else:
            await Answering(peer).until_gone()

    async with sockets(script) as made:
        client = await Socket(made).ask(handshake("/ws", HOST, BEARER))
        assert client.status == row["status"], client.wire.output
        for name, value in row.get("header", {}).items():
            assert client.fields[name] == value
        for name in row.get("absent", []):
            assert name not in client.fields
        if "code" in row:
            assert json.loads(client.body)["code"] == row["code"]
        if "body" in row:
            await eventually(lambda: row["body"].encode() in client.body)
        client.leave()
        made.pool.close()
        await client.wire.settle()


async def test_the_client_hears_nothing_before_the_upstream_has_answered() -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        head = await peer.head()
        await gate.wait()
        await peer.send(answer(head))
        await Answering(peer).until_gone()

    async with sockets(script) as made:
        client = Socket(made)
        await client.send(handshake("/ws", HOST, BEARER))
        await eventually(lambda: len(made.pool) == 1)
        await client.wire.settle()
        assert client.wire.output == b""
        gate.set()
        await eventually(lambda: client.wire.output)
        assert client.status == 101
        client.leave()


async def test_frames_right_behind_either_handshake_are_not_lost() -> None:
    seen: list[Any] = []

    async def script(side: Answering) -> None:
        seen.extend(await side.receives(1))
        await side.until_gone()

    async with sockets(speaks(script)) as made:
        client = Socket(made)
        await client.ask(handshake("/ws", HOST, BEARER) + closing(1000, "soon"))
        await eventually(lambda: seen)
        assert seen[0].payload == b"\x03\xe8soon"
        client.leave()


@pytest.mark.parametrize("path", ["/orders/7", "/ws"])
async def test_a_token_among_the_subprotocols_is_never_logged(path: str) -> None:
    async with sockets(speaks(accepts)) as made:
        with structlog.testing.capture_logs() as logs:
            client = await Socket(made).ask(
                handshake(path, HOST, ("Sec-WebSocket-Protocol", "yett, bearer.alice, bearer.secret"))
            )
            client.leave()
            await client.wire.settle()
        assert client.status == 400
        assert "secret" not in str(logs) + str(made.seen) + client.wire.output.decode()


async def test_the_fields_of_a_handshake_reach_no_upstream_with_a_plain_request() -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.answer()
        heads.extend(peer.heads)

    async with sockets(script) as made:
        fields = (("Sec-WebSocket-Protocol", "yett, bearer.alice"), ("Sec-WebSocket-Key", KEY))
        client = await Socket(made).ask(
            handshake("/orders/7", HOST, *fields, BEARER, without=("Connection", "Upgrade", "Sec-WebSocket-Key"))
        )
        assert client.status == 200
        assert b"sec-websocket" not in heads[0].lower()
        made.pool.close()
        client.leave()


async def test_a_connection_that_was_used_before_may_carry_the_handshake_and_go_on_when_it_is_refused() -> None:
    async def script(peer: Peer) -> None:
        await peer.answer()
        await peer.answer(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await peer.answer()
        await accept(peer)
        await Answering(peer).until_gone()

    async with sockets(script) as made:
        get = f"GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        for data, status in ((get, 200), (handshake("/ws", HOST, BEARER), 403), (get, 200)):
            client = await Socket(made).ask(data)
            assert client.status == status
            await client.wire.until(lambda: not [one for one in made.pool._connections if one.busy])
            client.leave()
        client = await Socket(made).open()
        assert len(made.pool) == 1
        client.leave()


async def test_a_connection_that_had_been_closed_meanwhile_costs_no_handshake() -> None:
    async def closes(peer: Peer) -> None:
        await peer.answer()
        await peer.head()
        peer.close()

    async with sockets(closes, speaks(accepts)) as made:
        client = await Socket(made).ask(f"GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert client.status == 200
        client.leave()
        (await Socket(made).open()).leave()


async def test_a_handshake_that_is_sent_once_more_keeps_its_place() -> None:
    async def closes(peer: Peer) -> None:
        await peer.answer()
        await peer.head()
        others.append(await Socket(made).ask(handshake("/ws", HOST, BEARER)))
        peer.close()

    others: list[Socket] = []
    async with sockets(closes, speaks(accepts), max_connections=2) as made:
        client = await Socket(made).ask(f"GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        again = await Socket(made).open()
        assert [other.status for other in others] == [503]
        for each in (client, again, *others):
            each.leave()


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 101 Switching Protocols\r\nConnection: "])
async def test_an_upstream_that_does_not_answer_in_time_is_504(begins: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(begins)
        await peer.until_gone()

    async with sockets(script) as made:
        client = Socket(made)
        await client.send(handshake("/ws", HOST, BEARER))
        await eventually(lambda: len(made.pool) == 1)
        await client.wire.settle()
        made.later(31)
        await eventually(lambda: b"\r\n\r\n" in client.wire.output)
        assert client.status == 504
        client.leave()


async def test_a_head_without_end_is_502() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.send(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 70_000)
        await peer.until_gone()

    async with sockets(script) as made:
        client = await Socket(made).ask(handshake("/ws", HOST, BEARER))
        assert client.status == 502
        client.leave()


@pytest.mark.parametrize(
    "begins",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: abc\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Swi",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_handshake_whose_answer_has_begun_is_not_sent_again(begins: bytes, how: str) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.answer()
        seen.append(await peer.head())
        await peer.send(begins)
        await (eventually(lambda: sent_on) if how == "reset" else peer.writer.drain())
        peer.close() if how == "close" else peer.reset()

    async def accepting_then(side: Answering) -> None:
        seen.append(b"again")
        await side.until_gone()

    sent_on: list[bool] = []
    async with sockets(script, speaks(accepting_then)) as made:
        client = await Socket(made).ask(f"GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert client.status == 200
        client.leave()
        client = Socket(made)
        await client.send(handshake("/ws", HOST, BEARER))
        await eventually(lambda: seen)
        await client.wire.settle()
        sent_on.append(True)
        await eventually(lambda: b"\r\n\r\n" in client.wire.output)
        assert client.status == 502
        assert len(seen) == 1
        client.leave()


async def test_interim_answers_without_end_are_502() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        for _ in range(1000):
            await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 100 + b"\r\n\r\n")
        await peer.until_gone()

    async with sockets(script) as made:
        client = await Socket(made).ask(handshake("/ws", HOST, BEARER))
        assert client.status == 502
        client.leave()


async def test_more_than_there_may_be_connections_is_503() -> None:
    async with sockets(speaks(accepts), max_connections=1) as made:
        first = await Socket(made).open()
        second = await Socket(made).ask(handshake("/ws", HOST, BEARER))
        assert second.status == 503
        first.leave()
        second.leave()


@pytest.mark.parametrize("ends", ["socket", "refused", "unreachable"])
async def test_sockets_take_half_of_the_connections_and_requests_the_rest(ends: str) -> None:
    async def refuses(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        await peer.until_gone()

    async def goes(peer: Peer) -> None:
        await peer.head()
        peer.close()

    async def either(peer: Peer) -> None:
        await peer.answer()
        await peer.send(answer(await peer.head()))
        await Answering(peer).until_gone()

    get = f"GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    then = {"socket": speaks(accepts), "refused": refuses, "unreachable": goes}[ends]
    async with sockets(speaks(accepts), then, either, max_connections=4) as made:
        first, second = await Socket(made).open(), await Socket(made).ask(handshake("/ws", HOST, BEARER))
        assert second.status == {"socket": 101, "refused": 403, "unreachable": 502}[ends]
        if ends == "socket":
            assert (await Socket(made).ask(handshake("/ws", HOST, BEARER))).status == 503
        plain = await Socket(made).ask(get)
        assert plain.status == 200
        second.leave()
        await eventually(lambda: len(requests_running()) == 1)
        again = await Socket(made).open()
        for client in (first, plain, again):
            client.leave()
        made.pool.close()


async def test_what_a_socket_was_let_through_by_is_observed_where_the_route_says_so() -> None:
    async with sockets(speaks(accepts)) as made:
        made.plane.config = config(made, replace(SOCKETS[0], audit_allow=True))
        client = await Socket(made).open()
        client.leave()
        await eventually(lambda: made.seen)
        assert [(seen.outcome, seen.status, seen.route) for seen in made.seen] == [("allowed", 101, "ws")]


COOKIES = (
    ("", True),  # no browser
    ("https://app.example.com", False),
    ("https://client.example.com", False),
    ("https://trusted.example.com", True),
    (f"http://{HOST}", True),
)


@pytest.mark.parametrize(("origin", "sent"), COOKIES)
async def test_cookies_go_along_from_its_own_pages_and_where_the_route_allows_credentials(
    origin: str, sent: bool
) -> None:
    """The page of another origin that connects is not whose cookies the browser sends with that."""
    heads: list[bytes] = []
    trusting = PageRules(frozenset({"https://trusted.example.com"}), credentials=True)
    rules = {"https://trusted.example.com": trusting, "https://client.example.com": OF_CLIENTS}.get(origin, LISTED)
    async with sockets(accepting(heads)) as made:
        made.registered = {ALICE.tenant_id: {"https://client.example.com"}}
        made.plane.config = config(made, replace(SOCKETS[0], pages=rules))
        client = Socket(made)
        fields = (("Origin", origin),) if origin else ()
        await client.open("/ws", ("Cookie", "session=victims; other=1"), ("Cookie", "third=2"), *fields)
        client.leave()
    assert (b"cookie: session=victims; other=1\r\ncookie: third=2\r\n" in heads[0]) is sent
    assert (b"cookie" in heads[0]) is sent
