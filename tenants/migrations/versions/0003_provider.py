"""The OAuth provider: authorization requests and codes, device codes, consents, what a client registers of itself."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_APP_GRANTS = {
    "tenants": "UPDATE (provider)",
    "clients": (
        "DELETE, UPDATE (name, confidential, grant_types, scopes, default_scopes, audiences, redirect_uris, origins,"
        " auth_method, options, registration_digest)"
    ),
    "refresh_families": "UPDATE (dpop_jkt)",
    "authorization_requests": "SELECT, INSERT, UPDATE (consumed_at)",
    "begun_requests": "SELECT, INSERT, UPDATE (consumed_at)",
    "authorization_codes": "SELECT, INSERT, UPDATE (consumed_at, family_id, token_id)",
    "device_codes": "SELECT, INSERT, UPDATE (interval, session_id, approved_at, denied_at, polled_at, consumed_at)",
    "consents": "SELECT, INSERT, DELETE, UPDATE (scopes, audiences, granted_at)",
    "seen_ids": "SELECT, INSERT",
    "registration_tokens": "SELECT, INSERT, DELETE, UPDATE (uses_left)",
    "session_clients": "SELECT, INSERT",
    "logout_notices": "SELECT, INSERT, DELETE, UPDATE (next_at, attempts)",
}
_SYSTEM_GRANTS = {
    "signing_keys": "SELECT (activated_at)",
    "authorization_requests": "SELECT (tenant_id, expires_at), DELETE",
    "begun_requests": "SELECT (tenant_id, expires_at), DELETE",
    "authorization_codes": "SELECT (tenant_id, expires_at), DELETE",
    "device_codes": "SELECT (tenant_id, expires_at), DELETE",
    "seen_ids": "SELECT (tenant_id, expires_at), DELETE",
    "registration_tokens": "SELECT (tenant_id, expires_at), DELETE",
    "logout_notices": "SELECT (tenant_id, id, client_id, created_at, next_at), DELETE",
}
_NEW = sorted(_APP_GRANTS.keys() - {"tenants", "clients", "refresh_families"})
_REWRITTEN = ("clients",)


def upgrade() -> None:
    """Make the new tables, and give the old ones their new columns."""
    op.create_table(
        "registration_tokens",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_registration_tokens_tenants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_registration_tokens"),
    )
    op.create_index("ix_registration_tokens_expiry", "registration_tokens", ["expires_at"], unique=False)
    op.create_table(
        "seen_ids",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_seen_ids_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "digest", name="pk_seen_ids"),
    )
    op.create_index("ix_seen_ids_expiry", "seen_ids", ["expires_at"], unique=False)
    op.create_table(
        "authorization_requests",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("parameters", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_authorization_requests_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_authorization_requests_tenants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_authorization_requests"),
    )
    op.create_index("ix_authorization_requests_expiry", "authorization_requests", ["expires_at"], unique=False)
    op.create_table(
        "begun_requests",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("parameters", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_begun_requests_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_begun_requests_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_begun_requests"),
    )
    op.create_index("ix_begun_requests_expiry", "begun_requests", ["expires_at"], unique=False)
    op.create_table(
        "consents",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
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
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "client_id", name="pk_consents"),
    )
    op.create_table(
        "logout_notices",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("subject", sa.String(length=36), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_logout_notices_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_logout_notices_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_logout_notices"),
    )
    op.create_index("ix_logout_notices_next", "logout_notices", ["tenant_id", "next_at"], unique=False)
    op.create_index(
        "ix_logout_notices_client",
        "logout_notices",
        ["tenant_id", "client_id", "next_at", "created_at"],
        unique=False,
    )
    op.create_table(
        "authorization_codes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("redirect_uri", sa.String(length=2000), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
        sa.Column("code_challenge", sa.String(length=128), nullable=False),
        sa.Column("dpop_jkt", sa.String(length=43), nullable=True),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=True),
        sa.Column("token_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_authorization_codes_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name="fk_authorization_codes_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_authorization_codes_tenants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_authorization_codes"),
    )
    op.create_index("ix_authorization_codes_expiry", "authorization_codes", ["expires_at"], unique=False)
    op.create_index("ix_authorization_codes_session", "authorization_codes", ["tenant_id", "session_id"], unique=False)
    op.create_table(
        "device_codes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_code_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("audiences", _JSON, nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("approved_at", _TIME, nullable=True),
        sa.Column("denied_at", _TIME, nullable=True),
        sa.Column("polled_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_device_codes_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name="fk_device_codes_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_device_codes_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_device_codes"),
        sa.UniqueConstraint("tenant_id", "user_code_digest", name="uq_device_codes_tenant_id_user_code_digest"),
    )
    op.create_index("ix_device_codes_expiry", "device_codes", ["expires_at"], unique=False)
    op.create_table(
        "session_clients",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.String(length=100), nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "client_id"],
            ["clients.tenant_id", "clients.client_id"],
            name="fk_session_clients_clients",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name="fk_session_clients_sessions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_session_clients_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "client_id", name="pk_session_clients"),
    )

    _add_columns()
    if op.get_bind().dialect.name == "postgresql":
        _isolate()


def _add_columns() -> None:
    """Every column that must not be empty has a value for the rows that are there already."""
    op.add_column("clients", sa.Column("auth_method", sa.String(length=32), nullable=False, server_default="none"))
    op.add_column("clients", sa.Column("options", _JSON, nullable=False, server_default="{}"))
    op.add_column("clients", sa.Column("registration_digest", sa.LargeBinary(length=32), nullable=True))
    op.add_column("refresh_families", sa.Column("request", _JSON, nullable=False, server_default="{}"))
    op.add_column("refresh_families", sa.Column("dpop_jkt", sa.String(length=43), nullable=True))
    op.add_column("tenants", sa.Column("provider", _JSON, nullable=False, server_default="{}"))
    _force(on=False)
    # They could send their secret in either way, and go on to.
    op.execute("UPDATE clients SET auth_method = 'client_secret' WHERE confidential")
    _force(on=True)


def _force(*, on: bool) -> None:
    """Row-level security binds the owner, too, but not while its migration moves every tenant's rows."""
    if op.get_bind().dialect.name == "postgresql":
        for table in _REWRITTEN:
            op.execute(f"ALTER TABLE {table} {'' if on else 'NO '}FORCE ROW LEVEL SECURITY")


def _isolate() -> None:
    for table in _NEW:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({_OWNED}) WITH CHECK ({_OWNED})")
    for role, grants in (("yett_app", _APP_GRANTS), ("yett_system", _SYSTEM_GRANTS)):
        for table, privileges in grants.items():
            op.execute(f"GRANT {privileges} ON {table} TO {role}")


def downgrade() -> None:
    """What the new tables hold would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
