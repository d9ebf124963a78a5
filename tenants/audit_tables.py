"""The tables of the tree above the audit log, for SQLite and PostgreSQL alike. The log itself stands in tables.py."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

from tenants.schema import Sealed, UtcDateTime, owned

# How far a log's tree has grown: the hashes of its right edge (policies/merkle.py), and its newest checkpoint. What is
# before ``erased`` was erased because of its age.
audit_trees = owned(
    "audit_trees",
    Column("size", BigInteger, nullable=False),
    Column("edge", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("signed_at", UtcDateTime, nullable=False),
    Column("erased", BigInteger, nullable=False),
    key=(),
)

# Each eighth level of the tree; the leaves are the log's. A row for 256 events, and one for 256 of those.
audit_nodes = owned(
    "audit_nodes",
    Column("level", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    key=("level", "position"),
)

audit_keys = owned(
    "audit_keys",
    Column("name", String(400), nullable=False),
    Column("public", LargeBinary(32), nullable=False),
    Column("sealed_private", Sealed, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    key=(),
)
