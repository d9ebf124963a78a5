"""The parts of the benchmark that need no peer."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h2load
import many
import minted
import peers
import proxy
import pytest
import report
import sanity
import yaml
from processes import Running
from report import Key
from wrk import Measured, parse

LINE = (
    "bench-result requests=80000 duration_us=4000000 p50_us=3000 p99_us=9000 p999_us=12000 max_us=40000 samples=80000 "
    "slow=200 connect=0 read=1 write=0 status=2 timeout=0"
)
MEASURED = parse(LINE)


def measured(rate: int, **changes: Any) -> Measured:
    """A run of one second."""
    return replace(MEASURED, requests=rate, seconds=1.0, **{"errors": {}, "slow_share": 0.0, "core": 0.99, **changes})


def rounds(*pairs: tuple[int, int], **changes: Any) -> list[dict[Key, Measured]]:
    """One round for each (haproxy's rate, yett's rate); ``changes`` are yett's."""
    return [
        {
            Key(report.REMEMBERED, report.BARE): measured(50_000),
            Key(report.REMEMBERED, report.HAPROXY): measured(other),
            Key(report.REMEMBERED, report.YETT): measured(ours, **changes),
        }
        for other, ours in pairs
    ]


def test_the_line_of_the_script_is_found_among_what_wrk_prints() -> None:
    found = parse(f"Running 4s test\n  1 threads and 64 connections\n{LINE}\n")

    assert found.rate == 20_000
    assert (found.p50, found.p99, found.p999, found.longest) == (3.0, 9.0, 12.0, 40.0)
    assert found.slow_share == 0.0025
    assert found.failed == 3


@pytest.mark.parametrize(
    "output", ["", "Running 4s test", f"{LINE}\n{LINE}", LINE.replace("requests=80000", "requests=0")]
)
def test_an_output_without_one_result_is_no_measurement(output: str) -> None:
    with pytest.raises(ValueError, match="wrk"):
        parse(output)


HAPROXYS = next(bar for bar in report.BARS if bar.below.peer == report.HAPROXY)
FORGED = next(bar for bar in report.BARS if bar.above.case == report.FORGED)


def test_a_ratio_is_of_one_round() -> None:
    assert HAPROXYS.ratios(rounds((10_000, 20_000), (5_000, 11_000))) == [2.0, 2.2]


def test_a_bar_is_met_only_by_every_round() -> None:
    assert HAPROXYS.missed(rounds((10_000, 20_000), (10_000, 30_000))) is None
    assert HAPROXYS.missed(rounds((10_000, 19_900), (10_000, 30_000))) is not None


def test_a_bar_may_be_of_latencies_and_from_above() -> None:
    def times(quiet: float, beside: float) -> list[dict[Key, Measured]]:
        return [
            {
                Key(report.QUIET, report.YETT): measured(1, p99=quiet),
                Key(report.FORGED, report.YETT): measured(1, p99=beside),
            }
        ]

    assert FORGED.missed(times(2.0, 4.0)) is None
    assert FORGED.missed(times(2.0, 4.1)) is not None


def test_what_was_not_measured_misses_nothing() -> None:
    assert report.missed(rounds((10_000, 20_000)), 0.005) == []
    assert "beside forged" not in report.text(rounds((10_000, 20_000)), {})


def test_requests_that_wait_long_are_told() -> None:
    assert report.missed(rounds((10_000, 20_000), slow_share=0.005), 0.005) == []
    assert len(report.missed(rounds((10_000, 20_000), slow_share=0.0051), 0.005)) == 1


@pytest.mark.parametrize("error", ["connect", "read", "write", "status", "timeout"])
def test_a_single_failed_request_is_told(error: str) -> None:
    assert report.missed(rounds((10_000, 20_000), errors={error: 1}), 0.005) != []


def test_nginx_that_asks_has_the_configuration_that_is_shown() -> None:
    page = peers.PAGE.read_text(encoding="utf-8")
    found = peers.as_shown(page, port=1001, upstream=1002, gateway=1003, forward_auth=1004)

    for line in (
        "listen 127.0.0.1:1001 backlog=2048;",
        "upstream yett { server 127.0.0.1:1003; }",
        "upstream yett_forward_auth { server 127.0.0.1:1004; keepalive 256; }",
        "upstream orders { server 127.0.0.1:1002; keepalive 256; }",
        "auth_request /.yett-forward-auth;",
        "proxy_set_header X-Yett-Subject    $yett_subject;",
    ):
        assert found.count(line) == 1
    assert found.count("Host              127.0.0.1:1003;") == 2
    assert "443" not in found


