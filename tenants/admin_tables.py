"""The table of the admin API, for SQLite and PostgreSQL alike. Part of the one model in tables.py."""

from sqlalchemy import Column, Index, Integer, LargeBinary

from tenants.schema import Sealed, UtcDateTime, owned

# What a request with an Idempotency-Key was answered, so that the same one sent again gets the same. It may hold a
# secret that is shown once, so it is sealed.
idempotency_keys = owned(
    "idempotency_keys",
    Column("digest", LargeBinary(32), nullable=False),
    Column("principal", LargeBinary(32), nullable=False),
    Column("request", LargeBinary(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("sealed_answer", Sealed, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    key=("digest",),
)
Index("ix_idempotency_keys_principal", idempotency_keys.c.tenant_id, idempotency_keys.c.principal)
Index("ix_idempotency_keys_expiry", idempotency_keys.c.expires_at)
