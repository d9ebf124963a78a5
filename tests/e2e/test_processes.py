"""Several workers on one PostgreSQL: they start, die, reload and end as one service (rule 12)."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.command import script
from tests.e2e.conftest import Copy
from tests.e2e.eventually import eventually
from tests.e2e.installation import API
from tests.e2e.several import WORKERS, Several


@pytest.fixture
def several(copy_of: Copy) -> Iterator[Several]:
    of = copy_of("postgresql")
    running = Several(of, of.data.parent)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.close()
        running.discard()


def test_all_serve_and_all_end(several: Several) -> None:
    workers = several.workers()
    assert len(workers) == WORKERS
    assert several.probes.get("/readyz").json()["checks"] == {"feed": "ok", "hashing": "ok", "workers": "ok"}
    token = several.token("alice")
    for worker in workers:
        with several.client_of(worker, API) as client:
            answer = client.get("/orders/1", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
    several.close()
    several.stop()
