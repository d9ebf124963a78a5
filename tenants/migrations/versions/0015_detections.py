"""Severity of audit events, and what detections are made with."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Add columns that code of before may leave out, and make the tables."""
    op.add_column("tenants", sa.Column("detections", _JSON, server_default=sa.text("'{}'"), nullable=False))
    op.add_column("audit_events", sa.Column("severity", sa.SmallInteger(), nullable=True))
    op.create_index(
        "ix_audit_events_severity",
        "audit_events",
        ["tenant_id", "at"],
        postgresql_where=sa.text("severity IS NOT NULL"),
        sqlite_where=sa.text("severity IS NOT NULL"),
    )
    op.create_table(
        "audit_watches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("state", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_watches_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_watches"),
    )
    op.create_table(
        "user_countries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_user_countries_tenants", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_user_countries_users",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "country", name="pk_user_countries"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("audit_watches", "user_countries"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({_OWNED}) WITH CHECK ({_OWNED})")
            op.execute(f"GRANT SELECT, INSERT ON {table} TO yett_app")
        op.execute("GRANT UPDATE (position, state) ON audit_watches TO yett_app")
        op.execute("GRANT SELECT (tenant_id, position) ON audit_watches TO yett_system")
        op.execute("GRANT UPDATE (detections) ON tenants TO yett_app")


def downgrade() -> None:
    """What the new tables hold would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
