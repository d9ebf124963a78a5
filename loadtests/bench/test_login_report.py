"""What reaches the bars of the login benchmark."""

from dataclasses import replace
from typing import Any

import login_report
import pytest
from closed_loop import Logins, Refusals
from login_report import PAGE, TOKEN, Bars, Beside, Figures, Overload, Round
from open_loop import Latencies

BARS = Bars(share=0.9, slower=2, growth=4, refusals=10_000)
LOGINS = Logins(granted=800, rate=54.0, p50=1100.0, p99=1300.0, longest=1350.0, refused=0, failed=0)
PROXIED = Latencies(requests=45_000, rate=3000.0, p50=0.3, p99=1.5, p999=2.0, longest=3.0, late=0.1, failed=0)
REFUSALS = Refusals(granted=900, refused={429: 0, 503: 10_200}, unsaid=0, failed={}, seconds=12.0, p50=2.0, p99=9.0)
ROUND = Round(
    alone=56.0,
    idle=replace(PROXIED, p99=1.0),
    beside={TOKEN: Beside(LOGINS, PROXIED), PAGE: Beside(LOGINS, PROXIED)},
    foreign={"the helper": 0.0, "the gateway": 0.01},
)
OVERLOAD = Overload(REFUSALS, memory_before=140.0, memory=(150.0, 150.5, 151.0, 151.0), memory_most=151.5, after=LOGINS)
FIGURES = Figures(queue=128, helpers=1, capacity=10_000.0, rounds=[ROUND], overload=OVERLOAD)


def with_token(*, logins: dict[str, Any] | None = None, proxied: dict[str, Any] | None = None) -> Figures:
    """The figures, with these changes in a second round."""
    beside = Beside(replace(LOGINS, **(logins or {})), replace(PROXIED, **(proxied or {})))
    return replace(FIGURES, rounds=[ROUND, replace(ROUND, beside={TOKEN: beside, PAGE: ROUND.beside[PAGE]})])


def test_figures_within_the_bars_miss_none() -> None:
    assert BARS.missed(FIGURES) == []


@pytest.mark.parametrize(
    ("logins", "proxied", "sentence"),
    [
        ({"rate": 50.3}, {}, "89.8% of Argon2id's rate"),
        ({"p99": 129 / 56 * 1000}, {}, "p99 of logins is 2,304 ms"),
        ({}, {"p99": 2.0}, "2.00 times the idle one"),
        ({"refused": 1}, {}, "1 logins were refused"),
        ({"failed": 2}, {}, "2 logins were refused"),
        ({}, {"failed": 3}, "3 proxied requests failed"),
    ],
)
def test_each_bar_is_missed_by_itself_and_named_with_its_round(
    logins: dict[str, Any], proxied: dict[str, Any], sentence: str
) -> None:
    (missed,) = BARS.missed(with_token(logins=logins, proxied=proxied))

    assert missed.startswith("round 2, /token: ")
    assert sentence in missed


@pytest.mark.parametrize(
    ("overload", "sentence"),
    [
        ({"refusals": replace(REFUSALS, refused={429: 1, 503: 9_998})}, "9,999 attempts were refused"),
        ({"refusals": replace(REFUSALS, unsaid=1)}, "do not say when"),
        ({"refusals": replace(REFUSALS, failed={500: 1})}, "1 attempts were answered 500"),
        ({"memory": (150.0, 151.0, 153.0, 154.1)}, "grew by 4.1 MiB"),
        ({"after": replace(LOGINS, failed=1)}, "after the overload"),
    ],
)
def test_what_the_overload_must_not_do_is_missed(overload: dict[str, Any], sentence: str) -> None:
    (missed,) = BARS.missed(replace(FIGURES, overload=replace(OVERLOAD, **overload)))

    assert sentence in missed


def test_a_round_beside_other_work_is_told() -> None:
    assert login_report.disturbances(FIGURES) == []
    disturbed = replace(ROUND, foreign={"the helper": 0.4, "the gateway": 0.0})
    (told,) = login_report.disturbances(replace(FIGURES, rounds=[ROUND, disturbed]))
    assert told == "round 2: something else had 40% of the CPU of the helper"


def test_tables_have_a_row_for_each_way_in() -> None:
    assert [row[0] for row in login_report.login_rows(FIGURES)] == [TOKEN, PAGE]
    assert [row[0] for row in login_report.proxied_rows(FIGURES)] == [
        "no logins",
        f"logins by {TOKEN}",
        f"logins by {PAGE}",
    ]
    assert len({len(row) for row in login_report.proxied_rows(FIGURES)}) == 1


def test_conditions_and_figures_are_shown_and_written() -> None:
    shown = login_report.markdown(FIGURES, {"CPU": "a fast one"})

    assert "- CPU: a fast one" in shown
    assert "96.4%" in shown
    written = login_report.as_json(FIGURES, {"CPU": "a fast one"})
    assert written["rounds"][0]["beside"][TOKEN]["logins"]["rate"] == 54.0
