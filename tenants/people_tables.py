"""Tables of logins: second factors, devices, throttles, links by mail. Part of the one model in tables.py."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, UniqueConstraint, Uuid

from tenants.schema import Json, Sealed, UtcDateTime, belongs_to, owned

totp_factors = owned(
    "totp_factors",
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", String(100), nullable=False),
    Column("sealed_secret", Sealed, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("confirmed_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    key=("id",),
)
Index("ix_totp_factors_user", totp_factors.c.tenant_id, totp_factors.c.user_id)

# The last time step of which any of a user's authenticators had a code accepted: no step is good twice.
totp_steps = owned(
    "totp_steps",
    Column("user_id", Uuid, nullable=False),
    Column("step", BigInteger, nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    key=("user_id",),
)

recovery_codes = owned(
    "recovery_codes",
    Column("user_id", Uuid, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    key=("user_id", "digest"),
)

devices = owned(
    "devices",
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("address", String(45), nullable=False),
    Column("user_agent", String(300), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("trusted_until", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    UniqueConstraint("tenant_id", "digest", "user_id"),
    key=("id",),
)
Index("ix_devices_user", devices.c.tenant_id, devices.c.user_id)
Index("ix_devices_expiry", devices.c.expires_at)

known_networks = owned(
    "known_networks",
    Column("user_id", Uuid, nullable=False),
    Column("network", String(45), nullable=False),
    Column("succeeded_at", UtcDateTime, nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    key=("user_id", "network"),
)
Index("ix_known_networks_succeeded", known_networks.c.succeeded_at)

throttles = owned(
    "throttles",
    Column("kind", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    key=("kind", "subject"),
)
Index("ix_throttles_last", throttles.c.last_at)

# A login that has proved something and is not complete: what a page's cookie or an mfa_token stands for.
logins = owned(
    "logins",
    Column("id", Uuid, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("session_id", Uuid),
    Column("client_id", String(100)),
    Column("password_version", Integer),
    Column("amr", Json, nullable=False),
    Column("request", Json, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    UniqueConstraint("tenant_id", "digest"),
    key=("id",),
)
Index("ix_logins_user", logins.c.tenant_id, logins.c.user_id)
Index("ix_logins_expiry", logins.c.expires_at)

mail_links = owned(
    "mail_links",
    Column("digest", LargeBinary(32), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("user_id", Uuid),
    Column("email", String(254)),
    Column("data", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to("users", ("user_id",), ("id",)),
    key=("digest",),
)
Index("ix_mail_links_user", mail_links.c.tenant_id, mail_links.c.user_id)
Index("ix_mail_links_expiry", mail_links.c.expires_at)

# Letters that wait to be written and sent. What they are about is sealed: it may be what somebody typed.
mail_outbox = owned(
    "mail_outbox",
    Column("id", Uuid, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("sealed_fields", Sealed, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    key=("id",),
)
Index("ix_mail_outbox_next", mail_outbox.c.tenant_id, mail_outbox.c.next_at)

logos = owned(
    "logos",
    Column("media_type", String(32), nullable=False),
    Column("image", LargeBinary, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    key=(),
)

user_imports = owned(
    "user_imports",
    Column("id", Uuid, nullable=False),
    Column("source_digest", LargeBinary(32), nullable=False),
    Column("lines", BigInteger, nullable=False),
    Column("written", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("undone_at", UtcDateTime),
    key=("id",),
)
