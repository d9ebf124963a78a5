"""Tables of groups: what each is, which roles it carries, and who is in it. Part of the one model in tables.py."""

from sqlalchemy import Column, Index, String, Uuid

from tenants.schema import UtcDateTime, belongs_to, owned

user_groups = owned(
    "user_groups",
    Column("name", String(100), nullable=False),
    Column("description", String(500), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    key=("name",),
)

group_roles = owned(
    "group_roles",
    Column("group_name", String(100), nullable=False),
    Column("role", String(100), nullable=False),
    belongs_to("user_groups", ("group_name",), ("name",)),
    belongs_to("roles", ("role",), ("name",)),
    key=("group_name", "role"),
)

# By user first: what somebody holds is asked with each token, who is in a group now and then.
group_members = owned(
    "group_members",
    Column("user_id", Uuid, nullable=False),
    Column("group_name", String(100), nullable=False),
    belongs_to("users", ("user_id",), ("id",)),
    belongs_to("user_groups", ("group_name",), ("name",)),
    key=("user_id", "group_name"),
)
Index("ix_group_members_group", group_members.c.tenant_id, group_members.c.group_name, group_members.c.user_id)
