"""The load generators: what they ask, what they read, what they count. Against a small server of our own."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from pathlib import Path
from urllib.parse import parse_qs

import closed_loop
import cpu_use
import hash_rate
import open_loop
import pytest
from accounts import PASSWORD, Account, LoginForm, address, in_turn, token_request, write_import
from closed_loop import Crowd
from keep_alive import Answer, Broken, Connection, request
from open_loop import Target

ALICE = Account("alice", "10.0.0.1", "$argon2id$hash")
CROWD = [Account(f"person-{number}", address(number)) for number in range(10)]
FORM = '<input type="hidden" name="form_token" value="' + "f" * 43 + '">'

Serve = Callable[[str, str, dict[str, str], str], tuple[int, dict[str, str], str]]
"""From method, path, header and body to status, header and body."""


@contextmanager
def served(serve: Serve) -> Iterator[int]:
    """A server on a thread; the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, fields, answer = serve(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in {**fields, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.encode())
            self.close_connection = fields.get("Connection") == "close"

        do_GET = do_POST = handle_one  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_connection_is_used_again_for_the_next_request() -> None:
    ports = set()

    def serve(_method: str, path: str, _fields: dict[str, str], body: str) -> tuple[int, dict[str, str], str]:
        return 200, {"X-Path": path}, body

    with served(serve) as port:
        connection = Connection(port)
        for number in range(3):
            answer = connection.exchange(request("POST", f"/{number}", {"Host": "here"}, "a=b"))
            ports.add(connection.socket.getsockname())
            assert (answer.status, answer.field("x-path"), answer.body) == (200, f"/{number}", b"a=b")
            assert answer.seconds > 0
        connection.close()
    assert len(ports) == 1


def test_a_connection_that_is_closed_on_us_is_no_answer() -> None:
    with served(lambda *_: (200, {"Connection": "close"}, "")) as port:
        connection = Connection(port)
        connection.exchange(request("GET", "/", {"Host": "here"}))
        with pytest.raises(Broken):
            connection.exchange(request("GET", "/", {"Host": "here"}))
        connection.close()


@pytest.mark.parametrize(("number", "expected"), [(0, "10.0.0.0"), (256, "10.0.1.0"), (2**24 - 1, "10.255.255.255")])
def test_every_number_has_an_address_of_its_own(number: int, expected: str) -> None:
    assert address(number) == expected


@pytest.mark.parametrize("number", [-1, 2**24])
def test_there_are_no_more_addresses(number: int) -> None:
    with pytest.raises(ValueError, match="addresses"):
        address(number)


def test_accounts_come_round_and_round() -> None:
    assert [account.name for account in islice(in_turn(CROWD[:3], 2), 4)] == [
        "person-2",
        "person-0",
        "person-1",
        "person-2",
    ]


def test_the_file_of_an_import_names_each_account_with_its_hash(tmp_path: Path) -> None:
    write_import(tmp_path / "users.jsonl", [ALICE, Account("bob", "", "$2b$10$", active=False)])
    lines = [json.loads(line) for line in (tmp_path / "users.jsonl").read_text(encoding="utf-8").splitlines()]

    assert [(line["name"], line["password_hash"], line["active"]) for line in lines] == [
        ("alice", "$argon2id$hash", True),
        ("bob", "$2b$10$", False),
    ]


def test_a_login_comes_from_the_accounts_own_network() -> None:
    head, _, body = token_request(8080, ALICE).partition(b"\r\n\r\n")

    assert b"X-Forwarded-For: 10.0.0.1" in head
    assert b"Content-Length: %d" % len(body) in head
    assert parse_qs(body.decode())["password"] == [PASSWORD]


def test_the_form_is_sent_with_the_cookie_and_the_token_of_its_page() -> None:
    page = Answer(200, (("set-cookie", "yett-bench-login=abc; Path=/; HttpOnly"),), FORM.encode(), 0.0)
    sent = LoginForm.of(page).submit(8080, ALICE, "").decode()

    assert "Cookie: yett-bench-login=abc\r\n" in sent
    assert "Origin: http://localhost:8080\r\n" in sent
    assert sent.endswith(f"form_token={'f' * 43}&username=alice&password=")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, (("set-cookie", "yett-bench-login=abc"),), FORM.encode(), 0.0),
        Answer(200, (("set-cookie", "yett-bench-login=abc"),), b"", 0.0),
        Answer(200, (), FORM.encode(), 0.0),
    ],
)
def test_what_is_no_login_page_has_no_form(answer: Answer) -> None:
    with pytest.raises(ValueError, match="login page"):
        LoginForm.of(answer)


def login_server(statuses: Iterator[int]) -> Serve:
    """The page's form, and to each password the next status."""

    def serve(method: str, _path: str, _fields: dict[str, str], _body: str) -> tuple[int, dict[str, str], str]:
        if method == "GET":
            return 200, {"Set-Cookie": "yett-bench-login=abc"}, FORM
        time.sleep(0.01)
        status = next(statuses)
        return status, {"Retry-After": "1"} if status in (503, 429) else {}, ""

    return serve


