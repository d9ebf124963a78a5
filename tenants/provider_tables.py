"""Tables of the OAuth provider: requests, codes, consents, what counts once. Part of the one model in tables.py."""

from sqlalchemy import Column, Index, Integer, LargeBinary, String, UniqueConstraint, Uuid

from tenants.schema import Json, UtcDateTime, belongs_to, owned

LONGEST_URI = 2000
_CLIENT = ("clients", ("client_id",), ("client_id",))
_SESSION = ("sessions", ("session_id",), ("id",))
_USER = ("users", ("user_id",), ("id",))

# Pushed authorization requests (RFC 9126).
authorization_requests = owned(
    "authorization_requests",
    Column("digest", LargeBinary(32), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("parameters", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to(*_CLIENT),
    key=("digest",),
)
Index("ix_authorization_requests_expiry", authorization_requests.c.expires_at)

# Authorization requests that wait for a login or a consent.
begun_requests = owned(
    "begun_requests",
    Column("digest", LargeBinary(32), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("redirect_uri", String(LONGEST_URI), nullable=False),
    Column("parameters", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to(*_CLIENT),
    key=("digest",),
)
Index("ix_begun_requests_expiry", begun_requests.c.expires_at)

# ``family_id`` and ``token_id`` are what was got for a code, to be taken back when it comes a second time.
authorization_codes = owned(
    "authorization_codes",
    Column("digest", LargeBinary(32), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("redirect_uri", String(LONGEST_URI), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("code_challenge", String(128), nullable=False),
    Column("dpop_jkt", String(43)),
    Column("request", Json, nullable=False),
    Column("family_id", Uuid),
    Column("token_id", String(36)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to(*_CLIENT),
    belongs_to(*_SESSION),
    key=("digest",),
)
Index("ix_authorization_codes_expiry", authorization_codes.c.expires_at)
Index("ix_authorization_codes_session", authorization_codes.c.tenant_id, authorization_codes.c.session_id)

# RFC 8628. ``session_id`` is the login that approved, ``address`` where the device asked from.
device_codes = owned(
    "device_codes",
    Column("digest", LargeBinary(32), nullable=False),
    Column("user_code_digest", LargeBinary(32), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("address", String(45), nullable=False),
    Column("interval", Integer, nullable=False),
    Column("session_id", Uuid),
    Column("approved_at", UtcDateTime),
    Column("denied_at", UtcDateTime),
    Column("polled_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("consumed_at", UtcDateTime),
    belongs_to(*_CLIENT),
    belongs_to(*_SESSION),
    UniqueConstraint("tenant_id", "user_code_digest"),
    key=("digest",),
)
Index("ix_device_codes_expiry", device_codes.c.expires_at)

consents = owned(
    "consents",
    Column("user_id", Uuid, nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("audience", String(LONGEST_URI), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    belongs_to(*_USER),
    belongs_to(*_CLIENT),
    key=("user_id", "client_id", "audience"),
)

# Identifiers that count once: of client assertions (RFC 7523), DPoP proofs (RFC 9449), request objects (RFC 9101).
seen_ids = owned(
    "seen_ids",
    Column("kind", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    key=("kind", "digest"),
)
Index("ix_seen_ids_expiry", seen_ids.c.expires_at)

# Initial access tokens (RFC 7591 section 3).
registration_tokens = owned(
    "registration_tokens",
    Column("digest", LargeBinary(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    key=("digest",),
)
Index("ix_registration_tokens_expiry", registration_tokens.c.expires_at)

# Which clients a session has been used for: whom to tell when it ends.
session_clients = owned(
    "session_clients",
    Column("session_id", Uuid, nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    belongs_to(*_SESSION),
    belongs_to(*_CLIENT),
    key=("session_id", "client_id"),
)

# Logout tokens that are to be sent (OpenID Connect Back-Channel Logout). The session may be gone before they are.
logout_notices = owned(
    "logout_notices",
    Column("id", Uuid, nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("subject", String(36), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    belongs_to(*_CLIENT),
    key=("id",),
)
Index("ix_logout_notices_next", logout_notices.c.tenant_id, logout_notices.c.next_at)
Index(
    "ix_logout_notices_client",
    logout_notices.c.tenant_id,
    logout_notices.c.client_id,
    logout_notices.c.next_at,
    logout_notices.c.created_at,
)

# Issuers that a tenant had before: their tokens and addresses count until then.
former_issuers = owned(
    "former_issuers",
    Column("issuer", String(300), nullable=False),
    Column("until", UtcDateTime, nullable=False),
    key=("issuer",),
)

# What machines send that cannot do OAuth. One that ended stays for a time, so that who still sends it can be told.
api_keys = owned(
    "api_keys",
    Column("id", Uuid, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("tenant_id", "digest"),
    key=("id",),
)
Index("ix_api_keys_expiry", api_keys.c.expires_at)
Index("ix_api_keys_revoked", api_keys.c.revoked_at)
