"""``yett user`` as a process: addresses, and which passwords an operator may give to whom."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from tests.e2e.conftest import Copy
from tests.e2e.installation import Installation
from tests.e2e.server_process import PASSWORD

_ACME = ("--tenant", "acme")
_INITECH = ("--tenant", "initech")
_SHORT = "gX4!kQz?"
_LEAKED = "a password that is stolen"


@pytest.fixture(scope="module")
def here(copy_of: Copy) -> Installation:
    """An installation that nobody serves."""
    made = copy_of("sqlite")
    made.does("tenant", "create", "initech", "--name", "Initech")
    heinrich = ("user", "create", *_INITECH, "heinrich", "--email", "h.einrich@example.com", "--password-stdin")
    made.does(*heinrich, stdin=f"{PASSWORD}\n")
    return made


def _creates(here: Installation, name: str, *more: str, password: str = PASSWORD) -> dict[str, object]:
    made: dict[str, object] = here.does(
        "user", "create", *_ACME, name, *more, "--password-stdin", stdin=f"{password}\n"
    )
    return made


def _refusal(here: Installation, *arguments: str, stdin: str = "") -> str:
    result = here.run(*arguments, "--json", stdin=stdin)
    assert (result.code, result.out) == (1, "")
    told = json.loads(result.err)
    assert told["error"] == "refused"
    return str(told["message"])


def _refuses(here: Installation, name: str, *more: str, password: str = PASSWORD) -> str:
    said = _refusal(here, "user", "create", *_ACME, name, *more, "--password-stdin", stdin=f"{password}\n")
    assert name not in {row["name"] for row in here.does("user", "list", *_ACME)}
    return said


def test_a_user_has_an_address_from_the_start_or_later(here: Installation) -> None:
    made = _creates(here, "dora", "--email", "Dora@example.com")
    assert (made["email"], made["email_verified"]) == ("Dora@example.com", False)
    given = here.does("user", "set-email", *_ACME, "dora", "dora@mail.example.com", "--verified")
    assert given == {**made, "email": "dora@mail.example.com", "email_verified": True}
    assert here.does("user", "show", *_ACME, "dora") == given
    again = here.does("user", "set-email", *_ACME, "dora", "dora@mail.example.com")
    assert again["email_verified"] is False
    (last,) = here.does("audit", "list", *_ACME, "--limit", "1")
    assert (last["type"], last["user_name"]) == ("user.email_set", "dora")


def test_a_user_who_is_named_by_an_address_is_renamed_with_it(here: Installation) -> None:
    made = _creates(here, "emil@example.com")
    assert (made["email"], made["email_verified"]) == ("emil@example.com", False)
    result = here.run("user", "set-email", *_ACME, "Emil@example.com", "e.mil@example.com")
    assert (result.code, result.out) == (0, "e.mil@example.com in acme has the address e.mil@example.com\n")
    renamed = here.does("user", "show", *_ACME, "e.mil@example.com")
    assert (renamed["id"], renamed["name"]) == (made["id"], "e.mil@example.com")
    assert "there is no user" in _refusal(here, "user", "show", *_ACME, "emil@example.com")


def test_every_command_finds_a_user_by_name_or_address(here: Installation) -> None:
    made = _creates(here, "nora", "--email", "nora@example.com")
    at = "Nora@Example.com"
    here.does("role", "create", *_ACME, "porter", "reader")
    assert here.does("user", "show", *_ACME, at) == made
    assert here.does("user", "assign", *_ACME, at, "porter")["name"] == "nora"
    assert here.does("user", "withdraw", *_ACME, at, "porter")["name"] == "nora"
    assert here.does("user", "disable", *_ACME, at) == {"name": "nora", "active": False}
    assert here.does("user", "enable", *_ACME, at) == {"name": "nora", "active": True}
    set_password = ("user", "set-password", *_ACME, at, "--password-stdin")
    assert here.does(*set_password, stdin=f"{PASSWORD}\n")["name"] == "nora"
    assert here.does("user", "set-email", *_ACME, at, "n@example.com")["name"] == "nora"
    assert here.does("user", "sessions", *_ACME, "n@example.com") == []


def test_what_cannot_be_a_name_or_an_address_is_refused_with_the_rule(here: Installation) -> None:
    assert _refuses(here, "al ice") == "a user name has no spaces (RFC 8265)"
    assert "does not mix scripts" in _refuses(here, "\N{CYRILLIC SMALL LETTER A}lice")
    assert "an email address is ASCII" in _refuses(here, "fritz", "--email", "fritz@")
    assert "no other address" in _refuses(here, "fritz@example.com", "--email", "f@example.com")
    _creates(here, "gerd", "--email", "gerd@example.com")
    assert _refuses(here, "fritz", "--email", "GERD@example.com") == "email address 'GERD@example.com' exists already"
    _creates(here, "fritz")
    said = _refusal(here, "user", "set-email", *_ACME, "fritz", "gerd@EXAMPLE.com")
    assert said == "email address 'gerd@EXAMPLE.com' exists already"
    assert "there is no user" in _refusal(here, "user", "set-email", *_ACME, "nobody", "nobody@example.com")


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("", "it needs 15 characters or more"),
        (_SHORT, "it needs 15 characters or more"),
        ("password1234567", "attackers try first"),
        ("qwertyuiopasdfgh", "attackers try first"),
        ("Heinrich-1985-1985", "made of your name or of this site's"),
        ("h.einrich.1985.h.einrich", "made of your name or of this site's"),
        ("x" * 1025, "too long"),
    ],
)
def test_a_password_that_may_not_be_set_is_refused_with_what_to_do(
    here: Installation, password: str, says: str
) -> None:
    for ask in (
        ("user", "create", *_ACME, "heinrich", "--email", "h.einrich@example.com"),
        ("user", "set-password", *_INITECH, "heinrich"),
    ):
        assert says in _refusal(here, *ask, "--password-stdin", stdin=f"{password}\n")
    assert "heinrich" not in {row["name"] for row in here.does("user", "list", *_ACME)}


def test_with_a_second_factor_a_shorter_password_will_do(here: Installation) -> None:
    here.does("role", "create", *_ACME, "guarded", "admin")
    here.does("tenant", "configure", "acme", "--otp-role", "guarded")
    _creates(here, "ida", "--role", "guarded", password=_SHORT)
    assert "15 characters" in _refuses(here, "jan", password=_SHORT)
    here.does("user", "set-password", *_ACME, "ida", "--password-stdin", stdin="gX4!kQz!\n")
    here.does("user", "withdraw", *_ACME, "ida", "guarded")
    said = _refusal(here, "user", "set-password", *_ACME, "ida", "--password-stdin", stdin=_SHORT + "\n")
    assert "15 characters" in said


class _Range(BaseHTTPRequestHandler):
    """A service that knows one stolen password, and what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        digest = hashlib.sha1(_LEAKED.encode()).hexdigest().upper()
        body = f"{'0' * 35}:7\r\n{digest[5:]}:3\r\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def ranges() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Range)
    serving = Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}/range/"
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_stolen_password_is_refused_where_a_service_is_configured(copy_of: Copy, ranges: str) -> None:
    here = copy_of("sqlite")
    _creates(here, "karl", password=_LEAKED)
    with here.config.open("a", encoding="utf-8") as config:
        config.write(f"\nbreach_lookup: {ranges}\noutbound_networks: [127.0.0.0/8]\n")
    assert "stolen passwords" in _refuses(here, "lena", password=_LEAKED)
    said = _refusal(here, "user", "set-password", *_ACME, "karl", "--password-stdin", stdin=f"{_LEAKED}\n")
    assert "stolen passwords" in said
    prefix = hashlib.sha1(_LEAKED.encode()).hexdigest().upper()[:5]
    assert _Range.asked == [f"/range/{prefix}"] * 2
    _creates(here, "lena")


def test_a_service_that_is_away_is_told_of_and_stops_nobody(copy_of: Copy) -> None:
    here = copy_of("sqlite")
    with here.config.open("a", encoding="utf-8") as config:
        config.write("\nbreach_lookup: http://localhost:9/range/\n")
    result = here.run("user", "create", *_ACME, "moritz", "--password-stdin", stdin=f"{_LEAKED}\n")
    assert result.code == 0
    assert "breach_lookup_failed" in result.err
    assert "address_not_public" in result.err
    assert _LEAKED not in result.err
