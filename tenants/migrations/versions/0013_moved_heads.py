"""Which logs have grown, in the order in which they did; and of sinks their turns, their checkpoints, their refusals.

A head's ``moved`` is drawn by a trigger, so that it is right under the sequencer of the release before, too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_NEVER = "1970-01-01 00:00:00"
# Above all that any sink has seen, also when the log that moved last was deleted with its tenant.
_NUMBER = """
UPDATE audit_heads SET moved = 1 + max(
    coalesce((SELECT max(moved) FROM audit_heads), 0), coalesce((SELECT max(seen) FROM sinks), 0)
) WHERE tenant_id = NEW.tenant_id
"""


def upgrade() -> None:
    """Add the columns, and number the heads that are there."""
    for column in (
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("checkpoint", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("checkpoint_at", sa.DateTime(timezone=True), nullable=False, server_default=_NEVER),
    ):
        op.add_column("sink_positions", column)
    for column in (
        sa.Column("term", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("seen", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("refused", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("sinks", column)
    if op.get_bind().dialect.name == "postgresql":
        _number_on_postgresql()
    else:
        _number_on_sqlite()
    op.create_index("ix_audit_heads_moved", "audit_heads", ["moved"])
    _partial_index("ix_sink_positions_waiting", "turn", "next < size")
    _partial_index("ix_sink_positions_owing", "checkpoint_at", "checkpoint < next")


def _number_on_postgresql() -> None:
    op.execute("CREATE SEQUENCE audit_heads_moved_seq")
    op.execute("ALTER TABLE audit_heads ADD COLUMN moved bigint NOT NULL DEFAULT nextval('audit_heads_moved_seq')")
    op.execute("ALTER SEQUENCE audit_heads_moved_seq OWNED BY audit_heads.moved")
    op.execute("GRANT USAGE ON SEQUENCE audit_heads_moved_seq TO yett_system")
    op.execute(
        "CREATE FUNCTION audit_head_moved() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.moved := nextval('audit_heads_moved_seq'); RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_head_moved BEFORE UPDATE OF size ON audit_heads"
        " FOR EACH ROW EXECUTE FUNCTION audit_head_moved()"
    )


def _number_on_sqlite() -> None:
    op.add_column("audit_heads", sa.Column("moved", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE audit_heads SET moved = rowid")
    for name, event in (("audit_head_made", "INSERT"), ("audit_head_moved", "UPDATE OF size")):
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON audit_heads BEGIN {_NUMBER}; END")


def _partial_index(name: str, column: str, where: str) -> None:
    condition = sa.text(where)
    op.create_index(
        name, "sink_positions", ["sink", column, "tenant_id"], postgresql_where=condition, sqlite_where=condition
    )


def downgrade() -> None:
    """As the others: no migration is undone."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
