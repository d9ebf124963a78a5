"""The machine's clock is stepped under a gateway that people use: nothing that was answered is lost or told twice."""

import os
from collections.abc import Iterator
from functools import partial
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import ledger
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.failing import SECONDS, House, standing
from tests.e2e.ledger import ISSUE, LOGIN
from tests.e2e.own_postgresql import own_postgresql

pytestmark = pytest.mark.soak

_ENOUGH = 200 if os.environ.get("YETT_TEST_SOAK") else 5
_SLEEP = """\
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds)
"""
"""The library takes the moment that Python's own names to the kernel for one of its clock's, and sleeping fails."""
_STEPS = ("-2h", "+0", "+2h", "+0")


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """What it says is what the gateway's clock is off by."""
    path = tmp_path / "clock"
    path.write_text("+0", encoding="ascii")
    return path


@pytest.fixture
def house(copy_of: Copy, tmp_path: Path, upstream: Any, clock: Path) -> Iterator[House]:
    library = glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert library, "Debian's package faketime is missing: it steps the clock"
    (tmp_path / "sitecustomize.py").write_text(_SLEEP, encoding="ascii")
    faked = {
        "PYTHONPATH": str(tmp_path),
        "LD_PRELOAD": library[0],
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with (
        own_postgresql() as server,
        standing(server, copy_of("postgresql"), tmp_path, upstream.url, **faked) as found,
    ):
        yield found


def _answers(house: House, status: int) -> bool:
    """To a token from before."""
    return house.gateway.call("/orders/1", house.token).status_code == status


def test_what_is_answered_while_the_clock_is_wrong_is_kept(house: House, clock: Path) -> None:
    with house.busy() as noted:
        for step in ("+0", *_STEPS):
            clock.write_text(step, encoding="ascii")
            for kind in (LOGIN, ISSUE):
                before = noted.count(kind)
                what = f"people log in at {step}: {noted.refused} {noted.strange} {house.gateway.log[-3000:]}"
                eventually(partial(noted.has, kind, before + _ENOUGH), within=SECONDS, what=what)
            eventually(
                partial(_answers, house, 401 if step == "+2h" else 200), within=SECONDS, what=f"it hears of {step}"
            )
            new = house.gateway.login("alice")["access_token"]
            assert house.gateway.call("/orders/1", new).status_code == 200, step
    assert not noted.broken
    ledger.check(house.of, noted)
