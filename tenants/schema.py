"""What all tables are made of, for SQLite and PostgreSQL alike: their types, their names, the tenant in every key.

The tables stand in tables.py, people_tables.py, provider_tables.py and audit_tables.py.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    TypeDecorator,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on both databases; SQLite has no time zones, so it is stored there without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Refuses naive times: they would be read as another zone's on PostgreSQL."""
        return _as_text if dialect.name == "sqlite" else _in_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002 - SQLAlchemy's signature
        """Gives every stored time its zone back."""
        return _from_text if dialect.name == "sqlite" else _in_utc


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a naive datetime cannot be stored")
    return value.astimezone(UTC)


def _as_text(value: datetime | None) -> str | None:
    value = _in_utc(value)
    return None if value is None else value.isoformat(" ", "microseconds")[: -len("+00:00")]


def _from_text(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=UTC)


class Sealed(LargeBinary):
    """An envelope of sealing.py, of which the row's own place is a part. Whatever column has this type is moved to
    another master key by resealing.py; no other column holds an envelope.
    """


Json = JSON().with_variant(JSONB(), "postgresql")
Sequence = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's AUTOINCREMENT wants the word INTEGER

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def owned(name: str, *columns: Any, key: tuple[str, ...]) -> Table:
    """A tenant-owned table: ``tenant_id`` leads its primary key and points at the tenant."""
    return Table(
        name,
        metadata,
        Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
        *columns,
        PrimaryKeyConstraint("tenant_id", *key),
    )


def belongs_to(parent: str, columns: tuple[str, ...], parent_columns: tuple[str, ...]) -> ForeignKeyConstraint:
    """A foreign key that cannot leave the tenant: ``tenant_id`` is part of it."""
    return ForeignKeyConstraint(
        ("tenant_id", *columns), [f"{parent}.{column}" for column in ("tenant_id", *parent_columns)], ondelete="CASCADE"
    )
