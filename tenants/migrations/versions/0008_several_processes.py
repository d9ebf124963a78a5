"""What the serving processes of an installation keep in common: who they are, whose turn it is, budgets of limits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_SYSTEM_GRANTS = {
    "serving": "SELECT, INSERT, UPDATE, DELETE",
    "turns": "SELECT, INSERT, UPDATE",
    "budgets": "SELECT, INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    """Make the tables. Nothing in them outlives the processes, so PostgreSQL keeps them out of its log."""
    op.create_table(
        "serving",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_serving"),
    )
    op.create_table(
        "turns",
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_turns"),
    )
    op.create_table(
        "budgets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_budgets"),
    )
    op.create_index("ix_budgets_until", "budgets", ["until"])
    if op.get_bind().dialect.name == "postgresql":
        for table, privileges in _SYSTEM_GRANTS.items():
            op.execute(f"ALTER TABLE {table} SET UNLOGGED")
            op.execute(f"GRANT {privileges} ON {table} TO yett_system")
        op.execute("ALTER TABLE budgets ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE budgets FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON budgets USING ({_OWNED}) WITH CHECK ({_OWNED})")


def downgrade() -> None:
    """The schema of before would not be known to this version: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
