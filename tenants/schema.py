"""What all tables are made of, for SQLite and PostgreSQL alike: their types, their names, the tenant in every key.

The tables stand in tables.py, people_tables.py and provider_tables.py.
"""

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

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be read as another zone's on PostgreSQL."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give every stored time its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


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
