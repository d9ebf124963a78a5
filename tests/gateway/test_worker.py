"""What is a worker's of what its pod may have, and how the workers know of each other."""

import pytest

from gateway.metrics import Family, Sheets
from gateway.worker import ALONE, Board, Worker
from tests.conftest import Clock


@pytest.mark.parametrize(("total", "of"), [(8, 1), (8, 2), (8, 3), (128, 5), (2, 2)])
def test_the_shares_of_all_workers_are_the_whole(total: int, of: int) -> None:
    shares = [Worker(number, of).share(total) for number in range(of)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_no_share_is_less_than_it_takes_to_work() -> None:
    assert [Worker(number, 4).share(2) for number in range(4)] == [1, 1, 1, 1]
    assert [Worker(number, 8).share(8, least=2) for number in range(8)] == [2] * 8


def test_all_are_well_when_each_has_said_so_lately(clock: Clock) -> None:
    board = Board(2, clock.monotonic)
    first, second = Worker(0, 2, board), Worker(1, 2, board)
    well = first.checks()["workers"]
    assert not well()
    first.tell(True)
    assert not well()
    second.tell(True)
    assert well()
    clock.advance(seconds=4)
    first.tell(True)
    assert well()
    clock.advance(seconds=2)
    assert not well()  # the second hangs
    second.tell(True)
    first.tell(True)
    second.tell(False)
    assert not well()


def test_who_is_alone_has_nobody_to_ask_for() -> None:
    ALONE.tell(True)
    assert ALONE.checks() == {}
    assert ALONE.share(8) == 8


def test_a_scrape_tells_even_what_is_too_much_for_the_sheet() -> None:
    counted = Family("many", "Of them.", "counter", ("which",), {(str(number),): 1 for number in range(100)})
    worker = Worker(0, 2, sheets=Sheets(2, size=64))
    assert worker.all_of([counted]) == [counted]
    with pytest.raises(ValueError, match="do not fit"):
        worker.lay_down([counted])
