"""The admin API: answers to requests that may be sent again, and the rights to change what no command changed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps


def upgrade() -> None:
    """Make the table, and let roles be changed and deleted, and tenants be renamed."""
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("principal", sa.LargeBinary(length=32), nullable=False),
        sa.Column("request", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_idempotency_keys_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_principal", "idempotency_keys", ["tenant_id", "principal"])
    op.create_index("ix_idempotency_keys_expiry", "idempotency_keys", ["expires_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON idempotency_keys USING ({_OWNED}) WITH CHECK ({_OWNED})")
        op.execute("GRANT SELECT, INSERT, DELETE ON idempotency_keys TO yett_app")
        op.execute("GRANT SELECT (tenant_id, digest, sealed_answer, expires_at) ON idempotency_keys TO yett_system")
        op.execute("GRANT UPDATE (sealed_answer), DELETE ON idempotency_keys TO yett_system")
        op.execute("GRANT UPDATE (scopes), DELETE ON roles TO yett_app")
        op.execute("GRANT UPDATE (name) ON tenants TO yett_app")


def downgrade() -> None:
    """What the new table holds would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
