"""The oldest code that runs on this schema."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the record. What it says is written with each upgrade, not by migrations."""
    op.create_table(
        "schema_support",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_schema_support_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_schema_support"),
    )
    op.execute("INSERT INTO schema_support (id, oldest_code) VALUES (1, '0001')")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("GRANT SELECT ON schema_support TO yett_system")


def downgrade() -> None:
    """As the others: no migration is undone."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
