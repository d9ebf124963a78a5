"""The roles that a user holds, as part of another query: scalar subqueries beside a row of ``users``."""

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, select

from tenants.group_tables import group_members, group_roles
from tenants.tables import roles, user_roles, users


def own(pairs: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Those that were given to the user, as one JSON array of ``pairs`` of a role's name and its scopes."""
    held = (user_roles.c.tenant_id == roles.c.tenant_id) & (user_roles.c.role == roles.c.name)
    of_user = user_roles.c.tenant_id == users.c.tenant_id, user_roles.c.user_id == users.c.id
    return select(pairs).select_from(user_roles.join(roles, held)).where(*of_user).scalar_subquery()


def carried(pairs: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Likewise, those that the user's groups carry; one that two of them carry is there twice."""
    held = (group_roles.c.tenant_id == roles.c.tenant_id) & (group_roles.c.role == roles.c.name)
    same_tenant = group_members.c.tenant_id == group_roles.c.tenant_id
    of_group = same_tenant & (group_members.c.group_name == group_roles.c.group_name)
    of_user = group_members.c.tenant_id == users.c.tenant_id, group_members.c.user_id == users.c.id
    source = group_members.join(group_roles, of_group).join(roles, held)
    return select(pairs).select_from(source).where(*of_user).scalar_subquery()
