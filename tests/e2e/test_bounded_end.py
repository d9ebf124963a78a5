"""The end of a service comes within its bound, whatever the database does. It takes as long as an end may take."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.failing import SECONDS, House, standing
from tests.e2e.gateway import Gateway
from tests.e2e.own_postgresql import own_postgresql

pytestmark = pytest.mark.soak


@pytest.fixture
def house(copy_of: Copy, tmp_path: Path, upstream: Any) -> Iterator[House]:
    with own_postgresql() as server, standing(server, copy_of("postgresql"), tmp_path, upstream.url) as found:
        yield found


def test_an_end_is_bounded_though_the_database_never_answers(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nor is it cut off by signals that come again meanwhile."""
    gateway = Gateway(
        house.of, tmp_path_factory.mktemp("ending"), YETT_PROCESSES="2", YETT_DRAIN="1s", YETT_HASHING__HELPERS="1"
    )
    try:
        gateway.wait_until_ready()
        everyone = psutil.Process(gateway.pid).children()
        with house.server.held_up():
            assert gateway.call("/orders/1").status_code == 401  # which is to be written
            gateway.terminate()
            begun = time.monotonic()
            eventually(gateway.is_closed, within=SECONDS, what="it ends")
            for worker in everyone:
                for number in (signal.SIGTERM, signal.SIGTERM):
                    worker.send_signal(number)
            assert gateway.process.wait(SECONDS) == 0, gateway.log
        assert 1 + 10 <= time.monotonic() - begun < 1 + 10 + 8
        assert "observations_lost" in gateway.log
    finally:
        gateway.close()
        gateway.discard()
