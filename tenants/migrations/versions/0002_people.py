"""People: hosted logins, second factors, devices, throttles, links by mail, imports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps
_APP_GRANTS = {
    "tenants": "UPDATE (people, branding)",
    "users": "UPDATE (name, name_key, email, email_key, email_verified), DELETE",
    "passwords": "UPDATE (scheme, stands_alone)",
    "sessions": "UPDATE (digest, seen_at, auth_time, acr, amr)",
    "totp_factors": "SELECT, INSERT, DELETE, UPDATE (name, confirmed_at, last_used_at)",
    "totp_steps": "SELECT, INSERT, UPDATE (step)",
    "recovery_codes": "SELECT, INSERT, DELETE, UPDATE (consumed_at)",
    "devices": "SELECT, INSERT, DELETE, UPDATE (digest, address, user_agent, seen_at, expires_at, trusted_until)",
    "known_networks": "SELECT, INSERT, UPDATE (succeeded_at)",
    "throttles": "SELECT, INSERT, DELETE, UPDATE (failures, last_at)",
    "logins": "SELECT, INSERT, UPDATE (failures, consumed_at)",
    "mail_links": "SELECT, INSERT, UPDATE (consumed_at)",
    "mail_outbox": "SELECT, INSERT, DELETE, UPDATE (next_at, attempts)",
    "logos": "SELECT, INSERT, DELETE, UPDATE (media_type, image, changed_at)",
    "user_imports": "SELECT, INSERT, UPDATE (written, finished_at, undone_at)",
}
_SYSTEM_GRANTS = {
    "known_networks": "SELECT (tenant_id, succeeded_at), DELETE",
    "throttles": "SELECT (tenant_id, kind, last_at), DELETE",
    "devices": "SELECT (tenant_id, expires_at), DELETE",
    "logins": "SELECT (tenant_id, expires_at), DELETE",
    "mail_links": "SELECT (tenant_id, expires_at), DELETE",
    "mail_outbox": "SELECT (tenant_id, id, created_at, next_at), DELETE",
}
_NEW = sorted(_APP_GRANTS.keys() - {"tenants", "users", "passwords", "sessions"})
_REWRITTEN = ("passwords", "sessions", "users")


def upgrade() -> None:
    """Make the new tables, and give the old ones their new columns."""
    op.create_table(
        "logos",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_logos_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_logos"),
    )
    op.create_table(
        "mail_outbox",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed_fields", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_mail_outbox_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_mail_outbox"),
    )
    op.create_index("ix_mail_outbox_next", "mail_outbox", ["tenant_id", "next_at"], unique=False)
    op.create_table(
        "throttles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_throttles_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "subject", name="pk_throttles"),
    )
    op.create_index("ix_throttles_last", "throttles", ["last_at"], unique=False)
    op.create_table(
        "user_imports",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("written", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.Column("undone_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_user_imports_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_user_imports"),
    )
    op.create_table(
        "devices",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("trusted_until", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_devices_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_devices_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_devices"),
        sa.UniqueConstraint("tenant_id", "digest", "user_id", name="uq_devices_tenant_id_digest_user_id"),
    )
    op.create_index("ix_devices_expiry", "devices", ["expires_at"], unique=False)
    op.create_index("ix_devices_user", "devices", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "known_networks",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("network", sa.String(length=45), nullable=False),
        sa.Column("succeeded_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_known_networks_users",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_known_networks_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "network", name="pk_known_networks"),
    )
    op.create_index("ix_known_networks_succeeded", "known_networks", ["succeeded_at"], unique=False)
    op.create_table(
        "logins",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.String(length=100), nullable=True),
        sa.Column("password_version", sa.Integer(), nullable=True),
        sa.Column("amr", _JSON, nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_logins_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_logins_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_logins"),
        sa.UniqueConstraint("tenant_id", "digest", name="uq_logins_tenant_id_digest"),
    )
    op.create_index("ix_logins_expiry", "logins", ["expires_at"], unique=False)
    op.create_index("ix_logins_user", "logins", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "mail_links",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_mail_links_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_mail_links_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "digest", name="pk_mail_links"),
    )
    op.create_index("ix_mail_links_expiry", "mail_links", ["expires_at"], unique=False)
    op.create_index("ix_mail_links_user", "mail_links", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("consumed_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"],
            ["users.tenant_id", "users.id"],
            name="fk_recovery_codes_users",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_recovery_codes_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "digest", name="pk_recovery_codes"),
    )
    op.create_table(
        "totp_factors",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("confirmed_at", _TIME, nullable=True),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_totp_factors_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_totp_factors_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name="pk_totp_factors"),
    )
    op.create_index("ix_totp_factors_user", "totp_factors", ["tenant_id", "user_id"], unique=False)
    op.create_table(
        "totp_steps",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_totp_steps_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_totp_steps_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", name="pk_totp_steps"),
    )
    _add_columns()
    if op.get_bind().dialect.name == "postgresql":
        _isolate()


def _add_columns() -> None:
    """Every column that must not be empty has a value for the rows that are there already."""
    op.add_column("tenants", sa.Column("people", _JSON, nullable=False, server_default="{}"))
    op.add_column("tenants", sa.Column("branding", _JSON, nullable=False, server_default="{}"))
    op.add_column("users", sa.Column("email", sa.String(length=254), nullable=True))
    op.add_column("users", sa.Column("email_key", sa.String(length=762), nullable=True))
    op.add_column("users", sa.Column("email_verified", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("users", sa.Column("import_id", sa.Uuid(), nullable=True))
    op.add_column("passwords", sa.Column("scheme", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("passwords", sa.Column("stands_alone", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("digest", sa.LargeBinary(length=32), nullable=True))
    op.add_column("sessions", sa.Column("factor_waived", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("device_id", sa.Uuid(), nullable=True))
    op.add_column("sessions", sa.Column("client_id", sa.String(length=100), nullable=True))
    op.add_column("sessions", sa.Column("address", sa.String(length=45), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("user_agent", sa.String(length=300), nullable=False, server_default=""))
    for column in ("created_at", "seen_at"):
        op.add_column("sessions", sa.Column(column, _TIME, nullable=False, server_default="1970-01-01 00:00:00"))
    _force(on=False)
    op.execute("UPDATE sessions SET created_at = auth_time, seen_at = auth_time")
    # As it is written, unless only its key is an address that a letter can go to (a full-width sign at, say).
    op.execute(
        "UPDATE users SET email_key = name_key, email = CASE WHEN lower(name) = name_key THEN name ELSE name_key END"
        " WHERE name_key LIKE '%@%'"
    )
    parameters = (
        "split_part(hash, '$', 4)"
        if op.get_bind().dialect.name == "postgresql"
        else "substr(hash, 16, instr(substr(hash, 16), '$') - 1)"  # what stands behind '$argon2id$v=19$'
    )
    op.execute(f"UPDATE passwords SET scheme = 'argon2id:' || {parameters} WHERE hash LIKE '$argon2id$v=19$%'")  # noqa: S608
    _force(on=True)
    op.create_index("ix_audit_events_subject", "audit_events", ["tenant_id", "subject", "position"], unique=False)
    op.create_index("ix_passwords_scheme", "passwords", ["tenant_id", "scheme"], unique=False)
    op.create_index("uq_sessions_digest", "sessions", ["tenant_id", "digest"], unique=True)
    op.create_index("ix_users_import", "users", ["tenant_id", "import_id"], unique=False)
    op.create_index("uq_users_email", "users", ["tenant_id", "email_key"], unique=True)


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
