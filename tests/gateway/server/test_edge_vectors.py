"""The edge rows of ``tests/vectors/http_edge.json``: over a real socket, and in memory in every cut of the bytes."""

import asyncio
import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.server.configured import http_protocol
from tests.gateway.server.apps import Recorder
from tests.gateway.server.memory import MemoryConnection, cuts
from tests.gateway.server.wire import Response, responses

VECTORS = Path(__file__).parents[2] / "vectors" / "http_edge.json"
HOST = "api.test:8080"


@dataclass(frozen=True)
class Row:
    """One case of the file. Fields: see its ``about``."""

    id: str
    request: str
    status: list[int]
    layer: str
    app_sees: int = 0
    responses: int = 1
    closes: bool | None = None
    code: str | None = None
    target: str | None = None
    body: str | None = None
    absent: list[str] = field(default_factory=list)
    no_bytes: str | None = None

    @classmethod
    def read(cls, case: dict[str, Any]) -> "Row":
        return cls(**{name: value for name, value in case.items() if name in cls.__dataclass_fields__})

    def wire(self, host: str) -> bytes:
        text = self.request.replace("{host}", host).replace("{HOST}", host.upper())
        text = text.replace("{apiname}", host.partition(":")[0]).replace("{identity}", "auth.test")
        text = re.sub(r"\{repeat:(.):(\d+)\}", lambda match: match[1] * int(match[2]), text)
        return re.sub(r"\{token:[^}]*\}", "token", text).encode("latin-1")

    def check(self, output: bytes, closed: bool, app: Recorder) -> None:
        answers = responses(output)
        assert all(answer.whole for answer in answers)
        finals = [answer for answer in answers if answer.status >= 200]
        if self.responses > 1:
            assert [answer.status for answer in finals] == self.status
        else:
            assert len(finals) == 1
            assert finals[0].status in self.status
        if self.closes is not None:
            assert closed is self.closes
        if self.code is not None:
            assert finals[-1].code == self.code
            assert finals[-1].header("connection") == "close"
        if self.no_bytes is not None:
            assert self.no_bytes.encode("latin-1") not in output
        self.check_application(app)

    def check_application(self, app: Recorder) -> None:
        assert len(app.complete) == self.app_sees
        for seen in app.complete:
            names = [name for name, _ in seen.scope["headers"]]
            assert names.count(b"host") == 1
            assert not any(name.decode() in self.absent for name in names)
            assert all(name == name.lower() and value == value.strip(b" \t") for name, value in seen.scope["headers"])
        if self.target is not None:
            assert app.complete[0].target == self.target.encode("latin-1")
        if self.body is not None:
            assert app.complete[0].body == self.body.encode("latin-1")


CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
EDGE = [pytest.param(Row.read(case), id=case["id"]) for case in CASES if case["layer"] == "edge"]


def test_every_row_names_its_layer_and_is_named_once() -> None:
    assert {case["layer"] for case in CASES} == {"edge", "gateway"}
    assert len({case["id"] for case in CASES}) == len(CASES)


def test_no_two_rows_send_the_same() -> None:
    sent = [json.dumps([case["request"], case.get("then")]) for case in CASES]
    assert [request for request in sent if sent.count(request) > 1] == []


def test_no_row_has_a_field_that_the_runner_does_not_know() -> None:
    known = {*Row.__dataclass_fields__, "why", "upstream", "repeat", "edge_only", "then", "head"}
    assert {name for case in CASES for name in case} <= known


@pytest.mark.parametrize("row", EDGE)
async def test_edge_over_a_socket(row: Row) -> None:
    app, loop = Recorder(), asyncio.get_running_loop()
    config = Config(app, log_config=None, lifespan="off", interface="asgi3", proxy_headers=False, ws="none")
    config.load()
    state = ServerState()
    protocols = http_protocol()
    server = await loop.create_server(lambda: protocols(config, state, {}, loop), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(row.wire(f"127.0.0.1:{port}"))
        output = await _answers(reader, row.responses)
        closed = await _closed(reader, writer, port) if row.closes is not None else True
        writer.close()
        await writer.wait_closed()
        row.check(output, closed, app if closed else _without_probe(app))
        while state.connections or state.tasks:  # noqa: ASYNC110 (the server's side notices within a few turns)
            await asyncio.sleep(0)


@pytest.mark.parametrize("row", EDGE)
async def test_edge_says_the_same_however_the_bytes_are_cut(row: Row) -> None:
    data = row.wire(HOST)
    whole = await _in_memory(row, [data])
    step = 1 if len(data) < 100_000 else 1021
    assert await _in_memory(row, [data[at : at + step] for at in range(0, len(data), step)]) == whole
    chance = random.Random(row.id)
    for pieces in (2, 2, 3, 5, 9):
        places = (chance.randrange(len(data)) for _ in range(pieces))
        assert await _in_memory(row, cuts(data, places)) == whole


async def _in_memory(row: Row, pieces: list[bytes]) -> tuple[object, ...]:
    """What client and application see, without what the wall clock writes."""
    app = Recorder()
    client = MemoryConnection(app)
    await client.send(*pieces)
    row.check(client.output, client.ended, app)
    answers = [(answer.status, answer.code, answer.body) for answer in responses(client.output)]
    seen = [
        (request.scope["method"], request.target, request.scope["headers"], request.body) for request in app.complete
    ]
    return answers, seen, client.ended


async def _answers(reader: asyncio.StreamReader, count: int) -> bytes:
    output = b""
    while not _whole(output, count):
        piece = await asyncio.wait_for(reader.read(65536), 5)
        if not piece:
            break
        output += piece
    return output


def _whole(output: bytes, count: int) -> bool:
    if b"\r\n\r\n" not in output or not output.rpartition(b"HTTP/1.1 ")[2].count(b"\r\n\r\n"):
        return False
    finals: list[Response] = [answer for answer in responses(output) if answer.status >= 200]
    return len(finals) >= count and finals[-1].whole


async def _closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bool:
    """Whether the server has ended the connection; if not, it must still serve, at the right place of the stream."""
    if reader.at_eof():
        return True
    writer.write(f"GET /probe HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    output = await _answers(reader, 1)
    if not output:
        return True
    assert responses(output)[0].status == 200
    assert b"/probe" in output
    return False


def _without_probe(app: Recorder) -> Recorder:
    assert app.requests.pop().target == b"/probe"
    return app
