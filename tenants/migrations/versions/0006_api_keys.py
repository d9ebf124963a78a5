"""API keys of tenants, for machines that cannot do OAuth."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_KNOWN = "tenant_id, id, digest, scopes, audiences, created_at, expires_at, revoked_at, last_used_at"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_api_keys_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_api_keys"),
        sa.UniqueConstraint("tenant_id", "digest", name="uq_api_keys_tenant_id_digest"),
    )
    op.create_index("ix_api_keys_expiry", "api_keys", ["expires_at"])
    op.create_index("ix_api_keys_revoked", "api_keys", ["revoked_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE api_keys FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON api_keys USING ({_OWNED}) WITH CHECK ({_OWNED})")
        op.execute("GRANT SELECT, INSERT, UPDATE (revoked_at), DELETE ON api_keys TO yett_app")
        op.execute(f"GRANT SELECT ({_KNOWN}), UPDATE (last_used_at), DELETE ON api_keys TO yett_system")


def downgrade() -> None:
    """What the new table holds would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
