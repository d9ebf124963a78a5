"""Where audit events were sent to, and how far: each sink, and its position in each tenant's log."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps


def upgrade() -> None:
    """Make the tables. They are ``yett_system``'s alone: no tenant's step has to do with them."""
    op.create_table(
        "sinks",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_sinks"),
    )
    op.create_table(
        "sink_positions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("sink", sa.String(length=63), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_sink_positions_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "sink", name="pk_sink_positions"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("sinks", "sink_positions"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO yett_system")
        op.execute(f"CREATE POLICY tenant ON sink_positions USING ({_OWNED}) WITH CHECK ({_OWNED})")


def downgrade() -> None:
    """What the new tables hold would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
