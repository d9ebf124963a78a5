"""Groups: users who hold the same roles because they do the same work. Who is in one holds what it carries.

Owns what a group is, which roles it carries and who is in it. What somebody holds by it is asked of roles.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.errors import AlreadyExists, InvalidValue, NotFound
from tenants.group_tables import group_members, group_roles, user_groups
from tenants.names import checked_name, is_name
from tenants.tables import roles, users

LONGEST_DESCRIPTION: Final = 500
MOST_ROLES: Final = 100


@dataclass(frozen=True, slots=True)
class Group:
    """``roles`` are what each member holds by it."""

    name: str
    description: str
    roles: frozenset[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a group. ``key`` is where they stand in the list."""

    id: UUID
    name: str
    key: str
    active: bool


class Groups:
    """One tenant's groups, and who is in them."""

    def __init__(self, connection: AsyncConnection, tenant_id: UUID, now: datetime) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._now = now

    async def create(self, name: str, *, description: str = "", roles: Iterable[str] = ()) -> Group:
        """A new group without members.

        Raises:
            AlreadyExists: the tenant has one of this name.
            InvalidValue: the name or the description is malformed, or there are too many roles.
            NotFound: a role is none of the tenant's.
        """
        made = Group(checked_name("group", name), checked_description(description), _checked(roles), self._now)
        row = {"name": made.name, "description": made.description, "created_at": made.created_at}
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(user_groups).values(tenant_id=self._tenant_id, **row))
        except IntegrityError as error:
            raise AlreadyExists("group", name) from error
        await self._add_roles(name, made.roles)
        return made

    async def get(self, name: str) -> Group | None:
        """By name; what cannot be one is no group's."""
        if not is_name(name):
            return None
        query = select(user_groups).where(user_groups.c.tenant_id == self._tenant_id, user_groups.c.name == name)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return None
        carried = await self.roles_of([name])
        return Group(row.name, row.description, carried.get(name, frozenset()), row.created_at)

    async def list(self, *, after: str = "", limit: int | None = None) -> Sequence[Group]:
        """By name, from the one that follows ``after``."""
        mine = user_groups.c.tenant_id == self._tenant_id, user_groups.c.name > after
        query = select(user_groups).where(*mine).order_by(user_groups.c.name).limit(limit)
        found = (await self._connection.execute(query)).all()
        carried = await self.roles_of([row.name for row in found])
        return [Group(row.name, row.description, carried.get(row.name, frozenset()), row.created_at) for row in found]

    async def roles_of(self, names: Collection[str]) -> Mapping[str, frozenset[str]]:
        """The names of the roles that these groups carry; nothing for one that carries none."""
        mine = group_roles.c.tenant_id == self._tenant_id, group_roles.c.group_name.in_(names)
        found: dict[str, frozenset[str]] = {}
        for name, role in await self._connection.execute(
            select(group_roles.c.group_name, group_roles.c.role).where(*mine)
        ):
            found[name] = found.get(name, frozenset()) | {role}
        return found

    async def scopes_of(self, name: str) -> frozenset[str]:
        """The union of the roles that it carries."""
        same = (group_roles.c.tenant_id == roles.c.tenant_id) & (group_roles.c.role == roles.c.name)
        mine = group_roles.c.tenant_id == self._tenant_id, group_roles.c.group_name == name
        found: frozenset[str] = frozenset()
        if is_name(name):
            for scopes in (
                await self._connection.execute(select(roles.c.scopes).join(group_roles, same).where(*mine))
            ).scalars():
                found |= frozenset(scopes)
        return found

    async def change(self, before: Group, *, description: str, roles: Iterable[str]) -> Group:
        """Another description, and other roles for who is in it, from their next token on.

        Raises:
            InvalidValue: the description is malformed, or there are too many roles.
            NotFound: the tenant has no such group, or a role is none of the tenant's.
        """
        after = replace(before, description=checked_description(description), roles=_checked(roles))
        mine = user_groups.c.tenant_id == self._tenant_id, user_groups.c.name == before.name
        changed = update(user_groups).where(*mine).values(description=after.description)
        if (await self._connection.execute(changed)).rowcount == 0:
            raise NotFound("group", before.name)
        gone = before.roles - after.roles
        if gone:
            carried = group_roles.c.tenant_id == self._tenant_id, group_roles.c.group_name == before.name
            await self._connection.execute(delete(group_roles).where(*carried, group_roles.c.role.in_(gone)))
        await self._add_roles(before.name, after.roles - before.roles)
        return after

    async def delete(self, name: str) -> None:
        """With it goes that anybody is in it.

        Raises:
            NotFound: the tenant has no such group.
        """
        mine = user_groups.c.tenant_id == self._tenant_id, user_groups.c.name == name
        if not is_name(name) or (await self._connection.execute(delete(user_groups).where(*mine))).rowcount == 0:
            raise NotFound("group", name)

    async def add(self, name: str, user_id: UUID) -> bool:
        """Whether they were not in it before.

        Raises:
            NotFound: the tenant has no such user or no such group.
        """
        if await self.get(name) is None:
            raise NotFound("group", name)
        if name in await self.of_user(user_id):
            return False
        row = {"tenant_id": self._tenant_id, "user_id": user_id, "group_name": name}
        try:
            async with self._connection.begin_nested():
                await self._connection.execute(insert(group_members).values(**row))
        except IntegrityError as error:
            raise NotFound("user", str(user_id)) from error
        return True

    async def remove(self, name: str, user_id: UUID) -> bool:
        """Whether they were in it."""
        mine = group_members.c.tenant_id == self._tenant_id, group_members.c.user_id == user_id
        gone = delete(group_members).where(*mine, group_members.c.group_name == name)
        return is_name(name) and (await self._connection.execute(gone)).rowcount == 1

    async def members(self, name: str, *, after: str = "", limit: int | None = None) -> Sequence[Member]:
        """By the key of their names, from the one that follows ``after``."""
        if not is_name(name):
            return []
        same = (users.c.tenant_id == group_members.c.tenant_id) & (users.c.id == group_members.c.user_id)
        query = (
            select(users.c.id, users.c.name, users.c.name_key, users.c.active)
            .join(group_members, same)
            .where(group_members.c.tenant_id == self._tenant_id, group_members.c.group_name == name)
            .where(users.c.name_key > after)
            .order_by(users.c.name_key)
            .limit(limit)
        )
        return [Member(*row) for row in await self._connection.execute(query)]

    async def of_user(self, user_id: UUID) -> Sequence[str]:
        """The names of a user's groups."""
        return (await self.of_users([user_id])).get(user_id, ())

    async def of_users(self, user_ids: Collection[UUID]) -> Mapping[UUID, Sequence[str]]:
        """The names of these users' groups; nothing for who is in none."""
        mine = group_members.c.tenant_id == self._tenant_id, group_members.c.user_id.in_(user_ids)
        query = select(group_members.c.user_id, group_members.c.group_name).where(*mine)
        found: dict[UUID, tuple[str, ...]] = {}
        for user_id, name in await self._connection.execute(query.order_by(group_members.c.group_name)):
            found[user_id] = (*found.get(user_id, ()), name)
        return found

    async def _add_roles(self, name: str, added: Iterable[str]) -> None:
        for role in sorted(added):
            row = {"tenant_id": self._tenant_id, "group_name": name, "role": role}
            try:
                async with self._connection.begin_nested():
                    await self._connection.execute(insert(group_roles).values(**row))
            except IntegrityError as error:
                raise NotFound("role", role) from error


def checked_description(text: str) -> str:
    """Raises InvalidValue: it is too long, or cannot be shown on a line."""
    if len(text) > LONGEST_DESCRIPTION or not (text == "" or text.isprintable()):
        raise InvalidValue(f"a group's description is a printable text of at most {LONGEST_DESCRIPTION} characters")
    return text


def _checked(roles: Iterable[str]) -> frozenset[str]:
    found = frozenset(roles)
    if len(found) > MOST_ROLES:
        raise InvalidValue(f"a group carries at most {MOST_ROLES} roles")
    for role in found:
        if not is_name(role):
            raise NotFound("role", role)
    return found
