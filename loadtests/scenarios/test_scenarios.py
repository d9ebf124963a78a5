"""The parts of the load test that need no server."""

import argparse
import random
from pathlib import Path

import pyotp
import pytest

from scenarios import options
from scenarios.accounts import Account, Turn, Turns, address_of, line, named, of_factor, read, share
from scenarios.answers import Answer, Done, Failed, Wait, judge, tenants_seen
from scenarios.forms import hidden_fields
from scenarios.mix import Mix
from scenarios.revocation import Watch
from scenarios.rows import KINDS
from scenarios.shapes import Shape, users_at

KNOWN = ("login", "api", "refresh")
HERE = Path(__file__).parent
LOCUSTS_OWN = {"locustfile", "headless", "users", "spawn-rate", "run-time"}
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def test_a_mix_chooses_by_its_weights_and_never_what_it_leaves_out() -> None:
    mix = Mix.parse("login:1, api:9,refresh:0", KNOWN)
    chosen = [mix.choose(random.Random(seed)) for seed in range(2_000)]

    assert 100 < chosen.count("login") < 300
    assert set(chosen) == {"login", "api"}


@pytest.mark.parametrize("text", ["", "x:1", "api", "api:", "api:-1", "api:1.5", "api:1,api:2", "api:0", "api:²"])
def test_a_mix_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Mix.parse(text, KNOWN)


def test_accounts_are_tenant_and_user() -> None:
    assert named("acme:alice, globex:bob") == (Account(0, "acme", "alice"), Account(1, "globex", "bob"))
    with pytest.raises(ValueError, match="TENANT:USER"):
        named("acme")


def test_an_accounts_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "accounts.jsonl"
    path.write_text(line("acme", "alice", SECRET) + line("globex", "bob", ""), encoding="utf-8")
    alice, bob = read(path)

    assert (alice, bob) == (Account(0, "acme", "alice", SECRET), Account(1, "globex", "bob"))
    assert of_factor([alice, bob], "with") == (alice,)
    assert of_factor([alice, bob], "without") == (bob,)
    assert SECRET not in repr(alice)
    with pytest.raises(ValueError, match="no account with an authenticator"):
        of_factor([bob], "with")


