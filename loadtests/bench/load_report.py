"""Locust's two tables as one of Markdown: what a page shows of a run of all scenarios."""

import re

import table

COLUMNS = ("scenario", "row", "requests", "failed", "a second", "50 % ms", "99 % ms")
_PERCENTILES = "Response time percentiles"
_COUNTS = re.compile(r"^([A-Z]+) +(\S.*?) {2,}(\d+) +(\d+)\(.*?\) \|.*?\| +([\d.]+)", re.MULTILINE)
_TIMES = re.compile(r"^([A-Z]+) +(\S.*?) {2,}(\d[\d ]+)$", re.MULTILINE)
_MEDIAN, _P99 = 0, 7  # of 50, 66, 75, 80, 90, 95, 98, 99 %


def rows(scenario: str, printed: str) -> list[tuple[str, ...]]:
    """Of what locust printed, the scenario's name in the first of them. None where no request was made."""
    counts, _, times = printed.partition(_PERCENTILES)
    found = {(row[1], row[2]): row[3].split() for row in _TIMES.finditer(times)}
    names = iter([scenario])
    return [
        (
            next(names, ""),
            f"`{row[2]}`" if row[1] == "WAIT" else f"`{row[1]} {row[2]}`",
            f"{int(row[3]):,}",
            row[4],
            f"{float(row[5]):,.1f}",
            found[row[1], row[2]][_MEDIAN],
            found[row[1], row[2]][_P99],
        )
        for row in _COUNTS.finditer(counts)
    ]


def markdown(found: list[tuple[str, ...]]) -> list[str]:
    """Lines of all scenarios' rows."""
    return table.markdown(COLUMNS, found, names=2)
