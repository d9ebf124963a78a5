"""Groups, passwords that are to be changed, how jobs went, and erasures that go on by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_OWNED = "tenant_id = nullif(current_setting('yett.tenant', true), '')::uuid"  # '' is what a pooled connection keeps


def upgrade() -> None:
    """Make the tables, and add a column that code of before may leave out."""
    op.create_table(
        "user_groups",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_user_groups_tenants", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_user_groups"),
    )
    op.create_table(
        "group_roles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_group_roles_tenants", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "group_name"],
            ["user_groups.tenant_id", "user_groups.name"],
            name="fk_group_roles_user_groups",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "role"], ["roles.tenant_id", "roles.name"], name="fk_group_roles_roles", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "group_name", "role", name="pk_group_roles"),
    )
    op.create_table(
        "group_members",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_group_members_tenants", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_group_members_users", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "group_name"],
            ["user_groups.tenant_id", "user_groups.name"],
            name="fk_group_members_user_groups",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "group_name", name="pk_group_members"),
    )
    op.create_index("ix_group_members_group", "group_members", ["tenant_id", "group_name", "user_id"])
    op.create_table(
        "job_runs",
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.String(length=200), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_job_runs"),
    )
    op.add_column("passwords", sa.Column("must_change", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("users", sa.Column("erasing_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_users_erasing",
        "users",
        ["erasing_since"],
        postgresql_where=sa.text("erasing_since IS NOT NULL"),
        sqlite_where=sa.text("erasing_since IS NOT NULL"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("user_groups", "group_roles", "group_members"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY tenant ON {table} USING ({_OWNED}) WITH CHECK ({_OWNED})")
            op.execute(f"GRANT SELECT, INSERT, DELETE ON {table} TO yett_app")
        op.execute("GRANT UPDATE (description) ON user_groups TO yett_app")
        op.execute("GRANT UPDATE (must_change) ON passwords TO yett_app")
        op.execute("GRANT UPDATE (erasing_since) ON users TO yett_app")
        op.execute("GRANT SELECT (tenant_id, id, erasing_since) ON users TO yett_system")
        op.execute("GRANT SELECT (redirect_uris) ON clients TO yett_system")  # for who examines an installation
        op.execute("GRANT SELECT, INSERT, UPDATE ON job_runs TO yett_system")


def downgrade() -> None:
    """What the new tables hold would be lost: restore the backup from before the upgrade instead."""
    raise NotImplementedError("this migration cannot be undone; restore the backup from before it")
