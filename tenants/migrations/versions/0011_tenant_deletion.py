"""When a tenant is to be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the time, and let it be acted on."""
    op.add_column("tenants", sa.Column("delete_at", sa.DateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("GRANT UPDATE (delete_at) ON tenants TO yett_app")
        op.execute("GRANT DELETE ON tenants TO yett_system")
        op.execute("GRANT INSERT ON changes TO yett_system")


def downgrade() -> None:
    """Tenants that wait for their deletion would live on: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
