"""A schema grows before it shrinks: what the release before this one says to its database, this schema understands.

Processes of both versions run while one is rolled out. ``tests/vectors/released`` has a recording of each release that
``migrate.OLDEST_CODE`` lets run; its name is the release's and that of its schema. A release adds its own:
``YETT_TEST_RECORD_RELEASE=0.2.0 make test PYTEST_ARGS=tests/tenants/test_released.py``.
"""

import os
from pathlib import Path

import pytest

from gateway.housekeeping import Housekeeping
from tenants import migrate
from tenants.audit_log import AuditLog
from tenants.database import Database
from tenants.directory import Directory
from tenants.installation import check_master_key
from tenants.sealing import MasterKeys
from tenants.snapshot import Snapshot
from tenants.store import Store
from tests.conftest import Clock, drop_postgresql_database, make_postgresql_database
from tests.tenants import released
from tests.tenants.test_every_statement import run_each_method
from tests.tenants.test_isolation import settle

FOLDER = Path(__file__).parents[1] / "vectors" / "released"


async def say_everything(database: Database, master_keys: MasterKeys, clock: Clock) -> None:
    """All that this version says to a database: a tenant's every method, and what is done for all tenants."""
    store = Store(database, master_keys, clock)
    directory = Directory(database, store)
    log = AuditLog(database)
    await check_master_key(database, master_keys)
    me = await settle(directory, store, clock, 1)
    snapshot = Snapshot(database, clock=clock, monotonic=clock.monotonic)
    await snapshot.load()
    await run_each_method(store, me)
    assert await directory.find(me.slug)
    assert len(await directory.list()) == 1
    async with store.for_tenant(me.tenant_id) as mine:
        await mine.sessions.end(me.session.id)
        await mine.settings.set_active(False)
    await snapshot.poll()
    assert await log.sequence()
    assert [entry async for entry in log.export(me.tenant_id)]
    assert await log.newest(None, limit=5)
    housekeeping = Housekeeping(database, store, clock)
    clock.advance(days=200)
    await housekeeping.advance_keys()
    await housekeeping.prune()


async def test_what_this_version_says_can_be_kept_and_said_again(
    postgresql_admin_url: str, master_keys: MasterKeys, clock: Clock, tmp_path: Path
) -> None:
    release = os.environ.get("YETT_TEST_RECORD_RELEASE")
    path = tmp_path / "own.jsonl" if release is None else FOLDER / f"{release}-{migrate.newest()}.jsonl"
    first, second = [await make_postgresql_database(postgresql_admin_url) for _ in range(2)]
    database = Database.open(first.app, first.system)
    async with released.recording(database) as said:
        await say_everything(database, master_keys, clock)
    await database.close()
    released.write(path, said)
    kept = released.read(path)
    assert sum(len(transaction.statements) for transaction in kept) > 500
    kept[0].statements[0].rows += 1
    assert second.system is not None
    told = await released.replay(kept, app=second.app, system=second.system)
    assert [line.partition(":")[2].strip() for line in told] == [kept[0].statements[0].text]
    for urls in (first, second):
        await drop_postgresql_database(postgresql_admin_url, urls)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.jsonl")), ids=lambda path: path.stem)
async def test_a_release_that_may_still_run_is_understood(postgresql_admin_url: str, path: Path) -> None:
    _, _, schema = path.stem.rpartition("-")
    assert schema >= migrate.OLDEST_CODE, "it may not run any longer: its recording goes with it"
    urls = await make_postgresql_database(postgresql_admin_url)
    assert urls.system is not None
    assert await released.replay(released.read(path), app=urls.app, system=urls.system) == []
    await drop_postgresql_database(postgresql_admin_url, urls)


def test_the_release_before_this_one_may_run() -> None:
    """Else a rollout would have to stop the service."""
    assert max(path.stem for path in FOLDER.glob("*.jsonl")).rpartition("-")[2] >= migrate.OLDEST_CODE
