"""What the benchmark of connections that stay makes of its figures."""

from dataclasses import replace

import connections
import pytest
from connections import Case
from open_loop import Latencies

MIB = 1024 * 1024
QUIET = Latencies(requests=1000, rate=100.0, p50=1.0, p99=2.0, p999=3.0, longest=4.0, late=0.1, failed=0)
CROWD = "idle, WebSockets, events"


def cases(*, memory: int = 100, p99: float = 2.0, failed: int = 0, closed: int = 0) -> list[Case]:
    beside = replace(QUIET, p99=p99, failed=failed)
    seen = {"events": 10, "messages": 20, "closed": closed}
    return [Case("nobody", 0, 50 * MIB, QUIET, {}), Case(CROWD, 12_000, memory * MIB, beside, seen)]


def test_what_stays_below_its_bars_misses_nothing() -> None:
    assert connections.missing(cases(memory=400, p99=6.0), memory=400 * MIB, ratio=3) == []


@pytest.mark.parametrize("worse", [{"memory": 401}, {"p99": 6.1}, {"failed": 1}, {"closed": 1}])
def test_each_bar_can_be_missed(worse: dict[str, int]) -> None:
    assert len(connections.missing(cases(**worse), memory=400 * MIB, ratio=3)) == 1


def test_a_row_for_each_crowd_and_what_came_through() -> None:
    shown = connections.report(cases(), {"CPU": "a fast one"})
    assert "| idle, WebSockets, events | 12,000 | 100 | 100 | 1.00 | 2.00 | 3.00 | 4.00 | 0 |" in shown
    assert "10 events and 20 WebSocket messages" in shown
