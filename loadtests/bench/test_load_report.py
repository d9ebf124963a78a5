"""Locust's tables, read back."""

import load_report

PRINTED = """\
Type     Name                          # reqs      # fails |    Avg     Min     Max    Med |   req/s  failures/s
--------|--------|--------
GET      /orders/N                       2598     0(0.00%) |      1       0      27      1 |  129.11        0.00
POST     /token login [429, told to wait]    2     1(50.00%) |      4       3       5      5 |    0.10        0.05
WAIT     revoked until refused             41     0(0.00%) |    117      23     223    120 |    2.05        0.00
--------|--------|--------
         Aggregated                      2641     1(0.04%) |      3       0     223      1 |  131.26        0.05

Response time percentiles (approximated)
Type     Name                           50%   66%   75%   80%   90%   95%   98%   99%  99.9% 99.99%  100% # reqs
--------|--------|--------
GET      /orders/N                        1     2     2     2     3     3     5     6    15    27    27  2598
POST     /token login [429, told to wait]   5     5     5     5     5     5     5     5     5     5     5     2
WAIT     revoked until refused          120   140   160   170   200   210   220   220   220   220   220    41
--------|--------|--------
         Aggregated                       1     2     2     2     3     4     6   120   220   220   220  2641
"""


def test_each_row_has_its_counts_beside_its_percentiles() -> None:
    """Two blanks at least stand between a name and its number."""
    assert load_report.rows("steady", PRINTED) == [
        ("steady", "`GET /orders/N`", "2,598", "0", "129.1", "1", "6"),
        ("", "`POST /token login [429, told to wait]`", "2", "1", "0.1", "5", "5"),
        ("", "`revoked until refused`", "41", "0", "2.0", "120", "220"),
    ]


def test_a_run_without_a_request_has_no_row() -> None:
    assert load_report.rows("steady", "load test: no request was made\n") == []


def test_they_are_a_table_of_markdown() -> None:
    lines = load_report.markdown(load_report.rows("steady", PRINTED))

    assert lines[0] == "| scenario | row | requests | failed | a second | 50 % ms | 99 % ms |"
    assert lines[2] == "| steady | `GET /orders/N` | 2,598 | 0 | 129.1 | 1 | 6 |"
