"""What reaches the bars of the token benchmark, and how it is shown."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import table
import token_report
from token_load import Answers, TokenRun
from token_peer import CLIENT_CREDENTIALS, GRANTS, REFRESH_TOKEN
from token_report import DURABLE, MEMORY, YETT, Bars, Round
from wrk import Measured

BARS = Bars(memory=1.0, durable=1.5)


def run(rate: int, **changes: Any) -> TokenRun:
    """A run of one second."""
    measured = Measured(rate, 1.0, 5.0, 9.0, 10.0, 20.0, 0.0, {"status": 0}, core=0.5, generator=0.2)
    found = TokenRun(measured, Answers(rate, 0, 0), connections=32, committed=rate, backlog=0, foreign=0.0)
    return replace(found, **changes)


def a_round(yett: int = 3000, memory: int = 3000, durable: int = 2000, **changes: Any) -> Round:
    """The same for each grant; ``changes`` are yett's."""
    peers = {YETT: run(yett, **changes), MEMORY: run(memory), DURABLE: run(durable)}
    return dict.fromkeys(GRANTS, peers)


def test_rates_at_the_bars_miss_none() -> None:
    assert BARS.missed([a_round(), a_round(yett=4000)]) == []


def test_each_bar_is_missed_by_the_lowest_round() -> None:
    missed = BARS.missed([a_round(), a_round(yett=2970, durable=1980)])

    assert missed == [f"{CLIENT_CREDENTIALS}: yett reached 0.99 times the rate of {MEMORY}, not 1.00"]


def test_the_durable_bar_is_on_both_grants() -> None:
    missed = BARS.missed([a_round(yett=3000, durable=2500)])

    assert missed == [f"{grant}: yett reached 1.20 times the rate of {DURABLE}, not 1.50" for grant in GRANTS]


def test_memory_sets_no_bar_for_refreshing() -> None:
    quick = {**a_round(), REFRESH_TOKEN: a_round(memory=9000)[REFRESH_TOKEN]}

    assert BARS.missed([quick]) == []


def test_a_run_that_counts_for_nothing_misses_the_bars() -> None:
    (missed, _) = BARS.missed([a_round(), a_round(committed=2999)])

    assert missed == f"round 2, {CLIENT_CREDENTIALS}, {YETT}: 2999 events were committed for 3000 tokens"


def test_a_round_beside_other_work_is_told() -> None:
    assert token_report.disturbances([a_round(foreign=0.03)]) == []
    told = token_report.disturbances([a_round(), a_round(foreign=0.4)])
    assert told == [f"round 2, {grant}: something else had 40% of the CPU of {YETT}" for grant in GRANTS]


def test_a_table_has_a_row_for_each_grant_and_peer_with_the_spread_of_its_rounds() -> None:
    found = token_report.rows([a_round(), a_round(yett=3500), a_round(yett=3200)])

    assert [row[:2] for row in found] == [(grant, peer) for grant in GRANTS for peer in (YETT, MEMORY, DURABLE)]
    assert found[0][2:6] == ("3,000", "3,200", "3,500", "6,400")


@pytest.mark.parametrize("shown", [token_report.text, token_report.markdown])
def test_conditions_ratios_and_backlog_are_shown_with_the_figures(shown: Callable[..., str]) -> None:
    text = shown([a_round(), a_round(yett=3300, backlog=1234)], {"CPU": "a fast one"})

    assert "CPU: a fast one" in text
    assert f"{CLIENT_CREDENTIALS}: yett / {MEMORY} per round: 1.00, 1.10 (median 1.05)" in text
    assert "1,234" in text


def test_json_has_every_round() -> None:
    found = token_report.as_json([a_round(), a_round(yett=3300)], {"CPU": "a fast one"})

    assert [each[REFRESH_TOKEN][YETT]["rate"] for each in found["rounds"]] == [3000, 3300]


def test_names_stand_on_the_left_and_numbers_on_the_right() -> None:
    assert table.text(("name", "n"), [("a", "1,000")]) == ["name      n", "a     1,000"]
    assert table.markdown(("name", "n"), [("a", "1,000")]) == ["| name | n |", "|---|---:|", "| a | 1,000 |"]
