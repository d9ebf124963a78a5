"""The parts of the load test that need no server."""

import random

import pytest

from scenarios.answers import Answer, Done, Failed, Wait, judge, tenants_seen
from scenarios.forms import hidden_fields
from scenarios.mix import Account, Mix, accounts
from scenarios.shapes import Shape, users_at

KNOWN = ("login", "api", "refresh")


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
    assert accounts("acme:alice, globex:bob") == (Account("acme", "alice"), Account("globex", "bob"))
    with pytest.raises(ValueError, match="TENANT:USER"):
        accounts("acme")


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
    assert judge(status, 200, retry_after=retry_after, body=body, error=TimeoutError()) == expected


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
