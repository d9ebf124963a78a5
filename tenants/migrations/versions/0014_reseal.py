"""Sealed secrets can be moved to another master key, and it is known which keys the serving processes have."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_SYSTEM_GRANTS = {
    "installation": "UPDATE (master_key_check, stand_in_secret)",
    "signing_keys": "SELECT (sealed_private), UPDATE (sealed_private)",
    "totp_factors": "SELECT (tenant_id, id, sealed_secret), UPDATE (sealed_secret)",
    "mail_outbox": "SELECT (sealed_fields), UPDATE (sealed_fields)",
    "refresh_tokens": "SELECT (digest)",
    "audit_keys": "UPDATE (sealed_private)",
}


def upgrade() -> None:
    """What stands in for unknown users was drawn with the very envelope of the check, which will change now: it is kept
    as it is, so that no name costs another time than before.
    """
    op.add_column("installation", sa.Column("stand_in_secret", sa.LargeBinary(), nullable=True))
    op.add_column("serving", sa.Column("master_keys", sa.Text(), nullable=True))
    op.execute("UPDATE installation SET stand_in_secret = master_key_check")
    if op.get_bind().dialect.name == "postgresql":
        for table, privileges in _SYSTEM_GRANTS.items():
            op.execute(f"GRANT {privileges} ON {table} TO yett_system")


def downgrade() -> None:
    """As the others: no migration is undone."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
