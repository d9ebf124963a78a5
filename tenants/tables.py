"""The one model of tables, for SQLite and PostgreSQL alike; queries stand in the module that owns the noun.

Every tenant-owned table has ``tenant_id`` first in its primary key and in its foreign keys, so that no row can point
across tenants. The rest is the cluster's own; what of it carries a ``tenant_id`` (``changes``, ``audit_outbox``,
``budgets``) stands under row-level security as well, but is reached by a named exception only.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    false,
    text,
)

from tenants import admin_tables as admin_tables  # so that whoever reads the metadata finds all of it
from tenants import audit_tables as audit_tables
from tenants import cluster_tables as cluster_tables
from tenants import detection_tables as detection_tables
from tenants import group_tables as group_tables
from tenants import people_tables as people_tables
from tenants import provider_tables as provider_tables
from tenants.schema import Json, Sealed, Sequence, UtcDateTime, belongs_to, owned
from tenants.schema import metadata as metadata

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("master_key_check", Sealed, nullable=False),
    Column("stand_in_secret", LargeBinary),
)

schema_support = Table(
    "schema_support",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("oldest_code", String(32), nullable=False),
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", String(63), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("issuer", String(300), nullable=False, unique=True),
    Column("active", Boolean, nullable=False),
    Column("signing_alg", String(16), nullable=False),
    Column("default_client_id", String(100)),
    Column("lifetimes", Json, nullable=False),
    Column("people", Json, nullable=False),
    Column("branding", Json, nullable=False),
    Column("provider", Json, nullable=False),
    Column("detections", Json, nullable=False, server_default=text("'{}'")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("delete_at", UtcDateTime),
    Column("deletion_began_at", UtcDateTime),
    Column("audit_retention", BigInteger, CheckConstraint("audit_retention >= 86400", name="audit_retention")),
)

users = owned(
    "users",
    Column("id", Uuid, nullable=False),
    Column("name", String(254), nullable=False),
    Column("name_key", String(762), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("email", String(254)),
    Column("email_key", String(762)),
    Column("email_verified", Boolean, nullable=False),
    Column("import_id", Uuid),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erasing_since", UtcDateTime),
    UniqueConstraint("tenant_id", "name_key"),
    key=("id",),
)
Index("uq_users_email", users.c.tenant_id, users.c.email_key, unique=True)
Index("ix_users_import", users.c.tenant_id, users.c.import_id)
_ERASING = users.c.erasing_since.is_not(None)
Index("ix_users_erasing", users.c.erasing_since, postgresql_where=_ERASING, sqlite_where=_ERASING)

passwords = owned(
    "passwords",
    Column("user_id", Uuid, nullable=False),
    Column("hash", String(1024), nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stands_alone", Boolean, nullable=False),
    Column("must_change", Boolean, nullable=False, server_default=false()),
    Column("changed_at", UtcDateTime, nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    key=("user_id",),
)
Index("ix_passwords_scheme", passwords.c.tenant_id, passwords.c.scheme)

roles = owned(
    "roles", Column("name", String(100), nullable=False), Column("scopes", Json, nullable=False), key=("name",)
)

user_roles = owned(
    "user_roles",
    Column("user_id", Uuid, nullable=False),
    Column("role", String(100), nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    belongs_to("roles", ("role",), ("name",)),
    key=("user_id", "role"),
)

clients = owned(
    "clients",
    Column("client_id", String(100), nullable=False),
    Column("name", String(200), nullable=False),
    Column("confidential", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("grant_types", Json, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("default_scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("redirect_uris", Json, nullable=False),
    Column("origins", Json, nullable=False),
    Column("auth_method", String(32), nullable=False),
    Column("options", Json, nullable=False),
    Column("registration_digest", LargeBinary(32)),
    Column("created_at", UtcDateTime, nullable=False),
    key=("client_id",),
)

client_secrets = owned(
    "client_secrets",
    Column("client_id", String(100), nullable=False),
    Column("id", Uuid, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    belongs_to("clients", ("client_id",), ("client_id",)),
    key=("client_id", "id"),
)

signing_keys = owned(
    "signing_keys",
    Column("kid", String(64), nullable=False),
    Column("alg", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("public_jwk", Json, nullable=False),
    Column("sealed_private", Sealed),
    Column("created_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("promote_at", UtcDateTime),
    Column("activated_at", UtcDateTime),
    Column("retiring_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    key=("kid",),
)
_IS_ACTIVE = signing_keys.c.state == "active"
Index(
    "uq_signing_keys_active",
    signing_keys.c.tenant_id,
    unique=True,
    postgresql_where=_IS_ACTIVE,
    sqlite_where=_IS_ACTIVE,
)

sessions = owned(
    "sessions",
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("digest", LargeBinary(32)),
    Column("auth_time", UtcDateTime, nullable=False),
    Column("acr", String(100), nullable=False),
    Column("amr", Json, nullable=False),
    Column("factor_waived", Boolean, nullable=False),
    Column("device_id", Uuid),
    Column("client_id", String(100)),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(300), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    key=("id",),
)
Index("uq_sessions_digest", sessions.c.tenant_id, sessions.c.digest, unique=True)
Index("ix_sessions_user", sessions.c.tenant_id, sessions.c.user_id)
Index("ix_sessions_expiry", sessions.c.expires_at)

refresh_families = owned(
    "refresh_families",
    Column("id", Uuid, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("request", Json, nullable=False),
    Column("dpop_jkt", String(43)),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    belongs_to("sessions", ("session_id",), ("id",)),
    belongs_to("clients", ("client_id",), ("client_id",)),
    key=("id",),
)
Index("ix_refresh_families_session", refresh_families.c.tenant_id, refresh_families.c.session_id)
Index("ix_refresh_families_expiry", refresh_families.c.expires_at)

refresh_tokens = owned(
    "refresh_tokens",
    Column("digest", LargeBinary(32), nullable=False),
    Column("family_id", Uuid, nullable=False),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    Column("successor_digest", LargeBinary(32)),
    Column("sealed_successor", Sealed),
    belongs_to("refresh_families", ("family_id",), ("id",)),
    key=("digest",),
)
Index("ix_refresh_tokens_family", refresh_tokens.c.tenant_id, refresh_tokens.c.family_id)
_IS_KEPT = refresh_tokens.c.sealed_successor.is_not(None)  # few at any time, looked for often
Index("ix_refresh_tokens_kept", refresh_tokens.c.consumed_at, postgresql_where=_IS_KEPT, sqlite_where=_IS_KEPT)

revocations = owned(
    "revocations",
    Column("kind", String(16), nullable=False),
    Column("value", String(200), nullable=False),
    Column("before", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    key=("kind", "value"),
)
Index("ix_revocations_expiry", revocations.c.expires_at)

changes = Table(
    "changes",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("ref", String(217), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,
)

audit_outbox = Table(
    "audit_outbox",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Column("salt", LargeBinary(16), nullable=False),
    Column("event", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

# ``moved`` is drawn by the database each time that ``size`` is written: logs in the order in which they grew.
audit_heads = owned(
    "audit_heads",
    Column("size", BigInteger, nullable=False),
    Column("moved", BigInteger, nullable=False),
    key=(),
)
Index("ix_audit_heads_moved", audit_heads.c.moved)

audit_events = owned(
    "audit_events",
    Column("position", BigInteger, nullable=False),
    Column("id", String(36), nullable=False),
    Column("type", String(64), nullable=False),
    Column("subject", String(254)),
    Column("at", UtcDateTime, nullable=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("salt", LargeBinary(16)),
    Column("event", LargeBinary),
    Column("severity", SmallInteger),  # its place in policies.severity.LEVELS
    UniqueConstraint("tenant_id", "id"),
    key=("position",),
)
Index("ix_audit_events_at", audit_events.c.tenant_id, audit_events.c.at)
_SEVERE = audit_events.c.severity.is_not(None)
Index(
    "ix_audit_events_severity",
    audit_events.c.tenant_id,
    audit_events.c.at,
    postgresql_where=_SEVERE,
    sqlite_where=_SEVERE,
)
Index("ix_audit_events_subject", audit_events.c.tenant_id, audit_events.c.subject, audit_events.c.position)

NOBODYS_TABLES = frozenset({"installation", "job_runs", "schema_support", "serving", "turns"})
"""Without a tenant, so not under row-level security."""

CLUSTER_TABLES = NOBODYS_TABLES | {"changes", "audit_outbox", "budgets", "sinks"}
