"""The bench of imports: a writer that starves misses the bar."""

import math
import sqlite3
import threading
import time
from pathlib import Path

import imports
import pytest


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "yett.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE tenants (slug TEXT, active INTEGER)")
        connection.execute("CREATE TABLE user_imports (finished_at TEXT)")
        connection.execute("INSERT INTO user_imports VALUES (NULL)")
    return path


def until(writer: imports.Writer, waits: int) -> None:
    """Until it has waited so often; the test's time limit ends what never is."""
    while len(writer.waits) < waits:
        time.sleep(0.01)


def test_a_writer_that_starves_misses_the_bar_and_goes_on(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_BUSY_SECONDS", 0.05)
    writer = imports.Writer(database)
    thread = threading.Thread(target=writer.run)
    holder = sqlite3.connect(database, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        thread.start()
        until(writer, 1)
        holder.execute("ROLLBACK")
        until(writer, len(writer.waits) + 2)
    finally:
        holder.close()
        writer.stop()
        thread.join()

    assert writer.waits[0] == math.inf
    assert writer.waits[-1] < 10
    assert len(imports.bars_missed(1, writer.waits, 300, 2)) == 1


def test_the_longest_wait_and_the_time_have_bars() -> None:
    assert imports.bars_missed(300, [0.1, 2.0], 300, 2) == []
    assert len(imports.bars_missed(301, [0.1, 2.01], 300, 2)) == 2