@pytest.mark.parametrize("text", ["[]", "x", '{"tenant": "acme"}', '{"tenant": "acme", "username": 7}', "", "7"])
def test_a_line_that_is_no_account_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.jsonl"
    path.write_text(line("acme", "alice", SECRET) + text + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 2 of .* is no account") as refused:
        read(path)

    assert SECRET not in str(refused.value)
    with pytest.raises(ValueError, match="cannot be read: FileNotFoundError"):
        read(tmp_path / "none")


def test_load_generators_have_no_account_in_common() -> None:
    accounts = named(",".join(f"acme:user-{number}" for number in range(7)))
    shares = [share(accounts, index, 3) for index in range(3)]

    assert sorted(account.number for part in shares for account in part) == list(range(7))
    assert share(accounts[:1], 2, 3) == accounts[:1]  # too few: somebody's again rather than nobody's


def test_addresses_are_one_by_one_and_attackers_are_others() -> None:
    people = {address_of(number, attacker=False) for number in range(1000)}

    assert len(people) == 1000
    assert not people & {address_of(number, attacker=True) for number in range(1000)}
    assert address_of(65_536 + 258, attacker=False) == "198.18.1.2"


def test_accounts_without_an_authenticator_come_in_turn() -> None:
    alice, bob = named("acme:alice,acme:bob")
    turns = Turns([alice, bob])

    assert [turns.next(0.0) for _ in range(3)] == [Turn(alice, ""), Turn(bob, ""), Turn(alice, "")]


def test_an_authenticators_code_is_used_once_and_then_waited_for() -> None:
    alice, bob = Account(0, "acme", "alice", SECRET), Account(1, "acme", "bob", SECRET)
    turns = Turns([alice, bob])
    began = 1_800_000_010.0  # ten seconds into a time step

    assert turns.next(began) == Turn(alice, pyotp.TOTP(SECRET).at(1_800_000_010))
    assert turns.next(began + 1) == Turn(bob, pyotp.TOTP(SECRET).at(1_800_000_011))
    assert turns.next(began + 2) == 18.0
    assert turns.next(began + 20) == Turn(alice, pyotp.TOTP(SECRET).at(1_800_000_030))


def test_a_token_counts_as_refused_with_the_first_of_eight_refusals_in_a_row() -> None:
    watch = Watch(began=100.0, within=2.0)
    watch.saw(200, 100.1)
    watch.saw(401, 100.2)  # one process has heard it
    watch.saw(200, 100.3)  # another one has not
    for number in range(7):
        watch.saw(401, 100.4 + number / 100)
        assert watch.goes_on
    watch.saw(503, 100.9)  # lets nobody in, and tells nothing
    watch.saw(401, 101.0)

    assert not watch.goes_on
    assert watch.milliseconds == pytest.approx(400)
    assert watch.wrong is None


@pytest.mark.parametrize("answer", [200, 503])
def test_a_token_that_is_not_refused_in_time_is_a_failure(answer: int) -> None:
    watch = Watch(began=100.0, within=2.0)
    watch.saw(answer, 101.9)
    assert watch.goes_on
    watch.saw(answer, 102.1)

    assert not watch.goes_on
    assert watch.wrong == "the API took a revoked token for more than 2 s"


def test_a_token_that_is_refused_late_is_a_failure() -> None:
    watch = Watch(began=100.0, within=2.0)
    watch.saw(200, 101.9)
    for number in range(8):
        watch.saw(401, 102.5 + number)

    assert not watch.goes_on
    assert watch.milliseconds == pytest.approx(2500)
    assert watch.wrong is not None


@pytest.mark.parametrize("path", sorted(HERE.glob("*.conf")), ids=lambda path: path.stem)
def test_a_scenario_sets_options_that_there_are_and_says_what_it_asks(path: Path) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    options.add(parser)
    comment, *lines = path.read_text(encoding="utf-8").splitlines()
    given = dict(entry.split(" = ") for entry in lines)
    ours = [word for name, value in given.items() if name not in LOCUSTS_OWN for word in (f"--{name}", value)]
    read_back = parser.parse_args(ours)
    if read_back.factor == "with":  # the demo's users have none
        read_back.factor = "without"
    options.check(read_back)

    assert comment.startswith("# ")
    assert given["locustfile"] == "loadtests/locustfile.py"
    assert {"users", "run-time", "mix", "spread"} <= set(given)
    assert f"scenarios/{path.name}" in (HERE.parents[1] / "docs" / "load-testing.md").read_text(encoding="utf-8")


def test_every_option_and_kind_stands_in_the_page() -> None:
    page = (HERE.parents[1] / "docs" / "load-testing.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(add_help=False)
    options.add(parser)

    assert [action.option_strings[0] for action in parser._actions if f"`{action.option_strings[0]}`" not in page] == []
    assert [kind for kind in KINDS if f"`{kind}`" not in page] == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("constant", [10, 10, 10, 10, 10]),
        ("ramp", [10, 20, 40, 50, 50]),
        ("spike", [10, 10, 50, 10, 50]),
    ],
)
def test_a_shape_is_a_function_of_time(shape: Shape, expected: list[int]) -> None:
    times = (0.0, 15.0, 45.0, 60.0, 119.0)

    assert [users_at(shape, time, users=10, peak=50, period=60) for time in times] == expected


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "expected"),
    [
        (200, None, b"", Done()),
        (429, "3", b"", Wait(429, 3)),
        (503, "1", b"", Wait(503, 1)),
        (429, None, b'{"error": "temporarily_unavailable"}', Failed("429 temporarily_unavailable")),
        (429, "soon", b"{}", Failed("429 (no code)")),
        (500, "3", b"", Failed("500 (no code)")),
        (403, None, b'{"code": "insufficient_scope", "detail": "yrt_x"}', Failed("403 insufficient_scope")),
        (400, None, b'{"error": ["a"]}', Failed("400 (no code)")),
        (502, None, b"[" * 100_000, Failed("502 (no code)")),
        (0, None, None, Failed("no answer: TimeoutError")),
    ],
)
def test_an_answer_is_done_a_wait_or_a_failure_with_its_code(
    status: int, retry_after: str | None, body: bytes | None, expected: Answer
) -> None:
    assert judge(status, {200}, retry_after=retry_after, body=body, error=TimeoutError()) == expected


def test_the_echos_tenant_is_found_and_other_answers_have_none() -> None:
    assert tenants_seen(b'{"headers": [["X-Yett-Tenant", "acme"], ["a", "b"]]}') == ["acme"]
    assert tenants_seen(b'{"headers": []}') == []
    assert [tenants_seen(body) for body in (b"", None, b"[]", b'{"headers": 1}', b'{"headers": [[1, 2]]}')] == [
        None
    ] * 5


def test_the_hidden_fields_of_the_first_form_that_is_posted_are_sent_back() -> None:
    page = b"""<!doctype html><form action="/search"><input type="hidden" name="no" value="1"></form>
    <form method="post"><input type="hidden" name="form_token" value="a&amp;b"><input name="username" value="alice">
    <input type="hidden" name="return_to" value="/x"/></form>
    <form method="post"><input type="hidden" name="form_token" value="another"></form>"""

    assert hidden_fields(page) == {"form_token": "a&b", "return_to": "/x"}
    assert hidden_fields(b"<p>nothing to send</p>\xff") == {}