@pytest.mark.parametrize("written", ["listen 443 ssl;", "keepalive 32;", "server 127.0.0.1:8000;"])
def test_a_page_that_shows_another_configuration_is_told(written: str) -> None:
    page = peers.PAGE.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="does not show once"):
        peers.as_shown(page.replace(written, ""), port=1, upstream=2, gateway=3, forward_auth=4)
    with pytest.raises(ValueError, match="no configuration"):
        peers.as_shown("# Forward auth", port=1, upstream=2, gateway=3, forward_auth=4)


def test_the_cpu_time_of_a_peer_is_that_of_all_who_do_its_work() -> None:
    class Spent:
        def __init__(self, pid: int) -> None:
            self.pid = pid

    alone = Running("one", Spent(os.getpid()), 1)  # type: ignore[arg-type]
    both = replace(alone, helped_by=(alone,))
    before = alone.cpu_seconds()
    assert 2 * before <= both.cpu_seconds() <= 2 * alone.cpu_seconds()


def test_a_round_beside_other_work_is_told() -> None:
    assert report.disturbances(rounds((10_000, 20_000))) == []
    told = report.disturbances(rounds((10_000, 20_000)) + rounds((10_000, 20_000), core=0.5))
    assert len(told) == 1
    assert told[0].startswith("round 2: yett (remembered token) had only 50% of its CPU")


def test_a_table_has_a_row_for_each_case_and_peer_with_the_spread_of_its_rounds() -> None:
    found = report.rows(rounds((10_000, 20_000), (11_000, 24_000), (9_000, 21_000)))

    assert [row[1] for row in found] == [report.BARE, report.HAPROXY, report.YETT]
    assert found[2][2:5] == ("20,000", "21,000", "24,000")


@pytest.mark.parametrize("shown", [report.text, report.markdown])
def test_conditions_and_ratios_are_shown_with_the_figures(shown: Callable[..., str]) -> None:
    text = shown(rounds((10_000, 20_000)), {"CPU": "a fast one"})

    assert "CPU: a fast one" in text
    assert "yett / haproxy jwt_verify per round: 2.00 (bar: at least 2.00)" in text


def test_json_has_every_round() -> None:
    found = report.as_json(rounds((10_000, 20_000), (10_000, 21_000)), {"CPU": "a fast one"})

    assert found["ratios"][HAPROXYS.name] == [2.0, 2.1]
    ours = [one["requests_per_second"] for each in found["rounds"] for one in each if one["peer"] == report.YETT]
    assert ours == [20_000, 21_000]


def test_h2load_s_times_are_read_from_its_log() -> None:
    log = "".join(f"17000000\t{200 if number else 401}\t{1000 * (number + 1)}\n" for number in range(100))
    found = h2load.parse(log, h2load.Stream("token", 10), 10)

    assert (found.rate, found.p50, found.p99, found.longest, found.failed) == (10.0, 50.0, 99.0, 100.0, 1)
    with pytest.raises(ValueError, match="h2load"):
        h2load.parse("", h2load.Stream("token", 10), 10)


def test_a_token_is_looked_into_without_a_key() -> None:
    assert minted.claims_of("e30.eyJzdWIiOiJhbGljZSJ9.c2ln") == {"sub": "alice"}


def test_every_route_of_many_answers_its_path() -> None:
    found = yaml.safe_load(many.routes(3))

    assert [route["match"]["path"] for route in found] == [many.path(number)[:-1] + "**" for number in range(3)]


@pytest.mark.parametrize("signature", ["AAAA", "BBBB", "Zm9v"])
def test_a_forged_token_differs_in_its_signature_only(signature: str) -> None:
    forged = sanity.forged(f"header.claims.{signature}")

    assert forged.startswith("header.claims.")
    assert len(forged) == len(f"header.claims.{signature}")
    assert forged != f"header.claims.{signature}"


def test_the_warm_up_ends_when_every_token_was_seen_in_one_run() -> None:
    runs = iter([40, 90, 110, 500])

    proxy.until_all_were_seen(lambda: next(runs), 100)

    assert next(runs) == 500


def test_a_warm_up_that_gets_nowhere_fails_the_run() -> None:
    with pytest.raises(ValueError, match="100 requests were not answered"):
        proxy.until_all_were_seen(lambda: 99, 100)
