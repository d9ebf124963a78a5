"""The first schema: tables, row-level security, grants."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
# What is not used is not granted: a row that is written once stays as it was written.
_APP_GRANTS = {
    "tenants": "SELECT, INSERT, UPDATE (active, default_client_id, lifetimes)",
    "users": "SELECT, INSERT, UPDATE (active)",
    "passwords": "SELECT, INSERT, UPDATE (hash, version, changed_at)",
    "roles": "SELECT, INSERT",
    "user_roles": "SELECT, INSERT, DELETE",
    "clients": "SELECT, INSERT, UPDATE (active)",
    "client_secrets": "SELECT, INSERT, UPDATE (expires_at)",
    "sessions": "SELECT, INSERT, UPDATE (ended_at)",
    "refresh_families": "SELECT, INSERT, UPDATE (revoked_at)",
    "refresh_tokens": "SELECT, INSERT, UPDATE (consumed_at, successor_digest, sealed_successor)",
    "revocations": "SELECT, INSERT, UPDATE (before, expires_at)",
    "signing_keys": "SELECT, INSERT, UPDATE (state, sealed_private, promote_at, activated_at, retiring_at, ended_at)",
    "changes": "INSERT",
    "audit_outbox": "INSERT",
    "audit_heads": "SELECT",
    "audit_events": "SELECT",
    "installation": "SELECT",
    "alembic_version": "SELECT",
}
_SYSTEM_GRANTS = {
    "tenants": "SELECT",
    "clients": "SELECT (tenant_id, client_id, active, origins)",
    "signing_keys": "SELECT (tenant_id, kid, state, public_jwk, promote_at, retiring_at)",
    "sessions": "SELECT, DELETE",
    "refresh_families": "SELECT, DELETE",
    "refresh_tokens": "SELECT (tenant_id, consumed_at, sealed_successor), UPDATE (sealed_successor)",
    "revocations": "SELECT, DELETE",
    "changes": "SELECT, DELETE",
    "audit_outbox": "SELECT, INSERT, DELETE",
    "audit_heads": "SELECT, INSERT, UPDATE",
    "audit_events": "SELECT, INSERT",
    "installation": "SELECT, INSERT",
    "alembic_version": "SELECT",
}

_ISOLATED = {
    "tenants": _OWNED.replace("tenant_id", "id"),
    **dict.fromkeys(sorted(_APP_GRANTS.keys() - {"tenants", "installation", "alembic_version"}), _OWNED),
}


def upgrade() -> None:
    """Make everything. PostgreSQL's roles exist already (``yett migrate --create-roles``)."""
    op.create_table(
        "changes",
        sa.Column("seq", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.String(length=217), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_changes"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("master_key_check", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("signing_alg", sa.String(length=16), nullable=False),
        sa.Column("default_client_id", sa.String(length=100), nullable=True),
        sa.Column("lifetimes", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("issuer", name="uq_tenants_issuer"),
        sa.UniqueConstraint("slug", name="uq_tenants_slug"),
    )
    op.create_table(
        "audit_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=254), nullable=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("leaf", sa.LargeBinary(length=32), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("event", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_events_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "position", name="pk_audit_events"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_audit_events_tenant_id_id"),
    )
    op.create_index("ix_audit_events_at", "audit_events", ["tenant_id", "at"], unique=False)
    op.create_table(
        "audit_heads",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_heads_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_audit_heads"),
    )
    op.create_table(
        "audit_outbox",
        sa.Column("seq", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_outbox_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "clients",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("grant_types", _JSON, nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("default_scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
        sa.Column("redirect_uris", _JSON, nullable=False),
        sa.Column("origins", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_clients_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", name="pk_clients"),
    )
    op.create_table(
        "revocations",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("before", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_revocations_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "value", name="pk_revocations"),
    )
    op.create_index("ix_revocations_expiry", "revocations", ["expires_at"], unique=False)
    op.create_table(
        "roles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_roles_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_roles"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("alg", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("public_jwk", _JSON, nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("published_at", _TIME, nullable=False),
        sa.Column("promote_at", _TIME, nullable=True),
        sa.Column("activated_at", _TIME, nullable=True),
        sa.Column("retiring_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_signing_keys_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "kid", name="pk_signing_keys"),
    )
    op.create_index(
        "uq_signing_keys_active",
        "signing_keys",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("state = 'active'"),
        sqlite_where=sa.text("state = 'active'"),
    )
    op.create_table(
        "users",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=254), nullable=False),
        sa.Column("name_key", sa.String(length=762), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_users_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_users"),
        sa.UniqueConstraint("tenant_id", "name_key", name="uq_users_tenant_id_name_key"),
    )
    op.create_table(
        "client_secrets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_client_secrets_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_client_secrets_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "client_id", "id", name="pk_client_secrets"),
    )
    op.create_table(
        "passwords",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.String(length=1024), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_passwords_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_passwords_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_passwords"),
    )
    op.create_table(
        "sessions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("auth_time", _TIME, nullable=False),
        sa.Column("acr", sa.String(length=100), nullable=False),
        sa.Column("amr", _JSON, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_sessions_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_sessions_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expiry", "sessions", ["expires_at"], unique=False)
    op.create_index("ix_sessions_user", "sessions", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "user_roles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "role"], ["roles.tenant_id", "roles.name"], name="fk_user_roles_roles", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_user_roles_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_user_roles_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "role", name="pk_user_roles"),
    )
    op.create_table(
        "refresh_families",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_refresh_families_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name="fk_refresh_families_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_refresh_families_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_refresh_families"),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.Column("successor_digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed_successor", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "family_id"],
            ["refresh_families.tenant_id", "refresh_families.id"],
            name="fk_refresh_tokens_refresh_families",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_refresh_tokens_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_refresh_tokens"),
    )
    op.create_index("ix_refresh_families_session", "refresh_families", ["tenant_id", "session_id"], unique=False)
    op.create_index("ix_refresh_families_expiry", "refresh_families", ["expires_at"], unique=False)
    op.create_index("ix_refresh_tokens_family", "refresh_tokens", ["tenant_id", "family_id"], unique=False)
    op.create_index(
        "ix_refresh_tokens_kept",
        "refresh_tokens",
        ["consumed_at"],
        unique=False,
        postgresql_where=sa.text("sealed_successor IS NOT NULL"),
        sqlite_where=sa.text("sealed_successor IS NOT NULL"),
    )

    if op.get_bind().dialect.name == "postgresql":
        _isolate()


def _isolate() -> None:
    for table, condition in _ISOLATED.items():
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({condition}) WITH CHECK ({condition})")
    for role, grants in (("yett_app", _APP_GRANTS), ("yett_system", _SYSTEM_GRANTS)):
        for table, privileges in grants.items():
            op.execute(f"GRANT {privileges} ON {table} TO {role}")
        op.execute(f"GRANT USAGE ON SEQUENCE changes_seq_seq, audit_outbox_seq_seq TO {role}")


def downgrade() -> None:
    """There is nothing before the first schema: drop the database instead."""
    raise NotImplementedError("the first migration cannot be undone; drop the database instead")