@pytest.mark.parametrize(("way", "granted"), [("token", 200), ("page", 303)])
def test_logins_are_counted_that_were_answered_in_time(way: closed_loop.Way, granted: int) -> None:
    with served(login_server(granted if number % 4 else 503 for number in count(1))) as port:
        found = closed_loop.log_in(Crowd(port, CROWD), way, connections=2, seconds=0.4, warm_up=0.1)

    assert found.failed == 0
    assert found.granted > found.refused > 0
    assert found.rate == found.granted / 0.4
    assert 10 <= found.p50 <= found.p99 <= found.longest


def test_another_answer_than_a_login_has_failed() -> None:
    with served(login_server(200 if number % 2 else 400 for number in count())) as port:
        found = closed_loop.log_in(Crowd(port, CROWD), "token", connections=1, seconds=0.3, warm_up=0.0)

    assert abs(found.failed - found.granted) <= 1
    assert found.refused == 0


def test_an_overload_goes_on_until_enough_were_refused() -> None:
    statuses = iter([200, 303, 503, 500, *[503] * 100])
    with served(login_server(statuses)) as port:
        found = closed_loop.overload(Crowd(port, CROWD), connections=4, refusals=20, most_seconds=10)

    assert 20 <= found.total == found.refused[503] <= 24  # four may be under way
    assert found.granted == 2
    assert found.failed == {500: 1}
    assert found.unsaid == 0


def test_a_refusal_that_does_not_say_when_to_come_again_is_counted() -> None:
    def serve(method: str, *_: object) -> tuple[int, dict[str, str], str]:
        fields = {"Set-Cookie": "yett-bench-login=abc", "Retry-After": "soon"}
        return (200 if method == "GET" else 429), fields, FORM

    with served(serve) as port:
        found = closed_loop.overload(Crowd(port, CROWD), connections=2, refusals=5, most_seconds=10)

    assert found.unsaid == found.refused[429] == found.total


def test_a_load_has_its_rate_whatever_the_answers_do() -> None:
    slow = iter([0.3])

    def serve(*_: object) -> tuple[int, dict[str, str], str]:
        time.sleep(next(slow, 0))
        return 200, {}, ""

    with served(serve) as port:
        found = open_loop.at_rate(Target(port, request("GET", "/", {"Host": "here"}), 1), 100, 0.5)

    assert found.requests == 50
    assert found.failed == 0


def test_who_has_to_wait_for_a_slow_answer_counts_from_when_it_should_have_been_sent() -> None:
    """Coordinated omission: one stall of 300 ms on the only connection makes 30 requests late, not one."""
    answered = count()

    def serve(*_: object) -> tuple[int, dict[str, str], str]:
        if next(answered) == 60:  # after the warm-up of half a second
            time.sleep(0.3)
        return 200, {}, ""

    with served(serve) as port:
        found = open_loop.at_rate(Target(port, request("GET", "/", {"Host": "here"}), 1), 100, 1.0)

    assert found.longest >= 290
    assert found.p99 >= 250
    assert found.late >= 200


def test_a_saturating_load_asks_again_at_once() -> None:
    with served(lambda *_: (404, {}, "")) as port:
        found = open_loop.saturate(Target(port, request("GET", "/", {"Host": "here"}), 2), 0.2)

    assert found.failed >= found.requests > 20
    assert found.rate == pytest.approx(found.requests / 0.2, rel=0.1)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 5), (0.9, 9), (0.91, 10), (0.99, 10), (1.0, 10)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert open_loop.percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], share) == expected


def test_cpu_time_is_that_of_processes_and_the_hypervisor() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 5000 60 7 8 9 0 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n"

    assert cpu_use.parse_stat(stat) == {0: 159 / ticks, 1: 4 / ticks}


def test_what_a_cpu_did_beyond_ours_is_somebody_elses() -> None:
    before = cpu_use.Snapshot(at=10.0, busy={0: 5.0, 1: 5.0}, ours={0: 1.0, 1: 2.0})
    after = cpu_use.Snapshot(at=20.0, busy={0: 14.0, 1: 8.0}, ours={0: 9.0, 1: 5.5})

    assert after.foreign_since(before) == {0: pytest.approx(0.1), 1: 0.0}


def test_this_process_has_memory_cpu_time_and_children() -> None:
    assert cpu_use.resident_mib(os.getpid()) > 5
    assert cpu_use.cpu_seconds(os.getpid()) > 0
    with cpu_use.pinned_worker(min(os.sched_getaffinity(0))) as (worker, pid):
        assert pid in cpu_use.children(os.getpid())
        assert worker.submit(os.sched_getaffinity, 0).result() == {min(os.sched_getaffinity(0))}


def test_memory_is_told_by_quarters_of_the_time() -> None:
    memory = cpu_use.Memory([1, 1, 9, 2, 2, 2, 3, 3, 3, 4, 4, 4])

    assert memory.quarters() == (1, 2, 3, 4)


def test_only_the_right_password_is_measured() -> None:
    stored = hash_rate.stored_hash("right")

    assert hash_rate.verifications_per_second(stored, "right", 0.1) > 1
    with pytest.raises(ValueError, match="another"):
        hash_rate.verifications_per_second(stored, "wrong", 0.1)
