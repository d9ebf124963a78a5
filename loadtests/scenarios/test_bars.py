"""What a run has to reach, and the sentences on what it missed."""

import pytest

from scenarios.bars import Bars, Row, percentile
from scenarios.rows import KINDS, LOGIN, OTP, PUBLIC, READ, told_to_wait

ROWS = (
    Row(LOGIN, 100, 1, {20: 97, 900: 3}),
    Row(OTP, 100, 0, {5: 100}),
    Row(READ, 900, 9, {2: 900}),
    Row(PUBLIC, 100, 0, {1: 100}),
    Row(told_to_wait(LOGIN, 429), 10, 0, {5000: 10}),
)


def missed(*, p99: str = "", rps: str = "", ratio: float | None = 1.0, failures: int | None = None) -> list[str]:
    """Of ten seconds."""
    return Bars.parse(p99=p99, rps=rps, ratio=ratio, failures=failures).missed(ROWS, seconds=10.0, errors=0)


@pytest.mark.parametrize(
    ("times", "expected"), [({7: 1}, 7), ({1: 99, 500: 1}, 1), ({1: 98, 500: 2}, 500), ({3: 1, 1: 1, 2: 1}, 3)]
)
def test_the_99th_percentile_is_a_time_within_which_99_of_100_were_done(times: dict[int, int], expected: int) -> None:
    assert percentile(times, 0.99) == expected


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no request"):
        percentile({}, 0.99)


def test_what_is_reached_is_not_mentioned() -> None:
    assert missed(p99="login=900,api=2", rps="login=19.9,api=99", ratio=0.01) == []


def test_a_kind_is_all_of_its_rows_without_those_that_were_told_to_wait() -> None:
    assert missed(p99="login=899") == ["99 % of login took up to 900 ms, and --fail-p99 allows 899"]


def test_only_what_was_done_counts_for_the_rate() -> None:
    assert missed(rps="api=100") == ["api came to 99.1 a second, and --fail-rps asks for 100"]


def test_a_kind_that_never_came_is_missed_and_not_passed() -> None:
    assert missed(p99="revoked=2000", rps="refresh=1") == [
        "--fail-p99 revoked=2000 cannot be judged: no request of that kind was answered",
        "refresh came to 0.0 a second, and --fail-rps asks for 1",
    ]


def test_failures_are_judged_by_their_share_and_by_their_number() -> None:
    assert missed(ratio=0.005) == ["10 of 1,210 requests failed (0.83%), and --fail-ratio allows 0.50%"]
    assert missed(ratio=None, failures=9) == ["10 failures, and --max-failures allows 9"]
    assert missed(ratio=None) == ["10 failures, and --max-failures allows 0"]
    assert missed(ratio=None, failures=10) == []


def test_an_error_of_the_test_itself_is_a_failure() -> None:
    bars = Bars.parse(p99="", rps="", ratio=None, failures=None)

    assert bars.missed([Row(READ, 1, 0, {1: 1})], seconds=1.0, errors=1) == ["1 failures, and --max-failures allows 0"]


@pytest.mark.parametrize(
    "text", ["logn=1", "login", "login=", "login=fast", "login=0", "login=-1", "login=nan", "login=inf", "api=1,api=2"]
)
def test_a_bar_that_means_nothing_is_refused(text: str) -> None:
    for option in ("p99", "rps"):
        with pytest.raises(ValueError, match=f"--fail-{option}: "):
            missed(**{option: text})


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_a_ratio_is_a_share(ratio: float) -> None:
    with pytest.raises(ValueError, match="share from 0 to 1"):
        missed(ratio=ratio)


def test_no_row_is_of_two_kinds() -> None:
    rows = [row for kind in KINDS.values() for row in kind]

    assert len(rows) == len(set(rows))
