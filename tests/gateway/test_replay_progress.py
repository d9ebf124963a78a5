"""Who decides a long log again is told now and then how far it is."""

import pytest

from gateway.cli.policy_diff import Progress
from tests.gateway.proxy.harness import Clock


@pytest.mark.parametrize(("size", "told"), [(400, "2,000 lines, 25 %\n"), (None, "2,000 lines\n")])
def test_a_line_every_two_seconds(size: int | None, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    progress = Progress(size, clock)
    progress.tell(1_000, 50)
    assert capsys.readouterr().err == ""
    clock.now += 2
    progress.tell(2_000, 100)
    progress.tell(3_000, 150)
    assert capsys.readouterr() == ("", told)
