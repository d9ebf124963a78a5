"""Workers lay down what they counted, and the one that is scraped never reads half of it."""

import os

import pytest

from gateway.metrics import Family, Sheets


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
