"""What counts as an answer that tells something."""

import random
from dataclasses import replace

import oracle_report
import pytest
from keep_alive import Answer
from oracle_report import (
    DISABLED,
    EMPTY,
    EXISTING,
    GROUPS,
    THROTTLED,
    THROTTLED_UNKNOWN,
    UNKNOWN,
    Attempts,
    Tenant,
    said,
)

TOKEN = "A" * 43
BODY = f'<input name="form_token" value="{TOKEN}"><input name="username" value="p0123"><p>Wrong.</p>'
ANSWER = Answer(400, (("date", "today"), ("content-length", "90"), ("x-request-id", "1")), BODY.encode(), 0.02)
KINDS = (EXISTING, UNKNOWN, DISABLED, EMPTY, THROTTLED, THROTTLED_UNKNOWN)


def attempts(
    seed: int, *, slower: dict[str, float] | None = None, answers: dict[str, Answer] | None = None
) -> Attempts:
    """A run whose times are of one distribution, but for those that are ``slower``."""
    chance = random.Random(seed)
    return Attempts(
        {kind: frozenset({said((answers or {}).get(kind, ANSWER), "p0123")}) for kind in KINDS},
        {kind: [chance.gauss(20, 1) + (slower or {}).get(kind, 0) for _ in range(500)] for kind in KINDS},
    )


def test_what_differs_from_moment_to_moment_is_left_out() -> None:
    other = replace(
        ANSWER,
        fields=(("date", "tomorrow"), ("content-length", "90"), ("x-request-id", "2")),
        body=BODY.replace(TOKEN, "B" * 43).replace("p0123", "q9876").encode(),
    )

    assert said(other, "q9876") == said(ANSWER, "p0123")


@pytest.mark.parametrize(
    "other",
    [
        replace(ANSWER, status=429),
        replace(ANSWER, body=ANSWER.body + b" "),
        replace(ANSWER, body=ANSWER.body.replace(b"Wrong.", b"Disabled.")),
        replace(ANSWER, fields=(("content-length", "91"),)),
        replace(ANSWER, fields=(*ANSWER.fields, ("retry-after", "1"))),
        replace(ANSWER, fields=tuple(reversed((*ANSWER.fields, ("vary", "cookie"))))),
    ],
)
def test_any_other_difference_stays(other: Answer) -> None:
    assert said(other, "p0123") != said(ANSWER, "p0123")


def test_a_name_elsewhere_than_in_its_field_stays() -> None:
    told = replace(ANSWER, body=BODY.replace("Wrong.", "Wrong for p0123.").encode())

    assert b"p0123" in said(told, "p0123")[2]


def test_nothing_is_missed_where_nothing_differs() -> None:
    assert Tenant("ours", [attempts(seed) for seed in range(3)]).missed() == []


@pytest.mark.parametrize("kind", [UNKNOWN, DISABLED, EMPTY, THROTTLED_UNKNOWN])
def test_a_kind_that_is_answered_otherwise_is_missed(kind: str) -> None:
    other = replace(ANSWER, body=b"Who?")
    sentences = Tenant("ours", [attempts(0), attempts(1), attempts(2, answers={kind: other})]).missed()

    assert any(kind in sentence and "not answered alike" in sentence for sentence in sentences)


@pytest.mark.parametrize("kind", [UNKNOWN, DISABLED, EMPTY, THROTTLED_UNKNOWN])
def test_a_kind_that_takes_longer_in_two_of_three_runs_is_missed(kind: str) -> None:
    slow = {kind: 1.0}

    assert Tenant("ours", [attempts(0), attempts(1), attempts(2, slower=slow)]).missed() == []
    sentences = Tenant("ours", [attempts(0), attempts(1, slower=slow), attempts(2, slower=slow)]).missed()
    assert sentences == [f"ours: {kind} is told apart from {_existing(kind)} by the time in 2 of 3 runs"]


def test_groups_are_not_compared_with_each_other() -> None:
    throttled = dict.fromkeys((THROTTLED, THROTTLED_UNKNOWN), replace(ANSWER, status=429))

    assert Tenant("ours", [attempts(seed, answers=throttled) for seed in range(3)]).missed() == []


def test_every_pair_has_a_row() -> None:
    rows = oracle_report.rows(Tenant("ours", [attempts(seed) for seed in range(3)]))

    assert [row[1] for row in rows] == [
        f"{existing} / {other}" for existing, others in GROUPS.items() for other in others
    ]
    assert all(row[2] == "the same" for row in rows)


def _existing(kind: str) -> str:
    return next(existing for existing, others in GROUPS.items() if kind in others)
