"""The place in a log moves for one, whoever asks and however the statement is run."""

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tenants.database import Database
from tenants.detections import Progress
from tenants.store import Store
from tenants.tenant import Tenant


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "by SQLAlchemy"])
async def test_the_first_place_is_one_processs_to_set(
    database: Database, store: Store, acme: Tenant, globex: Tenant, prepared: bool
) -> None:
    def listening(*_: object) -> None:
        """Who listens for this has SQLAlchemy run each statement (tenants/prepared.py)."""

    engine: Engine = database.app.sync_engine
    if not prepared:
        event.listen(engine, "before_cursor_execute", listening)
    new = Progress(0, {}, 5, is_new=True)
    moved = []
    for tenant in (acme, globex, acme, globex):
        async with store.for_tenant(tenant.id) as mine:
            moved.append(await mine.detections.advance(new, 5, {"v": 1}))
    assert moved == [True, True, False, False]
    for late in (False, True):
        async with store.for_tenant(acme.id) as mine:
            assert await mine.detections.advance(Progress(5, {}, 9, is_new=False), 9, {}) is not late
