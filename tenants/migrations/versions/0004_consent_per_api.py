"""Consents are remembered for each API, and an approved device code keeps what its person was shown.

The table of consents is made anew: which of its scopes was agreed to for which of its APIs is not in the old one, so
people are asked again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps


def upgrade() -> None:
    """Put the new table in the old one's place."""
    op.drop_table("consents")
    op.create_table(
        "consents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("audience", sa.String(length=2000), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("granted_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_consents_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_consents_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_consents_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "client_id", "audience", name="pk_consents"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE consents ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE consents FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON consents USING ({_OWNED}) WITH CHECK ({_OWNED})")
        op.execute("GRANT SELECT, INSERT, DELETE, UPDATE (scopes, granted_at) ON consents TO yett_app")
        op.execute("GRANT UPDATE (scopes) ON device_codes TO yett_app")
        op.execute("REVOKE UPDATE (dpop_jkt) ON refresh_families FROM yett_app")  # bound when begun, and never later


def downgrade() -> None:
    """What the new table holds would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
