"""What ``/readyz`` says of a database that is another one than at the start, and that it takes the word back."""

from typing import Any

from sqlalchemy import update
from structlog.testing import capture_logs

from tenants.migrate import newest
from tenants.sealing import MasterKey, MasterKeys
from tenants.tables import installation as sealed_check
from tests.gateway.asgi import calling
from tests.gateway.world import World

ALL_WELL = dict.fromkeys(("feed", "hashing", "schema", "master_key"), "ok")


async def readiness(world: World) -> tuple[int, dict[str, str]]:
    """What the probe is told, after a look."""
    await world.fitness.look()
    async with calling(world.service.management) as client:
        answer = await client.get("/readyz")
    body: dict[str, Any] = answer.json()
    assert body["status"] == ("ok" if answer.status_code == 200 else "failed")
    return answer.status_code, body["checks"]


async def alter(world: World, *statements: str) -> None:
    """What another version does to the database."""
    async with world.installation.database.system_step() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def test_a_schema_that_has_left_this_version_behind_takes_it_out_of_service_until_it_is_back(
    world: World,
) -> None:
    assert await readiness(world) == (200, ALL_WELL)
    await alter(
        world, "UPDATE alembic_version SET version_num = '9999'", "UPDATE schema_support SET oldest_code = '9999'"
    )
    with capture_logs() as logs:
        assert await readiness(world) == (503, {**ALL_WELL, "schema": "failed"})
        assert await readiness(world) == (503, {**ALL_WELL, "schema": "failed"})
    told = [line for line in logs if line["event"] == "database_unfit"]
    assert [(line["check"], "upgrade Yett" in line["reason"]) for line in told] == [("schema", True)]
    await alter(world, f"UPDATE alembic_version SET version_num = '{newest()}'")
    assert await readiness(world) == (200, ALL_WELL)


async def test_a_newer_schema_that_carries_this_version_changes_nothing(world: World) -> None:
    await alter(world, "UPDATE alembic_version SET version_num = '9999'")
    assert await readiness(world) == (200, ALL_WELL)


async def test_a_database_of_another_master_key_takes_it_out_of_service_until_it_is_back(world: World) -> None:
    database, place = world.installation.database, {"tenant": "", "table": "installation", "row": "1"}
    foreign = MasterKeys([MasterKey("other", b"o" * 32)]).seal(b"yett", **place, column="master_key_check")
    async with database.system_step() as connection:
        own = (await connection.exec_driver_sql("SELECT master_key_check FROM installation")).scalar_one()
        await connection.execute(update(sealed_check).values(master_key_check=foreign))
    assert await readiness(world) == (503, {**ALL_WELL, "master_key": "failed"})
    async with database.system_step() as connection:
        await connection.execute(update(sealed_check).values(master_key_check=own))
    assert await readiness(world) == (200, ALL_WELL)


async def test_a_feed_that_is_silent_for_too_long_takes_it_out_of_service_until_it_is_heard(world: World) -> None:
    world.clock.advance(seconds=61)
    assert await readiness(world) == (503, {**ALL_WELL, "feed": "failed"})
    await world.snapshot.poll()
    assert await readiness(world) == (200, ALL_WELL)
