"""What the processes of an installation share beside what tenants own: who serves, whose turn it is, what was spent of
limits, and how far sinks are. Tables for SQLite and PostgreSQL alike; queries stand in the module that owns the noun.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, Uuid

from tenants.schema import UtcDateTime, metadata, owned

# What the serving processes of all pods keep in common. None of it outlives them, so the server need not log it.
serving = Table(
    "serving",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("master_keys", Text),
)

turns = Table(
    "turns",
    metadata,
    Column("job", String(32), primary_key=True),
    Column("next_at", UtcDateTime, nullable=False),
)

# How each job went that one process does for all: the run that ended last, whoever's it was.
job_runs = Table(
    "job_runs",
    metadata,
    Column("job", String(32), primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("succeeded_at", UtcDateTime),
    Column("problem", String(200)),
    Column("failures", Integer, nullable=False),
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

# ``term`` counts the claims; ``seen`` is the newest move of a log that was heard of; ``refused`` counts what a receiver
# will never take.
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
    Column("term", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("failing_since", UtcDateTime),
)

# A tenant's log as a sink has it: events wait while ``next < size``, a checkpoint is owed while ``checkpoint < next``.
# ``turn`` is the term in which it was tried last; ``tried_at`` is for the release before, and goes with the one after.
sink_positions = owned(
    "sink_positions",
    Column("sink", String(63), nullable=False),
    Column("next", BigInteger, nullable=False),
    Column("tried_at", UtcDateTime),
    Column("size", BigInteger, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("checkpoint", BigInteger, nullable=False),
    Column("checkpoint_at", UtcDateTime, nullable=False),
    key=("sink",),
)
_WAITING = sink_positions.c.next < sink_positions.c.size
_OWING = sink_positions.c.checkpoint < sink_positions.c.next
Index(
    "ix_sink_positions_waiting",
    sink_positions.c.sink,
    sink_positions.c.turn,
    sink_positions.c.tenant_id,
    postgresql_where=_WAITING,
    sqlite_where=_WAITING,
)
Index(
    "ix_sink_positions_owing",
    sink_positions.c.sink,
    sink_positions.c.checkpoint_at,
    sink_positions.c.tenant_id,
    postgresql_where=_OWING,
    sqlite_where=_OWING,
)
