"""What detections are made with: how far each log was looked through and what is kept in mind of it
(``policies.detection``), and from which countries users logged in. Tables for SQLite and PostgreSQL alike.
"""

from sqlalchemy import BigInteger, Column, String, Uuid

from tenants.schema import Json, UtcDateTime, belongs_to, owned

audit_watches = owned(
    "audit_watches",
    Column("position", BigInteger, nullable=False),
    Column("state", Json, nullable=False),
    key=(),
)

user_countries = owned(
    "user_countries",
    Column("user_id", Uuid, nullable=False),
    Column("country", String(2), nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    key=("user_id", "country"),
)
