"""The tree above each audit log, its checkpoints and their keys; events can be erased."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_GRANTS = {
    "audit_trees": "SELECT, INSERT, UPDATE (size, edge, checkpoint, signed_at, erased)",
    "audit_nodes": "SELECT, INSERT",
    "audit_keys": "SELECT, INSERT",
    "audit_events": "UPDATE (subject, salt, event)",
}


def upgrade() -> None:
    """Make the tables. The trees of the logs that there are grow by themselves, some thousand events at a time."""
    op.create_table(
        "audit_trees",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_trees_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_trees"),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_nodes_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "level", "position", name="pk_audit_nodes"),
    )
    op.create_table(
        "audit_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("public", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_keys_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_keys"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("audit_trees", "audit_nodes", "audit_keys"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({_OWNED}) WITH CHECK ({_OWNED})")
        for table, privileges in _GRANTS.items():
            op.execute(f"GRANT {privileges} ON {table} TO yett_system")


def downgrade() -> None:
    """What the new tables hold would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
