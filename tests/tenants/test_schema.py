"""The migrations make what the model says, and rule 1 holds for every table."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from tenants import migrate
from tenants.database import Database
from tenants.tables import CLUSTER_TABLES, NOBODYS_TABLES, metadata


async def test_migrations_end_at_the_model(database: Database) -> None:
    async with database.system.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    assert differences == []


async def test_a_migrated_database_is_accepted(database: Database) -> None:
    await migrate.check(database)


async def test_every_tenant_owned_table_begins_its_keys_with_the_tenant() -> None:
    for table in metadata.tables.values():
        if table.name in CLUSTER_TABLES | {"tenants"}:
            continue
        assert next(iter(table.primary_key)).name == "tenant_id", table.name
        for key in table.foreign_key_constraints:
            assert next(iter(key.columns)).name == "tenant_id", table.name
            if key.referred_table.name != "tenants":
                assert key.elements[0].column.name == "tenant_id", table.name


async def test_every_tenants_table_is_under_row_level_security(database: Database) -> None:
    if database.is_sqlite:
        return
    async with database.system.connect() as connection:
        rows = await connection.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity AND relkind = 'r'")
        )
        isolated = set(rows.scalars())
    assert isolated == set(metadata.tables) - NOBODYS_TABLES
