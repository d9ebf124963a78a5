"""The parts of the benchmark that need no peer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import report
import sanity
from wrk import Measured, parse

LINE = (
    "bench-result requests=80000 duration_us=4000000 p50_us=3000 p99_us=9000 p995_us=12000 max_us=40000 samples=80000 "
    "slow=200 connect=0 read=1 write=0 status=2 timeout=0"
)
MEASURED = parse(LINE)


def measured(rate: int, **changes: Any) -> Measured:
    """A run of one second."""
    return replace(MEASURED, requests=rate, seconds=1.0, **{"errors": {}, "slow_share": 0.0, "core": 0.99, **changes})


def rounds(*pairs: tuple[int, int], **changes: Any) -> list[dict[str, Measured]]:
    """One round for each (haproxy's rate, yett's rate); ``changes`` are yett's."""
    return [
        {report.BARE: measured(50_000), report.HAPROXY: measured(other), report.YETT: measured(ours, **changes)}
        for other, ours in pairs
    ]


def test_the_line_of_the_script_is_found_among_what_wrk_prints() -> None:
    found = parse(f"Running 4s test\n  1 threads and 64 connections\n{LINE}\n")

    assert found.rate == 20_000
    assert (found.p50, found.p99, found.p995, found.longest) == (3.0, 9.0, 12.0, 40.0)
    assert found.slow_share == 0.0025
    assert found.failed == 3


@pytest.mark.parametrize(
    "output", ["", "Running 4s test", f"{LINE}\n{LINE}", LINE.replace("requests=80000", "requests=0")]
)
def test_an_output_without_one_result_is_no_measurement(output: str) -> None:
    with pytest.raises(ValueError, match="wrk"):
        parse(output)


def test_a_ratio_is_of_one_round() -> None:
    assert report.ratios(rounds((10_000, 20_000), (5_000, 11_000))) == [2.0, 2.2]


def test_the_bar_is_met_only_by_every_round() -> None:
    bar = report.Bar(ratio=1.5, slow_share=0.005)

    assert bar.missed(rounds((10_000, 15_000), (10_000, 30_000))) == []
    assert len(bar.missed(rounds((10_000, 14_900), (10_000, 30_000)))) == 1


def test_requests_that_wait_long_miss_the_bar() -> None:
    bar = report.Bar(ratio=1.5, slow_share=0.005)

    assert bar.missed(rounds((10_000, 20_000), slow_share=0.005)) == []
    assert len(bar.missed(rounds((10_000, 20_000), slow_share=0.0051))) == 1


@pytest.mark.parametrize("error", ["connect", "read", "write", "status", "timeout"])
def test_a_single_failed_request_misses_the_bar(error: str) -> None:
    assert report.Bar(ratio=1.5, slow_share=0.005).missed(rounds((10_000, 20_000), errors={error: 1})) != []


def test_a_round_beside_other_work_is_told() -> None:
    assert report.disturbances(rounds((10_000, 20_000))) == []
    told = report.disturbances(rounds((10_000, 20_000)) + rounds((10_000, 20_000), core=0.5))
    assert len(told) == 1
    assert told[0].startswith("round 2: yett had only 50% of its CPU")


def test_a_table_has_a_row_for_every_peer_with_the_spread_of_its_rounds() -> None:
    found = report.rows(rounds((10_000, 20_000), (11_000, 24_000), (9_000, 21_000)))

    assert [row[0] for row in found] == list(report.PEERS)
    assert found[2][1:4] == ("20,000", "21,000", "24,000")


@pytest.mark.parametrize("shown", [report.text, report.markdown])
def test_conditions_and_ratios_are_shown_with_the_figures(shown: Callable[..., str]) -> None:
    text = shown(rounds((10_000, 20_000)), {"CPU": "a fast one"})

    assert "CPU: a fast one" in text
    assert "2.00" in text


def test_json_has_every_round() -> None:
    found = report.as_json(rounds((10_000, 20_000), (10_000, 21_000)), {"CPU": "a fast one"})

    assert found["ratios"] == [2.0, 2.1]
    assert [each["yett"]["requests_per_second"] for each in found["rounds"]] == [20_000, 21_000]


@pytest.mark.parametrize("signature", ["AAAA", "BBBB", "Zm9v"])
def test_a_forged_token_differs_in_its_signature_only(signature: str) -> None:
    forged = sanity.forged(f"header.claims.{signature}")

    assert forged.startswith("header.claims.")
    assert len(forged) == len(f"header.claims.{signature}")
    assert forged != f"header.claims.{signature}"
