"""The load on a token endpoint: what is asked, what is read, what makes a figure none."""

import json
import sqlite3
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from token_load import Answers, TokenRun, parse, put_on
from token_peer import CLIENT, CLIENT_CREDENTIALS, GRANTS, REFRESH_TOKEN, SCOPE, Ledger, Peer
from wrk import Load, Measured

LINE = "token-result answers=100 wrong=0 repeated=0"
MEASURED = Measured(100, 1.0, 1.0, 2.0, 2.0, 3.0, 0.0, {"status": 0}, core=1.0, generator=0.1)
RUN = TokenRun(MEASURED, Answers(100, 0, 0), connections=8, committed=103, backlog=0, foreign=0.0)
LEDGER = "SELECT count(*) FROM events WHERE type = :type"


def peer(**changes: Any) -> Peer:
    """One that is never asked."""
    found = Peer(SimpleNamespace(port=1), "http://localhost:1/t/bench", "urn:api", "s3cret", lambda _: [], None)  # type: ignore[arg-type]
    return replace(found, **changes)


def test_the_line_of_the_script_is_found_among_what_wrk_prints() -> None:
    assert parse(f"Running 4s test\n{LINE}\n") == Answers(100, 0, 0)
    told = parse(f"{LINE.replace('wrong=0', 'wrong=2')}\nfirst wrong answer: 400 invalid_grant\n")
    assert told == Answers(100, 2, 0, "400 invalid_grant")


@pytest.mark.parametrize("output", ["", "Running 4s test", f"{LINE}\n{LINE}"])
def test_an_output_without_one_result_is_no_measurement(output: str) -> None:
    with pytest.raises(ValueError, match="wrk"):
        parse(output)


@pytest.mark.parametrize("committed", [None, 100, 108])
def test_a_run_has_an_event_for_each_token_and_for_each_request_that_was_under_way(committed: int | None) -> None:
    assert replace(RUN, committed=committed).complaints() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"committed": 99}, "99 events were committed for 100 tokens"),
        ({"committed": 109}, "109 events were committed for 100 tokens"),
        ({"answers": Answers(99, 1, 0, "400 no")}, "1 requests failed; the first was answered 400 no"),
        ({"measured": replace(MEASURED, errors={"timeout": 1})}, "1 requests failed"),
        ({"answers": Answers(100, 0, 1)}, "1 refresh tokens were given twice"),
        ({"measured": replace(MEASURED, requests=101)}, "100 answers were looked at, of 101"),
    ],
)
def test_what_makes_a_figure_none_is_said(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in replace(RUN, **changes).complaints()[0]


def test_the_client_proves_itself_in_its_header_and_asks_for_its_scope() -> None:
    head, _, body = peer().request(CLIENT_CREDENTIALS).decode().partition("\r\n\r\n")

    assert head.startswith("POST /t/bench/token HTTP/1.1\r\nHost: localhost:1\r\n")
    basic = head.partition("Authorization: Basic ")[2].partition("\r\n")[0]
    assert b64decode(basic).decode() == f"{CLIENT}:s3cret"
    assert parse_qs(body) == {"grant_type": ["client_credentials"], "scope": [SCOPE]}


def test_a_refresh_names_its_token() -> None:
    body = peer().request(REFRESH_TOKEN, "yrt_1").decode().partition("\r\n\r\n")[2]

    assert parse_qs(body) == {"grant_type": ["refresh_token"], "refresh_token": ["yrt_1"]}


def test_events_are_counted_by_grant(tmp_path: Path) -> None:
    file = tmp_path / "events.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE events (type TEXT)")
        database.executemany("INSERT INTO events VALUES (?)", [("token.issued",), ("token.refreshed",), ("other",)])
        database.commit()

    assert [Ledger(file, LEDGER).committed(grant) for grant in GRANTS] == [1, 1]
    assert Ledger(file, LEDGER).backlog() == 0
    assert Ledger(file, LEDGER, "SELECT count(*) FROM events").backlog() == 3


class TokenEndpoint:
    """Gives refresh tokens as an issuer does, each good once, and remembers all that it was asked."""

    def __init__(self) -> None:
        self.good = {f"first-{number}" for number in range(8)}
        self.spent: list[str] = []
        self._numbers = count()
        self._lock = threading.Lock()

    def answer(self, form: dict[str, list[str]]) -> tuple[int, dict[str, str]]:
        """Status and body."""
        with self._lock:
            if form["grant_type"] == [CLIENT_CREDENTIALS]:
                return 200, {"access_token": "a"}
            token = form["refresh_token"][0]
            self.spent.append(token)
            if token not in self.good:
                return 400, {"error": "invalid_grant"}
            self.good.remove(token)
            self.good.add(successor := f"next-{next(self._numbers)}")
            return 200, {"access_token": "a", "refresh_token": successor}


@pytest.fixture
def endpoint() -> Iterator[tuple[TokenEndpoint, Peer]]:
    issuer = TokenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode(), keep_blank_values=True)
            status, body = issuer.answer(form)
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    running = SimpleNamespace(port=server.server_port, process=SimpleNamespace(pid=1), cpu_seconds=lambda: 0.0)
    try:
        yield issuer, peer(running=running, mint=lambda number: sorted(issuer.good)[:number])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("grant", GRANTS)
def test_every_answer_is_looked_at(endpoint: tuple[TokenEndpoint, Peer], grant: str) -> None:
    run = put_on(endpoint[1], grant, Load(connections=2, seconds=1, cpu=0), cpu=0)

    assert run.complaints() == []
    assert run.answers.right == run.measured.requests > 20


def test_each_refresh_token_is_used_once_and_its_successor_after_it(endpoint: tuple[TokenEndpoint, Peer]) -> None:
    issuer, asked = endpoint
    put_on(asked, REFRESH_TOKEN, Load(connections=2, seconds=1, cpu=0), cpu=0)

    assert len(issuer.spent) == len(set(issuer.spent)) > 20


def test_a_refusal_is_counted_with_what_it_said(endpoint: tuple[TokenEndpoint, Peer]) -> None:
    asked = replace(endpoint[1], mint=lambda number: [f"nobodys-{each}" for each in range(number)])
    run = put_on(asked, REFRESH_TOKEN, Load(connections=2, seconds=1, cpu=0), cpu=0)

    assert run.answers.right == 0
    assert run.answers.wrong == run.measured.requests
    assert run.answers.complaint == '400 {"error": "invalid_grant"}'
    assert run.complaints()
