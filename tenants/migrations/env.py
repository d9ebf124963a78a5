"""Alembic's entry: the connection is handed in by ``tenants.migrate``; there is no offline mode and no ini file."""

from alembic import context

from tenants.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=context.config.attributes["connection"].dialect.name == "sqlite",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
