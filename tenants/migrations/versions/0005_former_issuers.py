"""Issuers that tenants had before, so that one can be changed with an overlap."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "former_issuers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_former_issuers_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "issuer", name="pk_former_issuers"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE former_issuers ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE former_issuers FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON former_issuers USING ({_OWNED}) WITH CHECK ({_OWNED})")
        op.execute("GRANT SELECT, INSERT, UPDATE (until) ON former_issuers TO yett_app")
        op.execute("GRANT UPDATE (issuer) ON tenants TO yett_app")
        op.execute("GRANT SELECT ON former_issuers TO yett_system")


def downgrade() -> None:
    """What the new table holds would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
