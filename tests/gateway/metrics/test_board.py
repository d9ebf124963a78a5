"""Workers lay down what they counted, and the one that is scraped never reads half of it."""

import os

import pytest

from gateway.metrics import Family, Sheets
from gateway.worker import Worker


def counted(number: float, more: int = 0) -> list[Family]:
    values = {("",): number, **{(f"route {each}",): number for each in range(more)}}
    return [Family("requests", "-", "counter", ("route",), values)]


def test_what_a_process_laid_down_another_reads() -> None:
    sheets = Sheets(2)
    assert sheets.read(1) == []
    child = os.fork()
    if child == 0:
        sheets.write(1, counted(7, more=500))
        os._exit(0)
    os.waitpid(child, 0)
    assert sheets.read(1) == counted(7, more=500)
    assert sheets.read(0) == []


def test_a_sheet_that_is_being_written_is_not_read() -> None:
    sheets = Sheets(1)
    sheets.write(0, counted(1))
    assert sheets.read(0) == counted(1)
    sheets._memory[20:24] = b"half"
    assert sheets.read(0) == counted(1)
    sheets.write(0, counted(2))
    assert sheets.read(0) == counted(2)


def test_what_does_not_fit_is_told_and_nothing_is_written_beyond() -> None:
    sheets = Sheets(2, size=512)
    sheets.write(1, counted(1))
    with pytest.raises(ValueError, match="do not fit"):
        sheets.write(0, counted(1, more=100))
    assert sheets.read(0) == []
    assert sheets.read(1) == counted(1)


def test_a_replaced_workers_counters_stay_in_the_total_and_its_gauges_end() -> None:
    sheets = Sheets(2)
    gauge = Family("open", "-", "gauge", (), {(): 3.0})
    sheets.write(1, [*counted(7), gauge])
    sheets.bury(1)
    assert sheets.read(1) == counted(7)
    sheets.write(1, [*counted(2), gauge])  # its successor begins with nothing of its own
    assert sheets.read(1) == sorted([*counted(9), gauge], key=lambda family: family.name)
    sheets.bury(1)
    assert sheets.read(1) == counted(9)


def test_who_is_killed_while_it_writes_leaves_what_it_wrote_before() -> None:
    sheets = Sheets(1)
    sheets.write(0, counted(1))
    sheets.write(0, counted(2))
    at = sheets._at(0, 2)
    sheets._memory[at + 20 : at + 24] = b"half"
    sheets.bury(0)
    assert sheets.read(0) == counted(1)


def test_no_counter_that_a_scrape_has_seen_goes_back() -> None:
    sheets = Sheets(2)
    scraped = Worker(1, 2, sheets=sheets).all_of(counted(5))
    assert scraped == counted(5)
    sheets.bury(1)  # killed before it laid down anything by itself
    assert Worker(0, 2, sheets=sheets).all_of([]) == counted(5)
    assert Worker(1, 2, sheets=sheets).all_of(counted(1)) == counted(6)
