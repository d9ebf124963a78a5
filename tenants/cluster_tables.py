"""What the processes of an installation share beside what tenants own: who serves, whose turn it is, what was spent of
limits, and how far sinks are. Tables for SQLite and PostgreSQL alike; queries stand in the module that owns the noun.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Uuid

from tenants.schema import UtcDateTime, metadata, owned

# What the serving processes of all pods keep in common. None of it outlives them, so the server need not log it.
serving = Table(
    "serving",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("job", String(32), primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
)
Index("ix_budgets_until", budgets.c.until)

sinks = Table(
    "sinks",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("holder", Uuid),
    Column("held_until", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("problem", String(200)),
    Column("failed_at", UtcDateTime),
    Column("delivered_at", UtcDateTime),
)

sink_positions = owned(
    "sink_positions",
    Column("sink", String(63), nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("tried_at", UtcDateTime),
    key=("sink",),
)
